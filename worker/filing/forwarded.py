"""The mail of somebody else that a message may forward, as far as the message tells (R28)."""

from collections.abc import Iterator
from dataclasses import dataclass

from worker.domain.addresses import Address
from worker.domain.messages import Carried, Content
from worker.domain.senders import sender_of
from worker.filing.forwards import Forward, Reading, read_texts


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The attached mails, and what the text says of another mail: a sender, a doubt, or nothing (None)."""

    carried: Carried
    reading: Reading

    @property
    def contents(self) -> Iterator[Content]:
        """All attached mails."""
        for original in self.carried.originals:
            yield original.content
            yield from original.inner

    @property
    def addresses(self) -> Iterator[Address]:
        """Everybody whose record may be asked for."""
        yield from self._senders
        for content in self.contents:
            yield from content.head.addressees.addresses
        if isinstance(self.reading, Forward):
            yield self.reading.sender
            yield from self.reading.recipients or ()

    @property
    def is_open(self) -> bool:
        """Whether the text forwards a mail that is not among the attached ones.

        A client that writes the mail into the text keeps the mails that were attached to it.
        """
        if not isinstance(self.reading, Forward) or not self.carried.has_originals:
            return False
        return self.reading.sender not in self._senders

    @property
    def _senders(self) -> Iterator[Address]:
        senders = (sender_of(content.head).address for content in self.contents)
        return (sender for sender in senders if sender)


def forwarded_in(content: Content, carried: Carried) -> Forwarded | None:
    """Read what a message carries as a forward; None where it is nothing like one."""
    reading = read_texts(content.subject, carried.texts)
    return None if reading is None and not carried.has_originals else Forwarded(carried, reading)
