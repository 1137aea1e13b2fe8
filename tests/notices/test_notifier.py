"""The step after the poll: a mail server that is down delays notices, loses none, and none comes twice."""

from datetime import UTC, date, datetime

from freezegun import freeze_time

from tests.notices.conftest import NEVER, NOTICE_FROM, Outside
from tests.servers.process import free_port
from worker.domain.addresses import Address
from worker.domain.errors import Unavailable
from worker.domain.outcomes import Outcome, Reason
from worker.domain.verdicts import Notice, NoticeKey
from worker.outgoing import MailServer, Notifier, Post, Security

NOBODY = Post(MailServer("127.0.0.1", free_port(), Security.NONE), NOTICE_FROM)


def notice(login: str, cause: Reason | Outcome = Reason.NO_RECIPIENTS) -> Notice:
    key = NoticeKey(1, 7, cause, date(2026, 11, 2))
    now = datetime(2026, 11, 2, 9, tzinfo=UTC)
    return Notice(key, Address.parse(login), "joe@acme.example", "Offer", ("a@b.example",), "<1@a.example>", now, None)


class Memory:
    """An outbox without a database."""

    def __init__(self, *waiting: Notice) -> None:
        self.waiting = list(waiting)
        self.settled: list[tuple[Notice, str | None]] = []
        self.is_down = False

    def take(self, now: datetime) -> Notice | None:
        return self.waiting.pop(0) if self.waiting else None

    def put_back(self, notice: Notice) -> None:
        self.waiting.insert(0, notice)

    def settle(self, notice: Notice, now: datetime, refusal: str | None = None) -> None:
        if self.is_down:
            raise Unavailable("database: down")
        self.settled.append((notice, refusal))


def test_what_waits_is_sent_and_written_down(outside: Outside, login: str) -> None:
    waiting = [notice(login), notice(login, Outcome.QUARANTINED)]
    outbox = Memory(*waiting)
    ended = Notifier(outbox, outside.post()).send_waiting()
    assert (ended.sent, ended.refused, ended.outage) == (tuple(waiting), (), None)
    assert outbox.settled == [(one, None) for one in waiting]
    letters = outside.letters(login, 2)
    assert [letter["Subject"] for letter in letters] == ["Not filed: Offer"] * 2
    assert {letter["Return-Path"] for letter in letters} == {"<>"}


def test_a_mail_server_that_is_down_delays_and_loses_nothing(outside: Outside, login: str) -> None:
    outbox = Memory(notice(login))
    notifier = Notifier(outbox, outside.post())
    outside.postfix.stop()
    try:
        with freeze_time("2026-11-02 09:00"):
            ended = notifier.send_waiting()
            assert ended.outage is not None
            assert "nothing listens there" in str(ended.outage)
            assert outbox.waiting
    finally:
        outside.postfix.start()
    with freeze_time("2026-11-02 09:01"):
        assert len(notifier.send_waiting().sent) == 1
    outside.letters(login)


def test_an_address_that_is_refused_for_good_does_not_hold_up_the_others(outside: Outside, login: str) -> None:
    outbox = Memory(notice(NEVER), notice(login))
    ended = Notifier(outbox, outside.post()).send_waiting()
    assert [one.login.text for one in ended.sent] == [login]
    ((refused, words),) = ended.refused
    assert refused.login.text == NEVER
    assert "550 5.1.1" in words
    assert outbox.settled[0] == (refused, words)


def test_what_was_sent_while_the_database_went_down_is_not_sent_again(outside: Outside, login: str) -> None:
    outbox = Memory(notice(login))
    notifier = Notifier(outbox, outside.post())
    outbox.is_down = True
    with freeze_time("2026-11-02 09:00"):
        ended = notifier.send_waiting()
        assert (len(ended.sent), str(ended.outage)) == (1, "database: down")
    outbox.is_down = False
    with freeze_time("2026-11-02 09:01"):
        assert notifier.send_waiting().sent == ()
    assert len(outbox.settled) == 1
    assert len(outside.letters(login)) == 1


def test_a_notice_that_cannot_be_written_does_not_hold_up_the_others(outside: Outside, login: str) -> None:
    broken = notice(login)
    object.__setattr__(broken, "recipients", None)
    outbox = Memory(broken, notice(login))
    ended = Notifier(outbox, outside.post()).send_waiting()
    assert len(ended.sent) == 1
    assert ended.refused[0][1] == "the letter cannot be written (TypeError)"


def test_a_stop_ends_the_round_between_two_letters(outside: Outside, login: str) -> None:
    outbox = Memory(notice(login), notice(login, Outcome.QUARANTINED))
    answers = iter([False, True])
    assert len(Notifier(outbox, outside.post()).send_waiting(lambda: next(answers)).sent) == 1
    assert len(outbox.waiting) == 1


def test_a_slow_mail_server_keeps_nobodys_mail_waiting(outside: Outside, login: str) -> None:
    outbox = Memory(notice(login), notice(login, Outcome.QUARANTINED))
    notifier = Notifier(outbox, outside.post())
    with freeze_time("2026-11-02 09:00", auto_tick_seconds=8):
        assert len(notifier.send_waiting().sent) == 1
    assert outbox.waiting
