"""A message on which the code fails, or that kills the process: it alone is quarantined, everybody else is filed."""

import json
from pathlib import Path

import pytest

from tests.robustness.dying import KILLED, Ended, Poison, Worker, Workers
from tests.robustness.scene import Mail, Scene, everyday
from worker.domain.outcomes import Folder, Outcome
from worker.store.tables import DecisionRow, VerdictRow

BAD = 4
GOOD = [mail for mail in everyday(12) if mail.number not in {BAD, BAD + 1}]
VICTIM = Mail(BAD, ("victim@client.example",), Outcome.QUARANTINED)


@pytest.fixture
def poison(scene: Scene) -> Poison:
    """Deliver a dozen messages of which one is bad; give what the code does with that one."""
    scene.deliver_mails([*GOOD, VICTIM])
    return Poison(VICTIM.id.encode())


def run(scene: Scene, workers: Workers, folder: Path, poison: Poison | None = None, batch: int = 250) -> Ended:
    return workers.run(Worker(scene.variables(batch_messages=str(batch)), folder, poison=poison))


def strikes(scene: Scene) -> list[tuple[bool, int]]:
    return list(scene.attempts().values())


def deferred(ended: Ended) -> list[str]:
    """The Message-IDs in the lines of what is tried again; each line says how long ago the message arrived."""
    events = [json.loads(line) for line in ended.log.splitlines()]
    told = [event for event in events if event["event"] == "message.deferred"]
    assert all(0 < event["seconds"] < 60 and event["error"].startswith("KeyError") for event in told)
    return [event["message_id"] for event in told]


def note_of(scene: Scene) -> tuple[str, dict[str, str]]:
    """The Message-ID in the decision on the bad message, and its note."""
    with scene.reading() as crm:
        (decision,) = [row for row in crm.rows(DecisionRow) if row["outcome"] == "quarantined"]
        (verdict,) = [row for row in crm.rows(VerdictRow) if row["decision_id"] == decision["id"]]
        return decision["message_id"], verdict["trace"]["note"]


def test_a_message_that_the_code_fails_on_is_quarantined_after_three_polls_and_holds_nobody_up(
    scene: Scene, poison: Poison, workers: Workers, folder: Path
) -> None:
    filed = len(scene.mails) - 1
    for poll in (1, 2):
        ended = run(scene, workers, folder, poison)
        assert (ended.code, deferred(ended)) == (0, [f"<{BAD}@acme.example>"])
        assert len(scene.decided()) == filed, "the rest is filed in the same poll"
        assert strikes(scene) == [(True, poll)]
    assert run(scene, workers, folder, poison).code == 0
    assert scene.faults() == []
    message_id, note = note_of(scene)
    assert message_id == f"<{BAD}@acme.example>"
    assert note["error"].startswith("KeyError")
    assert "dying.py:" in note["error"]


@pytest.mark.parametrize("batch", [4, 250], ids=["while the next batch is fetched", "in one batch"])
def test_a_message_on_which_no_decision_can_be_made_is_quarantined_and_the_rest_is_filed_in_the_same_poll(
    scene: Scene, workers: Workers, folder: Path, batch: int
) -> None:
    scene.deliver_mails([GOOD[0], VICTIM, *GOOD[1:]])
    poison = Poison(VICTIM.id.encode(), at="deciding")
    for poll in (1, 2):
        ended = run(scene, workers, folder, poison, batch)
        assert (ended.code, deferred(ended)) == (0, [VICTIM.id])
        assert len(scene.decided()) == len(GOOD)
        assert strikes(scene) == [(True, poll)]
    assert run(scene, workers, folder, poison, batch).code == 0
    assert scene.faults() == []


def test_a_message_that_kills_the_process_is_quarantined_and_nobody_beside_it_collects_a_strike(
    scene: Scene, poison: Poison, workers: Workers, folder: Path
) -> None:
    deadly = Poison(poison.mark, "kill")
    count = len(scene.mails)
    assert run(scene, workers, folder, deadly).code == KILLED
    for poll in (1, 2, 3):
        assert run(scene, workers, folder, deadly).code == KILLED
        assert len(scene.decided()) == count - 1, "all but the culprit were filed before it killed again"
        assert strikes(scene) == [(True, poll - 1)], "the last death is counted by the next process"
    assert run(scene, workers, folder, deadly).code == 0
    assert scene.faults() == []
    assert note_of(scene)[1] == {"code": "process_crashed"}


def test_a_message_that_kills_the_process_while_its_head_is_judged_is_quarantined_too(
    scene: Scene, poison: Poison, workers: Workers, folder: Path
) -> None:
    """Once more than others: its owner is asked of its head, too, and then no more."""
    deadly = Poison(poison.mark, "kill", at="judging")
    count = len(scene.mails)
    for _ in range(5):
        assert run(scene, workers, folder, deadly).code == KILLED
    assert run(scene, workers, folder, deadly).code == 0
    assert len(scene.decided()) == count
    assert len(scene.folder(Folder.QUARANTINE)) == 1


def test_the_oldest_message_that_kills_the_process_is_tried_last_once_it_has_a_strike(
    scene: Scene, workers: Workers, folder: Path
) -> None:
    scene.deliver_mails([VICTIM, *GOOD])
    deadly = Poison(VICTIM.id.encode(), "kill")
    for decided in (0, 0, len(GOOD)):
        assert run(scene, workers, folder, deadly).code == KILLED
        assert len(scene.decided()) == decided
    assert strikes(scene) == [(True, 1)]


def test_a_message_that_kills_only_now_and_then_is_filed_in_the_end(
    scene: Scene, poison: Poison, workers: Workers, folder: Path
) -> None:
    """Two strikes are not three: what was a fault of the machine harms no message."""
    for _ in range(3):
        assert run(scene, workers, folder, Poison(poison.mark, "kill")).code == KILLED
    assert run(scene, workers, folder).code == 0
    scene.mails = [Mail(mail.number, mail.to) if mail.number == BAD else mail for mail in scene.mails]
    assert scene.faults() == []


def test_mail_that_comes_after_a_crash_is_not_kept_waiting_by_the_suspects(
    scene: Scene, poison: Poison, workers: Workers, folder: Path
) -> None:
    assert run(scene, workers, folder, Poison(poison.mark, "kill")).code == KILLED
    late = Mail(100, ("late@client.example",))
    scene.deliver_mails([late])
    assert run(scene, workers, folder, Poison(poison.mark, "kill")).code == KILLED
    with scene.reading() as crm:
        assert late.id in {row["message_id"] for row in crm.rows(DecisionRow)}


def test_two_poisoned_messages_in_one_batch_are_told_apart(
    scene: Scene, poison: Poison, workers: Workers, folder: Path
) -> None:
    scene.deliver_mails(
        [Mail(200, ("second@client.example",), Outcome.QUARANTINED, message_id=f"<{BAD}@acme.example>")]
    )
    for _ in range(3):
        assert run(scene, workers, folder, poison).code == 0
    assert scene.faults() == []
    assert len(scene.folder(Folder.QUARANTINE)) == 2
