"""Polls during which the mailbox, the database or another worker gets in the way."""

import pytest

from tests.poll.conftest import Scene
from tests.poll.fakes import FakeMailbox, FakeStore, fails, fails_on
from worker.domain.errors import Conflict, DatabaseUnavailable, Silent, Unavailable
from worker.domain.outcomes import Folder
from worker.poll import Limits

DOWN = Unavailable("IMAP server: nothing listens there")


def port_of(scene: Scene, name: str) -> FakeMailbox | FakeStore:
    return scene.mailbox if name == "mailbox" else scene.store


@pytest.mark.parametrize(
    ("port", "method"),
    [
        ("mailbox", "uids"),
        ("mailbox", "heads"),
        ("mailbox", "bodies"),
        ("store", "known"),
        ("store", "mark"),
        ("store", "issued"),
        ("store", "file"),
    ],
)
def test_an_outage_ends_the_poll_with_a_report_and_the_next_poll_does_the_rest(
    scene: Scene, port: str, method: str
) -> None:
    scene.deliver(*range(1, 6))
    port_of(scene, port).before(method, fails(DOWN))
    report = scene.poll()
    assert report.outage is DOWN
    assert (scene.queue, scene.strikes, scene.marked) == ([1, 2, 3, 4, 5], {}, [])
    assert report.counts["deferred"] == report.backlog
    port_of(scene, port).heal()
    scene.poll()
    assert scene.associated == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("method", ["heads", "bodies"])
def test_an_outage_in_a_later_batch_keeps_what_was_filed_before(scene: Scene, method: str) -> None:
    scene.limits = Limits(messages=2)
    scene.deliver(*range(1, 9))
    scene.mailbox.before(method, fails_on(7, error=DOWN))
    report = scene.poll()
    assert report.outage is DOWN
    assert scene.associated[:4] == [1, 2, 3, 4]
    assert scene.marked == []
    assert report.counts["deferred"] == report.backlog == 8 - len(scene.associated)


@pytest.mark.parametrize("error", [DOWN, Silent("no answer")])
def test_a_batch_that_was_received_is_filed_though_the_server_fails_at_the_next(scene: Scene, error: Exception) -> None:
    scene.limits = Limits(messages=2)
    scene.deliver(1, 2, 3, 4)
    scene.mailbox.before("heads", fails_on(3, error=error))
    report = scene.poll()
    assert (report.outage, scene.associated, scene.marked) == (error, [1, 2], [])


def test_an_outage_while_a_suspect_is_worked_alone_is_no_strike(scene: Scene) -> None:
    scene.deliver(1)
    scene.store.suspect(scene.mailbox.open(), 1, "")
    scene.mailbox.before("bodies", fails(DOWN))
    scene.poll()
    assert (scene.strikes, scene.marked) == ({1: 0}, [])


def test_marks_that_cannot_be_released_during_an_outage_count_nothing_for_this_process(scene: Scene) -> None:
    scene.deliver(1)
    scene.store.before("file", fails(DOWN))
    scene.store.before("release", fails(DOWN))
    assert scene.poll().outage is DOWN
    assert scene.marked == [1]
    scene.store.heal()
    scene.poll()
    assert scene.associated == [1]


def test_a_move_that_fails_is_done_by_the_next_poll(scene: Scene) -> None:
    scene.deliver(1, 2)
    scene.mailbox.before("move", fails(DOWN))
    report = scene.poll()
    assert (report.outage, report.moved, scene.queue) == (DOWN, 0, [1, 2])
    scene.mailbox.heal()
    report = scene.poll()
    assert (scene.associated, report.moved, report.counts["associated"]) == ([1, 2], 2, 0)
    assert scene.store.uids_of("file") == [[1, 2]]


def test_a_folder_that_cannot_be_moved_to_does_not_keep_the_others_waiting(scene: Scene) -> None:
    scene.deliver(1, 2)
    scene.mailbox.messages[3] = scene.mailbox.messages[2].replace(b"jane@sales", b"eve@sales")
    scene.mailbox.before("move", fails_on(1, error=DOWN))
    scene.poll()
    assert scene.mailbox.folders[Folder.REJECTED] == [3]
    assert scene.queue == [1, 2]


