"""What `check --probe` makes of the time that a copy took and of the clock that stamped it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from worker.diagnostics.checks import Finding, Result
from worker.diagnostics.probe import Returned, findings
from worker.diagnostics.probe_mails import Copies, Copy, Probe
from worker.domain.addresses import Address
from worker.domain.messages import Field, Head
from worker.domain.tokens import DropboxAddress, new_token
from worker.settings import Settings

CLOCK = "probe: the mail server's clock"
SENT = datetime(2026, 11, 25, 12, tzinfo=UTC)
DROPBOX = DropboxAddress(Address.parse("drop@drop.example"))


def found(what: str, after: timedelta, stamped: datetime | None = None) -> list[Finding]:
    """Return what is said of this about one copy, that long after it was sent, stamped with the mail server's time."""
    probe = Probe(
        dropbox=DROPBOX,
        sender=DROPBOX.base,
        message_id="<probe@drop.example>",
        canaries=(new_token(), new_token()),
        forged=new_token(),
        token_headers=("Delivered-To",),
        received_by=None,
        authserv_id=None,
    )
    value = "from a by mx.drop.example" + (f"; {format_datetime(stamped)}" if stamped else "")
    copies = Copies(probe, (Copy(Head((Field("received", value),))),))
    returned = Returned(copies, after.total_seconds(), SENT, left=0)
    return [finding for finding in findings(returned, Settings.load()) if finding.what == what]


@pytest.mark.parametrize(("seconds", "result"), [(179, Result.PASS), (181, Result.WARN)])
def test_a_copy_that_takes_longer_than_three_minutes_is_late(seconds: int, result: Result) -> None:
    # R22
    [way] = found("probe", timedelta(seconds=seconds))
    assert way.result is result
    assert f"1 copy after {seconds}.0 s" in way.seen


@pytest.mark.parametrize(
    ("off", "result"),
    [
        (timedelta(minutes=-2, seconds=-1), Result.WARN),
        (timedelta(minutes=-2), Result.PASS),
        (timedelta(minutes=3), Result.PASS),
        (timedelta(minutes=3, seconds=1), Result.WARN),
    ],
    ids=["behind", "a little behind", "a little ahead", "ahead"],
)
def test_a_clock_may_be_two_minutes_off_beside_what_the_copy_took(off: timedelta, result: Result) -> None:
    [clock] = found(CLOCK, timedelta(minutes=1), SENT + off)
    assert clock.result is result


def test_where_the_mail_server_writes_no_time_nothing_is_said_of_its_clock() -> None:
    assert found(CLOCK, timedelta(minutes=1)) == []
