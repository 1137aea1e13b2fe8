"""Messages that the code or the server fails on: isolation, strikes, quarantine, and whom a crash is blamed on."""

from collections.abc import Sequence

import pytest

from tests.poll.conftest import BrokenParser, Scene
from tests.poll.fakes import fails, fails_on
from worker.domain.errors import Unavailable, Withheld
from worker.poll import Limits


@pytest.mark.parametrize("bad", [1, 4, 8])
def test_a_message_that_cannot_be_filed_holds_up_nobody_else(scene: Scene, bad: int) -> None:
    scene.deliver(*range(1, 9))
    scene.store.before("file", fails_on(bad, error=ValueError("a bug")))
    report = scene.poll()
    assert scene.associated == [uid for uid in range(1, 9) if uid != bad]
    assert scene.strikes == {bad: 1}
    assert (report.counts["deferred"], report.outage) == (1, None)


def test_two_bad_messages_in_one_batch_are_told_apart(scene: Scene) -> None:
    scene.deliver(*range(1, 11))
    scene.store.before("file", fails_on(3, 8, error=ValueError("a bug")))
    scene.poll()
    assert scene.associated == [1, 2, 4, 5, 6, 7, 9, 10]
    assert scene.strikes == {3: 1, 8: 1}


@pytest.mark.parametrize("size", [1, 2, 3, 250])
def test_a_bad_message_is_isolated_whatever_the_size_of_a_batch(scene: Scene, size: int) -> None:
    scene.limits = Limits(messages=size)
    scene.deliver(*range(1, 8))
    scene.store.before("file", fails_on(4, error=ValueError("a bug")))
    scene.poll()
    assert (scene.associated, scene.strikes) == ([1, 2, 3, 5, 6, 7], {4: 1})


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_message_that_the_parser_fails_on_is_isolated_and_in_the_end_quarantined(scene: Scene, part: str) -> None:
    scene.parser = BrokenParser(b"<3@sales.example>", part)
    scene.deliver(*range(1, 6))
    for _ in range(2):
        scene.poll()
        assert (scene.queue, scene.associated) == ([3], [1, 2, 4, 5])
    scene.poll()
    assert (scene.quarantined, scene.strikes) == ([3], {})
    assert scene.store.tables.filings[3].message_id == ("<3@sales.example>" if part == "body" else "")


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_message_that_the_server_lists_and_never_gives_gets_a_strike(scene: Scene, part: str) -> None:
    scene.deliver(1, 2, 3)
    (scene.mailbox.without_head if part == "head" else scene.mailbox.without_body).add(2)
    scene.poll()
    assert (scene.associated, scene.strikes) == ([1, 3], {2: 1})
    assert f"no {part} of UID 2" in scene.witness.deferrals[0].error


def test_the_third_strike_quarantines(scene: Scene) -> None:
    scene.deliver(1, 2)
    scene.store.before("file", fails_on(2, error=ValueError("a bug")))
    counts = [scene.poll().counts for _ in range(2)]
    assert [each["deferred"] for each in counts] == [1, 1]
    scene.store.heal()
    scene.mailbox.without_body.add(2)
    report = scene.poll()
    assert (scene.quarantined, report.counts["quarantined"]) == ([2], 1)
    (verdict,) = scene.store.tables.filings[2].verdicts
    assert "no body of UID 2" in str(verdict.trace.note)
    assert verdict.owner is not None, "its head says whose it is"
    assert scene.store.tables.marks == {}


def test_a_quarantined_message_of_which_the_server_gives_nothing_is_known_by_its_uid(scene: Scene) -> None:
    scene.deliver(1)
    scene.mailbox.without_head.add(1)
    for _ in range(3):
        scene.poll()
    assert scene.quarantined == [1]
    assert scene.store.tables.filings[1].message_id == ""


def test_a_deferred_message_is_reported_with_its_message_id_where_its_head_was_read(scene: Scene) -> None:
    scene.deliver(1, 2)
    scene.mailbox.without_body.add(1)
    scene.mailbox.without_head.add(2)
    scene.poll()
    assert [(each.uid, each.message_id) for each in scene.witness.deferrals] == [(1, "<1@sales.example>"), (2, None)]


