"""The installed command tells owners: mail in, the poll, a letter out."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.events.receiver import Receiver, answers
from tests.harness.installation import Dropbox
from tests.harness.letters import letter
from tests.notices.conftest import Outside
from tests.servers.dovecot import PASSWORD
from tests.servers.process import free_port
from worker.bootstrap import compose
from worker.domain.messages import Head
from worker.domain.outcomes import Outcome
from worker.domain.verdicts import Filing
from worker.poll import Watcher
from worker.service.turns import Turns
from worker.store.database import Database
from worker.store.traces import NoticeOutbox

VOUCHED = "mx.drop.example; dmarc=pass header.from=acme.example; dkim=pass header.d=acme.example"


@pytest.fixture
def dropbox(outside: Outside, mailbox_user: str, tmp_path: Path) -> Dropbox:
    settings = {
        "authserv_id": "mx.drop.example",
        "smtp_url": f"smtp://localhost:{outside.postfix.port}",
        "sender_auth": "required",
        "notice_from": "dropbox@acme.example",
    }
    return Dropbox(outside.dovecot, mailbox_user, f"sqlite:///{tmp_path / 'dropbox.db'}", settings)


def to_nobody(address: str, login: str, **fields: str) -> bytes:
    return letter(address, sender=login, to=login, Authentication_Results=VOUCHED, **fields)


def test_an_owner_is_told_once_a_day_why_their_mail_was_not_filed(
    dropbox: Dropbox, outside: Outside, login: str
) -> None:
    address = dropbox.add_user(login)
    dropbox.deliver(to_nobody(address, login, subject="Lunch"))
    dropbox.deliver(to_nobody(address, login, subject="Dinner"))
    ran = dropbox.ok("poll", "--json")
    assert ran.json["rejected"] == 2
    (sent,) = [event for event in ran.events if event["event"].startswith("notice.")]
    assert {name: sent[name] for name in ("event", "owner", "reason")} == {
        "event": "notice.sent",
        "owner": login,
        "reason": "no_recipients",
    }
    (told,) = outside.letters(login)
    assert told["Subject"] == "Not filed: Lunch"
    assert "nobody in To and Cc is a customer" in told.get_content()
    dropbox.poll()
    assert len(outside.letters(login)) == 1


def test_mail_that_is_rejected_by_its_head_is_told_by_its_subject(
    dropbox: Dropbox, outside: Outside, login: str
) -> None:
    """Send a disabled user several mails in a day; the worker never fetches their bodies."""
    address = dropbox.add_user(login)
    dropbox.admin("user", "disable", login)
    subject = "=?utf-8?q?Gr=C3=BC=C3=9Fe?= to +k7m2arz3ndektsv4rrffq69g5f"
    dropbox.deliver(letter(address, sender=login, Authentication_Results=VOUCHED, subject=subject))
    assert dropbox.poll() == {"rejected": 1}
    (told,) = outside.letters(login)
    assert told["Subject"] == "Not filed: Grüße to +k7m2…"
    (explained,) = dropbox.admin("explain", "--since", "1h", "--json").json
    assert (explained["reason"], explained["subject"]) == ("user_disabled", "Grüße to +k7m2…")


def test_a_forged_mail_tells_nobody(dropbox: Dropbox, outside: Outside, login: str) -> None:
    address = dropbox.add_user(login)
    dropbox.deliver(letter(address, sender=login, to=login))
    ran = dropbox.ok("poll", "--json")
    assert ran.json["rejected"] == 1
    assert not [event for event in ran.events if event["event"].startswith("notice.")]


def test_a_notice_that_comes_back_is_never_filed(dropbox: Dropbox, outside: Outside, login: str) -> None:
    """Some forward all their mail to their dropbox: R23."""
    address = dropbox.add_user(login)
    dropbox.deliver(to_nobody(address, login))
    dropbox.poll()
    (told,) = outside.letters(login)
    del told["Delivered-To"]
    dropbox.deliver(f"Delivered-To: {address}\r\n".encode() + told.as_bytes())
    ran = dropbox.ok("poll", "--json")
    assert [event["reason"] for event in ran.events if event["event"] == "message.rejected"] == ["automatic"]
    assert not [event for event in ran.events if event["event"].startswith("notice.")]


def test_a_mail_server_that_is_down_stops_no_filing_and_the_word_comes_later(
    dropbox: Dropbox, outside: Outside, login: str
) -> None:
    address = dropbox.add_user(login)
    dropbox.deliver(to_nobody(address, login))
    url = f"smtp://u:{PASSWORD}-hidden@localhost:{free_port()}"
    ran = dropbox.ok("poll", "--json", smtp_url=url)
    (delayed,) = [event for event in ran.events if event["event"].startswith("notice.")]
    assert (ran.json["rejected"], delayed["event"]) == (1, "notice.delayed")
    assert "nothing listens there" in delayed["error"]
    assert f"{PASSWORD}-hidden" not in ran.err
    dropbox.poll()
    outside.letters(login)


def test_without_notice_from_nobody_is_told(dropbox: Dropbox, outside: Outside, login: str) -> None:
    del dropbox.settings["notice_from"]
    dropbox.deliver(to_nobody(dropbox.add_user(login), login))
    assert dropbox.poll() == {"rejected": 1}
    dropbox.settings["notice_from"] = "dropbox@acme.example"
    ran = dropbox.ok("poll", "--json")
    assert not [event for event in ran.events if event["event"].startswith("notice.")]


class Filed(Watcher):
    """Whether a message was."""

    def __init__(self) -> None:
        self.one = False

    def filed(self, filing: Filing, seconds: float) -> None:
        self.one = True


def test_a_poll_that_is_stopped_leaves_the_rest_to_the_next_and_notices_do_not_wait_for_that(
    dropbox: Dropbox, outside: Outside, login: str
) -> None:
    address = dropbox.add_user(login)
    for number in range(8):
        dropbox.deliver(to_nobody(address, login, subject=f"Lunch {number}"))
    filed = Filed()
    with closing(compose(dropbox.loaded(batch_messages="1"), filed)) as parts:
        turns = Turns(parts)
        first = turns.take(lambda: filed.one)
        assert first is not None
        assert 0 < first.backlog < 8
        turns.send_notices()
        assert outside.letters(login)
        second = turns.take()
        assert second is not None
        assert (second.found, second.backlog) == (first.backlog, 0)


def quarantine(dropbox: Dropbox) -> NoticeOutbox:
    """Poll until the message that the code fails on is quarantined."""
    with closing(compose(dropbox.loaded())) as parts:
        for _ in range(3):
            report = parts.poller.poll(parts.mailbox.open())
        assert report.outcomes[Outcome.QUARANTINED] == 1
    return NoticeOutbox(Database.open(dropbox.database_url))


def test_an_owner_is_told_of_a_mail_that_the_program_fails_on(
    dropbox: Dropbox, login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = dropbox.add_user(login)
    dropbox.deliver(letter(address, sender=login, Authentication_Results=VOUCHED))

    def fail(raw: bytes) -> None:
        raise KeyError(len(raw))

    monkeypatch.setattr("worker.mime.read_content", fail)
    outbox = quarantine(dropbox)
    notice = outbox.take(datetime.now(UTC))
    assert notice is not None
    assert (notice.login.text, notice.key.cause, notice.subject) == (login, Outcome.QUARANTINED, "Our offer")
    assert dropbox.folder("Quarantine")


def test_a_mail_whose_head_the_program_fails_on_is_put_aside_all_the_same(
    dropbox: Dropbox, login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = dropbox.add_user(login)
    dropbox.deliver(letter(address, sender=login, Authentication_Results=VOUCHED))

    def fail(raw: bytes, *, is_complete: bool) -> Head:
        raise KeyError(len(raw), is_complete)

    monkeypatch.setattr("worker.mime.read_head", fail)
    outbox = quarantine(dropbox)
    assert outbox.take(datetime.now(UTC)) is None
    assert dropbox.folder("Quarantine")


def test_the_operator_and_the_administrators_are_told_of_a_paused_webhook(
    dropbox: Dropbox, outside: Outside, login: str
) -> None:
    dropbox.settings["notice_from"] = f"operator-{login}"
    address = dropbox.add_user(login)
    with Receiver(answers(410)) as receiver:
        receiver.secrets = (dropbox.admin("webhook", "add", receiver.url, "--json").json["secret"],)
        dropbox.deliver(letter(address, sender=login, Authentication_Results=VOUCHED))
        dropbox.ok("poll")
        dropbox.ok("poll")
    for reader in (login, f"operator-{login}"):
        (told,) = outside.letters(reader)
        assert told["Subject"] == "Webhook paused: Default"
        assert "410" in told.get_content()
        assert "bcc-dropbox webhook enable" in told.get_content()
