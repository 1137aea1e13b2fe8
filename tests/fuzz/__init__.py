"""Generated mail through the whole intake, down to the database."""