def test_an_error_of_the_code_is_reported_by_type_and_place_alone(scene: Scene) -> None:
    """The error text may quote a confidential mail."""
    scene.deliver(1)
    scene.store.before("file", fails_on(1, error=ValueError("Dear Bob, the price is")))
    scene.poll()
    (deferral,) = scene.witness.deferrals
    assert deferral.error.startswith("ValueError (fakes.py:")


def test_a_message_that_was_bad_only_once_is_filed_by_the_next_poll(scene: Scene) -> None:
    scene.deliver(1, 2)
    scene.store.before("file", fails_on(2, error=ValueError("a bug")))
    scene.poll()
    scene.store.heal()
    scene.poll()
    assert (scene.associated, scene.store.tables.marks) == ([1, 2], {})


def test_suspects_come_after_fresh_mail_and_those_with_the_fewest_strikes_first(scene: Scene) -> None:
    scene.deliver(1, 2, 3, 4)
    queue = scene.mailbox.open()
    for uid, strikes in ((1, 2), (2, 1), (3, 1)):
        for _ in range(strikes):
            scene.store.strike(queue, uid, "a bug")
    scene.poll()
    assert scene.witness.filed_uids == [4, 2, 3, 1]


def test_a_suspect_is_fetched_and_filed_by_itself(scene: Scene) -> None:
    scene.deliver(1, 2, 3)
    for uid in (1, 2):
        scene.store.suspect(scene.mailbox.open(), uid, "")
    scene.poll()
    assert scene.store.uids_of("file") == [[3], [1], [2]]
    marked_at = [uids for name, uids in scene.store.calls if name in {"mark", "file"}]
    assert marked_at.index((2,)) > marked_at.index((1,)) + 1, "never two suspects at a time"


def test_code_that_fails_on_every_message_is_an_outage_and_nobody_gets_a_strike(scene: Scene) -> None:
    scene.deliver(*range(1, 31))
    scene.store.before("file", fails(ValueError("a bug")))
    report = scene.poll()
    assert "fails on every message" in str(report.outage)
    assert (scene.strikes, scene.marked) == ({}, [])
    assert report.counts["deferred"] == 30


def test_an_outage_at_the_end_of_a_poll_withdraws_its_strikes(scene: Scene) -> None:
    """The failure of the code may have been part of the same outage."""
    scene.deliver(1, 2, 3)
    scene.store.suspect(scene.mailbox.open(), 3, "")
    scene.store.before("file", fails_on(2, error=ValueError("a bug")), fails_on(3, error=Unavailable("database: down")))
    scene.poll()
    assert scene.strikes == {3: 0}
    assert scene.marked == []


def test_a_crash_makes_a_whole_batch_suspect_and_gives_nobody_a_strike(scene: Scene) -> None:
    scene.deliver(1, 2, 3)
    scene.crash_at(scene.store, "file", 2)
    scene.poll_until_crash()
    scene.crash_at(scene.store, "file", 1)
    scene.poll_until_crash()
    assert scene.strikes == {1: 0, 2: 0, 3: 0}


def test_a_message_that_crashes_the_process_three_times_alone_is_quarantined(scene: Scene) -> None:
    scene.deliver(1, 2, 3)
    for _ in range(4):
        scene.crash_at(scene.store, "file", 2)
        scene.poll_until_crash()
    scene.poll()
    assert (scene.quarantined, scene.associated) == ([2], [1, 3])


@pytest.mark.parametrize("method", ["heads", "bodies"])
def test_a_crash_while_the_worker_waits_for_the_mail_server_is_no_strike(scene: Scene, method: str) -> None:
    scene.deliver(1)
    for _ in range(3):
        scene.crash_at(scene.mailbox, method, 1)
        scene.poll_until_crash()
    assert set(scene.strikes.values()) <= {0}
    scene.poll()
    assert scene.associated == [1]


def test_a_crash_between_commit_and_move_costs_a_move_and_no_second_download(scene: Scene) -> None:
    scene.deliver(1, 2)
    scene.crash_at(scene.mailbox, "move", 1)
    scene.poll_until_crash()
    downloads = len(scene.mailbox.uids_of("heads"))
    report = scene.poll()
    assert scene.associated == [1, 2]
    assert len(scene.mailbox.uids_of("heads")) == downloads
    assert (report.moved, report.counts["associated"]) == (2, 0)