def test_moves_are_gathered(scene: Scene) -> None:
    scene.limits = Limits(messages=2)
    scene.deliver(*range(1, 9))
    scene.poll()
    assert scene.mailbox.uids_of("move") == [[1, 2, 3, 4, 5, 6, 7, 8]]


def test_a_long_backlog_is_moved_while_the_rest_is_worked_on(scene: Scene) -> None:
    scene.limits = Limits(messages=2, moves=4)
    scene.deliver(*range(1, 21))
    scene.poll()
    moves = scene.mailbox.uids_of("move")
    assert len(moves) > 1
    assert sorted(uid for uids in moves for uid in uids) == scene.associated == list(range(1, 21))


def test_a_server_that_falls_silent_is_an_outage_and_the_batch_is_worked_one_by_one(scene: Scene) -> None:
    scene.deliver(1, 2, 3)
    scene.mailbox.before("bodies", fails_on(2, error=Silent("IMAP server: no answer")))
    assert isinstance(scene.poll().outage, Silent)
    polls = 0
    while scene.associated != [1, 3]:
        scene.poll()
        polls += 1
        assert polls < 100
    assert scene.strikes == {}, "silence is stored for nobody"
    assert all(len(uids) == 1 for uids in scene.mailbox.uids_of("bodies")[1:])


def test_after_a_silence_mail_that_came_since_goes_first(scene: Scene) -> None:
    scene.deliver(1)
    scene.mailbox.before("bodies", fails_on(1, error=Silent("IMAP server: no answer")))
    scene.poll()
    scene.deliver(2)
    scene.poll()
    assert scene.associated == [2]


def test_a_new_uidvalidity_forgets_the_silence(scene: Scene) -> None:
    scene.deliver(1, 2)
    scene.mailbox.before("bodies", fails(Silent("IMAP server: no answer"), times=1))
    scene.poll()
    scene.mailbox.uidvalidity = 2
    scene.poll()
    assert scene.mailbox.uids_of("bodies") == [[1, 2], [1, 2]]


def test_a_batch_that_lost_a_race_is_decided_again(scene: Scene) -> None:
    scene.deliver(1, 2)
    scene.store.before("file", fails(Conflict("another worker was faster"), times=2))
    report = scene.poll()
    assert (report.outage, scene.associated) == (None, [1, 2])
    assert len(scene.mailbox.uids_of("bodies")) == 1, "fetched once"


def test_what_another_worker_decided_first_is_moved_and_the_rest_is_filed(scene: Scene) -> None:
    scene.deliver(1, 2, 3)
    rival = scene.store.tables.decided

    def decide_first(_uids: object) -> None:
        rival.setdefault(2, Folder.REJECTED)

    scene.store.before("file", decide_first)
    report = scene.poll()
    assert scene.witness.filed_uids == [1, 3]
    assert scene.mailbox.folders[Folder.REJECTED] == [2]
    assert (report.outage, scene.queue) == (None, [])


def test_races_without_an_end_are_an_outage_of_the_database(scene: Scene) -> None:
    scene.deliver(1)
    scene.store.before("file", fails(Conflict("another worker was faster")))
    report = scene.poll()
    assert isinstance(report.outage, DatabaseUnavailable)
    assert (scene.strikes, scene.marked) == ({}, [])


def test_a_report_has_progressed_once_a_message_was_decided_or_moved(scene: Scene) -> None:
    scene.limits = Limits(messages=1)
    scene.deliver(1)
    scene.mailbox.before("bodies", fails(DOWN, times=1))
    assert not scene.poll().has_progressed
    scene.mailbox.before("move", fails(DOWN, times=1))
    assert scene.poll().has_progressed, "decided"
    assert scene.poll().has_progressed, "moved"
    assert not scene.poll().has_progressed, "nothing was left"
