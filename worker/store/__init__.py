"""The database side: SQLModel tables, the repository, migrations. Knows the core, never the mailbox."""
