"""What the owner's mail carries of other people's mail (R28)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from worker.domain.messages import Content

MOST_ORIGINALS = 50
"""How many attached mails of one forward are filed."""


class Forwards(StrEnum):
    """Which forwards are filed: all, only mails that are attached, or none."""

    ALL = "all"
    ATTACHED = "attached"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Original:
    """A mail that is attached, byte for byte, and the mails that are attached to it in turn."""

    content: Content
    inner: tuple[Content, ...] = ()


@dataclass(frozen=True, slots=True)
class Carried:
    """The texts of a mail, which are alternatives of each other, and the mails that are attached to it."""

    texts: tuple[str, ...] = field(default=(), repr=False)
    originals: tuple[Original, ...] = ()
    left_out: int = 0
    """Attached mails that cannot be taken out byte for byte, and those above `MOST_ORIGINALS`."""

    @property
    def has_originals(self) -> bool:
        """Whether any mail is attached."""
        return bool(self.originals) or self.left_out > 0


ReadCarried = Callable[[Content], Carried]
