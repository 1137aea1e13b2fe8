"""The program's own errors; each edge translates its library's errors into one of these."""


class DropboxError(Exception):
    """Base of all errors that this program raises on purpose; the text is one line for a person."""


class Refused(DropboxError):
    """A rule or a bad value says no to a command; nothing was changed.

    The text names the problem. The code and the values are for the caller: the command line adds what helps.
    """

    def __init__(self, text: str, code: str = "", /, **values: object) -> None:
        super().__init__(text)
        self.code = code
        self.values = values


class Outdated(Refused):
    """The database was migrated by a newer version of this program."""


class Unavailable(DropboxError):
    """Something outside (database, IMAP server, disk) is down: retry later and count no strike."""


class DatabaseUnavailable(Unavailable):
    """The database or its disk is down; the log names it apart from the mailbox."""


class DatabaseMissing(DatabaseUnavailable):
    """The database file that the settings name does not exist, and the command may not create it."""


class Withheld(Unavailable):
    """The IMAP server answers, but refuses this one message or closes the connection over it."""


class Silent(Unavailable):
    """A server gave no complete answer in time: it is down, or it fails on this request."""


class LoginRefused(Unavailable):
    """The server refused the login: retry rarely, because a person has to correct something."""


class Conflict(DropboxError):
    """Another process wrote the same thing first: read again and decide again."""
