"""The BCC dropbox worker: empties a catch-all mailbox onto the right leads and contacts."""

__version__ = "0.1.0"
