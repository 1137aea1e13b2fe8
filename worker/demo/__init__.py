"""The demo: the whole worker on an embedded mailbox and SQLite, without configuration."""
