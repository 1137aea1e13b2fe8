"""Which messages a poll takes in which order, how many at a time, and when it stops."""

from collections.abc import Callable

import pytest

from tests.filing.made import raw_mail
from tests.poll.conftest import Scene
from worker.domain.outcomes import Folder
from worker.poll import Limits


def stops_after(calls: int) -> Callable[[], bool]:
    """A stop condition that is false for this many calls."""
    left = [calls]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    return stop


def test_an_empty_queue_costs_no_search_and_no_statement(scene: Scene) -> None:
    report = scene.poll()
    assert (report.found, report.backlog, report.outage) == (0, 0, None)
    assert scene.mailbox.calls == [("open", ())]
    assert scene.store.calls == []


def test_each_message_is_filed_and_moved_once(scene: Scene) -> None:
    scene.deliver(1, 2, 3)
    report = scene.poll()
    assert scene.associated == scene.witness.filed_uids == [1, 2, 3]
    assert (scene.queue, scene.store.tables.marks) == ([], {})
    assert (report.found, report.moved, report.backlog) == (3, 3, 0)
    assert report.counts == {"associated": 3, "duplicate": 0, "quarantined": 0, "rejected": 0, "deferred": 0}


def test_messages_are_filed_in_the_order_of_their_uids(scene: Scene) -> None:
    scene.limits = Limits(messages=2)
    scene.deliver(30, 7, 12, 5, 9)
    scene.poll()
    assert scene.witness.filed_uids == [5, 7, 9, 12, 30]
    assert scene.mailbox.uids_of("bodies") == [[5, 7], [9, 12], [30]]


def test_a_batch_holds_no_more_messages_than_its_limit(scene: Scene) -> None:
    scene.limits = Limits(messages=4)
    scene.deliver(*range(1, 11))
    scene.poll()
    assert scene.mailbox.uids_of("heads") == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert scene.store.uids_of("file") == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


def test_bodies_beyond_the_limit_of_bytes_are_fetched_with_the_next_batch(scene: Scene) -> None:
    scene.limits = Limits(octets=5_000)
    scene.deliver(1, 2, 3, size=2_000)
    scene.poll()
    assert scene.mailbox.uids_of("bodies") == [[1, 2], [3]]
    assert scene.associated == [1, 2, 3]


def test_a_message_larger_than_a_batch_is_fetched_by_itself(scene: Scene) -> None:
    scene.limits = Limits(octets=5_000)
    scene.deliver(1, 3)
    scene.deliver(2, size=20_000)
    scene.poll()
    assert [2] in scene.mailbox.uids_of("bodies")
    assert scene.associated == [1, 2, 3]


def test_the_next_bodies_are_asked_for_before_a_batch_is_filed_and_received_afterwards(scene: Scene) -> None:
    """The server sends them meanwhile. Two batches in memory would need twice as much."""
    scene.limits = Limits(messages=2)
    scene.deliver(1, 2, 3, 4, 5)
    scene.store.before("file", lambda uids: scene.mailbox.calls.append(("(filing)", tuple(uids))))
    scene.poll()
    between = [call for call in scene.mailbox.calls if call[0] not in {"open", "uids", "heads", "move"}]
    assert between == [
        ("expect_bodies", (1, 2)),
        ("expect_heads", (3, 4)),
        ("bodies", (1, 2)),
        ("expect_bodies", (3, 4)),
        ("expect_heads", (5,)),
        ("(filing)", (1, 2)),
        ("bodies", (3, 4)),
        ("expect_bodies", (5,)),
        ("(filing)", (3, 4)),
        ("bodies", (5,)),
        ("(filing)", (5,)),
    ]


def test_many_messages_are_moved_between_two_batches_while_nothing_is_expected(scene: Scene) -> None:
    scene.limits = Limits(messages=2, moves=4)
    scene.deliver(*range(1, 8))
    scene.poll()
    steps = [call for call in scene.mailbox.calls if call[0] in {"bodies", "expect_bodies", "move"}]
    assert steps[3:8] == [
        ("bodies", (3, 4)),
        ("expect_bodies", (5, 6)),
        ("bodies", (5, 6)),
        ("move", (1, 2, 3, 4)),
        ("expect_bodies", (7,)),
    ]
    assert scene.associated == list(range(1, 8))


