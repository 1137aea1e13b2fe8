"""The one small family of errors; each edge translates what its library raises into one of these."""


class DropboxError(Exception):
    """Anything that this program raises on purpose; its text is one line made for a person."""


class Refused(DropboxError):
    """A rule or a bad value says no to a command; nothing was changed.

    The text says what is wrong. The code and the values are for the caller: the command line adds what helps.
    """

    def __init__(self, text: str, code: str = "", /, **values: object) -> None:
        super().__init__(text)
        self.code = code
        self.values = values


class Unavailable(DropboxError):
    """Something outside (database, IMAP server, disk) is down: retry later, count no attempt."""


class DatabaseUnavailable(Unavailable):
    """It is the database that is down, or its disk; the log tells it from the mailbox."""


class DatabaseMissing(DatabaseUnavailable):
    """There is no database at the place that the settings name, and nobody asked to make one."""


class Withheld(Unavailable):
    """The mailbox is up and fails on what it was asked for: it says no, or hangs up. It may do the rest."""


class Silent(Unavailable):
    """A server was asked and gave no whole answer in time: it is down, or it chokes on what it was asked."""


class LoginRefused(Unavailable):
    """The server answered and did not let us in: retry rarely, a person has to mend it."""


class Conflict(DropboxError):
    """Somebody else wrote the same thing first: read again, decide again. Never a duplicate by itself."""