def test_a_message_that_the_server_withholds_is_put_last_without_a_strike(scene: Scene) -> None:
    scene.deliver(*range(1, 9))
    scene.mailbox.before("bodies", fails_on(4, error=Withheld("IMAP server: no")))
    report = scene.poll()
    assert scene.associated == [1, 2, 3, 5, 6, 7, 8]
    assert scene.strikes == {4: 0}
    assert (report.outage, report.counts["deferred"]) == (None, 1)
    assert scene.witness.deferrals[0].error == "IMAP server: no"
    scene.mailbox.heal()
    scene.deliver(9)
    scene.poll()
    assert scene.witness.filed_uids[-2:] == [9, 4]


def test_a_message_that_is_withheld_for_ever_is_never_quarantined(scene: Scene) -> None:
    scene.deliver(1, 2)
    scene.mailbox.before("heads", fails_on(2, error=Withheld("IMAP server: no")))
    for _ in range(6):
        scene.poll()
    assert (scene.queue, scene.strikes) == ([2], {2: 0})


def test_a_server_that_withholds_everything_is_down(scene: Scene) -> None:
    scene.deliver(1, 2, 3)
    scene.mailbox.before("bodies", fails(Withheld("IMAP server: no")))
    report = scene.poll()
    assert str(report.outage) == "IMAP server: no"
    assert scene.witness.deferrals == [], "an outage is reported once"
    assert report.counts["deferred"] == 3


def test_one_withheld_message_alone_is_no_outage(scene: Scene) -> None:
    scene.deliver(1)
    scene.mailbox.before("bodies", fails(Withheld("IMAP server: no")))
    assert scene.poll().outage is None
    assert [each.uid for each in scene.witness.deferrals] == [1]


def test_more_withheld_messages_than_ten_end_the_poll(scene: Scene) -> None:
    scene.limits = Limits(messages=1)
    scene.deliver(*range(1, 31))
    scene.mailbox.before("bodies", fails_on(*range(1, 16), error=Withheld("IMAP server: no")))
    report = scene.poll()
    assert report.outage is not None
    assert len(scene.mailbox.uids_of("bodies")) < 30
    for _ in range(10):
        scene.poll()
    assert scene.associated == list(range(16, 31)), "each poll begins with messages that it was not refused"


def test_withheld_messages_take_turns(scene: Scene) -> None:
    """However many there are, each is asked for in some poll."""
    scene.deliver(*range(1, 31))
    for uid in range(1, 31):
        scene.store.suspect(scene.mailbox.open(), uid, "IMAP server: no")
    scene.mailbox.before("bodies", fails(Withheld("IMAP server: no")))
    asked: set[int] = set()
    for _ in range(40):
        scene.poll()
        asked |= {uid for uids in scene.mailbox.uids_of("bodies") for uid in uids}
    assert len(asked) == 30


def test_a_folder_that_was_made_anew_meanwhile_is_an_outage(scene: Scene) -> None:
    scene.deliver(1, 2)

    def make_anew(_uids: Sequence[int]) -> None:
        scene.mailbox.uidvalidity = 2
        raise Withheld("IMAP server: no")

    scene.mailbox.before("bodies", make_anew)
    report = scene.poll()
    assert report.outage is not None
    assert scene.strikes == {}


def test_what_is_filed_is_not_moved_in_a_folder_that_was_made_anew_meanwhile(scene: Scene) -> None:
    """There the UIDs are those of other messages, which nobody has read."""
    scene.limits = Limits(messages=2)
    scene.deliver(1, 2, 3)

    def make_anew(uids: Sequence[int]) -> None:
        if 3 in uids:
            scene.mailbox.uidvalidity = 2
            scene.mailbox.without_body.add(3)

    scene.mailbox.before("bodies", make_anew)
    report = scene.poll()
    assert scene.witness.filed_uids == [1, 2]
    assert (scene.queue, scene.strikes) == ([1, 2, 3], {})
    assert report.outage is not None


def test_nothing_is_expected_of_the_server_while_a_message_is_alone(scene: Scene) -> None:
    """Else it would be blamed for what the server fails on at another."""
    scene.limits = Limits(messages=2)
    scene.deliver(*range(1, 7))
    for uid in (2, 4):
        scene.store.suspect(scene.mailbox.open(), uid, "")
    scene.poll()
    expected = [uid for name, uids in scene.mailbox.calls if name.startswith("expect") for uid in uids]
    assert sorted(set(expected)) == [1, 3, 5, 6]
    assert scene.associated == [1, 2, 3, 4, 5, 6]