def test_the_next_batch_is_marked_before_this_one_is_filed(scene: Scene) -> None:
    scene.limits = Limits(messages=1)
    scene.deliver(1, 2)
    scene.poll()
    order = [(name, uids) for name, uids in scene.store.calls if name in {"mark", "file"}]
    assert order == [("mark", (1,)), ("mark", (2,)), ("file", (1,)), ("file", (2,))]


def test_a_message_is_marked_before_the_server_is_asked_for_it(scene: Scene) -> None:
    scene.deliver(1)
    marked: list[list[int]] = []
    scene.mailbox.before("heads", lambda _uids: marked.append(list(scene.marked)))
    scene.poll()
    assert marked == [[1]]


def test_a_long_queue_is_searched_in_windows(scene: Scene) -> None:
    scene.limits = Limits(search=3)
    scene.deliver(*range(1, 8))
    scene.poll()
    assert scene.store.uids_of("known") == [[1, 2, 3], [4, 5, 6], [7]]
    assert scene.associated == list(range(1, 8))


def test_a_message_that_its_head_rejects_costs_no_body(scene: Scene) -> None:
    scene.deliver(1)
    scene.mailbox.messages[2] = raw_mail(sender="eve@elsewhere.example")
    report = scene.poll()
    assert scene.mailbox.uids_of("bodies") == [[1]]
    assert scene.mailbox.folders[Folder.REJECTED] == [2]
    assert report.counts["rejected"] == 1


def test_attachments_that_are_too_large_by_the_servers_word_cost_no_body(scene: Scene) -> None:
    # R21
    scene.deliver(1, size=scene.rules.max_attachment_bytes)
    scene.mailbox.attachments[1] = scene.rules.max_attachment_bytes + 1
    scene.poll()
    assert scene.mailbox.uids_of("bodies") == []
    assert scene.mailbox.folders[Folder.REJECTED] == [1]


def test_a_message_that_disappears_before_its_head_is_read_is_passed_over(scene: Scene) -> None:
    scene.deliver(1, 2)
    scene.mailbox.before("heads", lambda _uids: scene.mailbox.remove(2))
    report = scene.poll()
    assert (scene.associated, report.outage) == ([1], None)
    assert scene.store.tables.marks == {}


def test_a_message_that_disappears_before_its_body_is_read_is_passed_over(scene: Scene) -> None:
    scene.deliver(1, 2)
    scene.mailbox.before("bodies", lambda _uids: scene.mailbox.remove(2))
    report = scene.poll()
    assert (scene.associated, report.outage) == ([1], None)
    assert scene.store.tables.marks == {}


def test_a_stop_ends_the_poll_after_the_batch_in_work(scene: Scene) -> None:
    scene.limits = Limits(messages=1)
    scene.deliver(*range(1, 9))
    report = scene.poll(stops_after(4))
    assert 1 <= len(scene.associated) < 8
    assert scene.associated == scene.witness.filed_uids, "what is filed is moved"
    assert report.backlog == len(scene.queue) > 0
    assert scene.marked == []


def test_a_stop_before_the_first_batch_touches_nothing(scene: Scene) -> None:
    scene.deliver(1, 2)
    scene.poll(lambda: True)
    assert scene.queue == [1, 2]
    assert scene.store.tables.marks == {}


def test_a_stop_leaves_the_suspects_for_the_next_poll(scene: Scene) -> None:
    scene.deliver(1, 2)
    scene.store.suspect(scene.mailbox.open(), 2, "")
    scene.poll(lambda: 1 in scene.store.tables.decided)
    assert (scene.associated, scene.queue) == ([1], [2])


def test_each_batch_that_is_fetched_and_each_that_is_filed_is_progress(scene: Scene) -> None:
    scene.limits = Limits(messages=1)
    scene.deliver(1, 2, 3)
    scene.poll()
    assert scene.witness.steps == 6


@pytest.mark.parametrize("count", [1, 250, 600])
def test_any_number_of_messages_is_filed_in_one_poll(scene: Scene, count: int) -> None:
    scene.deliver(*range(1, count + 1))
    assert scene.poll().counts["associated"] == count
    assert scene.queue == []
