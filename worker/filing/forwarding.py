"""Which mails a forward files, and whose records get them (R28)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from worker.domain.address_lists import AddressList, joined, read_recipients
from worker.domain.addresses import Address
from worker.domain.messages import Content, Forwards, Original
from worker.domain.outcomes import Code, Detail, Reason, detail
from worker.domain.recipients import Recipients, counting_among
from worker.domain.records import AccountView, Direction
from worker.domain.senders import sender_of
from worker.domain.text import address_without_tokens
from worker.domain.verdicts import Stated, Verdict
from worker.filing.forward_blocks import Doubt, Forward, Forwarded
from worker.filing.judging import Claim, Rules, automatic_end, stated_by


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to be stored, and the people whose records get it."""

    content: Content
    recipients: Recipients
    names: AddressList
    """The display names of the people."""
    direction: Direction = Direction.SENT
    what: Detail | None = None
    """Which forwarded mail it is; None where it is the message itself, sent to these people."""
    stated: Stated | None = None
    only_known: bool = False
    """Only people who have a record get it."""


def mails_forwarded(
    content: Content, forwarded: Forwarded, claim: Claim, rules: Rules, view: AccountView
) -> Iterator[Mail | Verdict]:
    """Yield the mails that a message forwards, and an end for each that cannot be filed."""
    if forwarded.is_open:
        yield _unreadable(claim, detail(Code.FORWARD_MAIL_AND_TEXT))
    elif forwarded.carried.has_originals:
        yield from _Letters(claim, rules, view).attached(forwarded)
    else:
        yield _Letters(claim, rules, view).in_text(content, forwarded)


class _Letters:
    """The forwarded mails of one claim."""

    def __init__(self, claim: Claim, rules: Rules, view: AccountView) -> None:
        self._claim = claim
        self._rules = rules
        self._view = view

    def in_text(self, content: Content, forwarded: Forwarded) -> Mail | Verdict:
        """Return the mail in the text: the message itself is stored."""
        match forwarded.reading:
            case _ if self._rules.forwards is Forwards.ATTACHED:
                return _unreadable(self._claim, detail(Code.FORWARD_NOT_ATTACHED))
            case Forward(sender, above=above) if other := self._foreign(above, sender):
                return _unreadable(self._claim, detail(Code.FORWARD_NAMES_ANOTHER, address=_shown(other)))
            case Forward(sender, recipients, name):
                what = detail(Code.FORWARDED_TEXT, sender=_shown(sender))
                names = AddressList((sender,), (name,))
                return self._placed(Mail(content, _NOBODY, names, what=what), sender, recipients or ())
            case doubt:
                return _unreadable(self._claim, detail(Code(f"forward_{doubt or Doubt.NO_BLOCK}")))

    def _foreign(self, above: Sequence[Address], sender: Address) -> Address | None:
        """Return an address above the block that is neither the sender's nor of our side, as in a signature."""
        owner = self._claim.owner
        organisational = self._rules.organisational_domain
        domains = {organisational(key.rpartition("@")[2]) for key in owner.senders}
        ours = (sender.key, *self._view.colleagues)
        return next(
            (
                each
                for each in above
                if each.key not in ours
                and organisational(each.domain) not in domains
                and not owner.sends_as(each)
                and not self._rules.dropbox.covers(each)
            ),
            None,
        )

    def attached(self, forwarded: Forwarded) -> Iterator[Mail | Verdict]:
        """Yield the attached mails.

        A mail within one that no customer wrote or got is filed like one beside it. A customer's mail may have a mail
        of a stranger attached: that one goes to people who have a record already.
        """
        count = len(forwarded.carried.originals)
        for number, original in enumerate(forwarded.carried.originals, start=1):
            yield from self._with_inner(original, number, count)
        if left_out := forwarded.carried.left_out:
            yield _unreadable(self._claim, detail(Code.FORWARD_LEFT_OUT, count=left_out))

    def _with_inner(self, original: Original, number: int, count: int) -> Iterator[Mail | Verdict]:
        """Yield an attached mail and the mails that are attached to it."""
        outer = self._original(original.content, number, count)
        is_customers = isinstance(outer, Mail) and any(
            address.key not in self._view.colleagues for address in outer.recipients.counted
        )
        if is_customers or not original.inner:
            yield outer
        for content in original.inner:
            inner = self._original(content, number, count)
            if not is_customers:
                yield inner
            elif isinstance(inner, Mail):
                yield replace(inner, only_known=True)

    def _original(self, content: Content, number: int, count: int) -> Mail | Verdict:
        """Read one attached mail, and find whose records get it."""
        if end := automatic_end(self._claim, content.head):
            return end
        sender = sender_of(content.head)
        if sender.address is None or "=?" in sender.address.text:  # an encoded word that is glued to it
            return _unreadable(self._claim, sender.why or detail(Code.FORWARD_SENDER_UNREADABLE))
        what = detail(Code.FORWARDED_MAIL, sender=_shown(sender.address), number=number, count=count)
        addressees = content.head.addressees
        names = joined([read_recipients(content.head.first("from")), addressees])
        mail = Mail(content, _NOBODY, names, what=what, stated=stated_by(content))
        return self._placed(mail, sender.address, addressees.addresses)

    def _placed(self, mail: Mail, sender: Address, recipients: Sequence[Address]) -> Mail:
        """Give the mail to its sender, or to its recipients where our side wrote it."""
        owner, dropbox = self._claim.owner, self._rules.dropbox
        is_ours = owner.sends_as(sender) or dropbox.covers(sender) or sender.key in self._view.colleagues
        people = recipients if is_ours else (sender,)
        return replace(
            mail,
            recipients=counting_among(people, owner, dropbox, self._view, self._rules.max_recipients),
            direction=Direction.SENT if is_ours else Direction.RECEIVED,
        )


_NOBODY = Recipients((), ())


def _unreadable(claim: Claim, why: Detail) -> Verdict:
    return claim.rejected(Reason.FORWARD_UNREADABLE, why)


def _shown(address: Address) -> str:
    return address_without_tokens(address.text)
