"""The demonstration: the whole worker on an embedded mailbox and SQLite, nothing to configure."""
