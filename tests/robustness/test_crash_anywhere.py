"""SIGKILL between any two steps of a poll: the next poll makes everything right."""

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.robustness.dying import KILLED, Ended, Worker, Workers
from tests.robustness.scene import Mail, Scene, everyday
from tests.servers.cut import Cut
from tests.servers.dovecot import Dovecot, DovecotSettings
from worker.imap.folders import members

AT_A_TIME = 4
MAILS = 7

_MOVING = re.compile(r"UID COPY|STORE|EXPUNGE|after mailbox.move")
_FETCH = re.compile(r"sent UID FETCH (\S+) (?!.*HEADER\])")
"""Whole heads are what copies are known by, where there is no MOVE."""


@pytest.mark.timeout(300)
def test_a_crash_at_any_step_loses_nothing_and_makes_nothing_twice(
    new_scene: Callable[[], Scene], workers: Workers, folder: Path
) -> None:
    steps = _rehearse(new_scene(), workers, folder)
    _die_at_each(steps, new_scene, workers, folder)


def _rehearse(scene: Scene, workers: Workers, folder: Path) -> list[str]:
    """The steps of a whole poll, among them every kind that there is."""
    scene.deliver_mails(everyday(MAILS))
    ended = workers.run(Worker(scene.variables(), folder))
    assert (ended.code, scene.faults()) == (0, []), ended.log
    for kind in (
        "sent UID SEARCH",
        "sent UID FETCH",
        "literal read",
        "after mailbox.heads",
        "after mailbox.bodies",
        "after store.mark",
        "statement INSERT INTO attempt",
        ("statement INSERT INTO email ", "statement COPY email "),
        ("statement INSERT INTO association", "statement COPY association"),
        ("statement INSERT INTO decision", "statement COPY decision"),
        "before the commit",
        "after store.file",
        "half of UID MOVE",
        "sent UID MOVE",
        "after mailbox.move",
    ):
        assert any(step.startswith(kind) for step in ended.steps), f"no step like {kind!r} was seen"
    return ended.steps


def _die_at_each(steps: list[str], new_scene: Callable[[], Scene], workers: Workers, folder: Path) -> None:
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        faults = list(threads.map(lambda step: _die_at(step, new_scene(), workers, folder), steps))
    wrong = [f"{step}: {fault}" for step, fault in zip(steps, faults, strict=True) if fault]
    assert not wrong, f"{len(wrong)} of {len(steps)} steps:\n" + "\n".join(wrong)


def _die_at(step: str, scene: Scene, workers: Workers, folder: Path) -> list[str]:
    scene.deliver_mails(everyday(MAILS))
    died = workers.run(Worker(scene.variables(), folder, dies_at=step))
    if died.code != KILLED:
        return [f"was not reached: exit {died.code}"]
    decided = scene.decided()
    again = workers.run(Worker(scene.variables(), folder))
    if again.code != 0:
        return [f"the next poll failed: exit {again.code}\n{again.log}"]
    if fetched := decided & _fetched(again):
        return [f"decided before, fetched again: {fetched}"]
    return scene.faults()


def _fetched(ended: Ended) -> set[int]:
    return {uid for uid_set in _uid_sets(ended.steps) for uid in members(uid_set)}


def _uid_sets(steps: Iterable[str]) -> list[str]:
    return [found[1] for step in steps if (found := _FETCH.match(step))]


@pytest.mark.parametrize("without", [("MOVE",), ("MOVE", "UIDPLUS")], ids=" and ".join)
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_crash_in_the_midst_of_a_move_copies_nothing_twice_where_the_server_cannot_move(
    dovecot_with: Callable[[DovecotSettings], Dovecot],
    new_url: Callable[[], str],
    workers: Workers,
    folder: Path,
    without: tuple[str, ...],
) -> None:
    server = dovecot_with(DovecotSettings(without=frozenset(without)))
    rehearsal = Scene(server, new_url())
    rehearsal.deliver_mails(everyday(MAILS))
    ended = workers.run(Worker(rehearsal.variables(), folder))
    assert rehearsal.faults() == []
    steps = [step for step in ended.steps if _MOVING.search(step)]
    assert any("UID COPY" in step for step in steps)
    assert any("EXPUNGE" in step for step in steps)
    _die_at_each(steps, lambda: Scene(server, new_url()), workers, folder)


def test_a_crash_between_commit_and_move_costs_no_second_download(scene: Scene, workers: Workers, folder: Path) -> None:
    """The command itself, counted on the wire."""
    scene.deliver_mails([Mail(number, (f"c{number}@client.example",), size=50_000) for number in range(20)])
    died = workers.run(Worker(scene.variables(batch_messages="250"), folder, dies_at="after store.file #1"))
    assert (died.code, len(scene.decided())) == (KILLED, 20)
    with Cut(scene.dovecot.imap) as cut:
        scene.ok("poll", imap_port=str(cut.port))
        assert cut.passed() < 10_000, "a megabyte was moved on the server, nothing of it over the line"
    assert scene.faults() == []


def test_the_next_batch_is_in_hand_before_this_one_is_stored(scene: Scene, workers: Workers, folder: Path) -> None:
    """SQLite has one writer at a time: a mark beside the storing would wait for its end, and the fetch with it."""
    scene.deliver_mails(everyday(6))
    ended = workers.run(Worker(scene.variables(batch_messages="2"), folder))
    marks, stored = "after store.mark", "after store.file"
    order = [step.partition(" #")[0] for step in ended.steps if step.startswith((marks, stored))]
    assert order == [marks, marks, stored, marks, stored, stored]
