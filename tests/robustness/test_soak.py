"""The worker is killed at random moments while mail keeps coming; by `make soak` a hundred times."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass

import pytest

from tests.harness.command import COMMAND, with_variables
from tests.robustness.scene import Mail, Scene, everyday
from worker.domain.outcomes import Folder
from worker.store.tables import AttemptRow

MOST_SECONDS = 1.2
"""A worker lives up to so long."""
MOST_SECONDS_AT_WORK = 0.4
"""Or up to so long after the first line of its log: what comes at one time takes about half of it."""
SETTINGS = {"batch_messages": "5", "poll_seconds": "1"}


@dataclass(frozen=True)
class Soaked:
    """The result after all kills."""

    messages: int
    kills: int
    kills_at_work: int
    """Kills that left messages unfinished, or committed but not moved."""
    losses: int
    duplicates: int
    quarantined: int
    faults: list[str]

    @property
    def harm(self) -> tuple[int, int, int, list[str]]:
        return self.losses, self.duplicates, self.quarantined, self.faults


NO_HARM: tuple[int, int, int, list[str]] = (0, 0, 0, [])


@pytest.mark.soak
def test_a_hundred_kills_at_random_moments_over_five_thousand_messages(
    scene: Scene, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("SOAK_SEED") or time.time_ns() % 10**6)
    soaked = soak(scene, messages=5000, kills=100, chance=random.Random(seed))
    with capsys.disabled():
        sys.stdout.write(f"\n{kind}, seed {seed}: {soaked}\n")
    assert soaked.harm == NO_HARM
    assert soaked.kills_at_work >= 20, "most kills found nothing to break"


def test_a_few_kills_at_random_moments(scene: Scene) -> None:
    assert soak(scene, messages=200, kills=5, chance=random.Random()).harm == NO_HARM


def soak(scene: Scene, messages: int, kills: int, chance: random.Random) -> Soaked:
    """Deliver some, start a worker, deliver some more, kill it; in the end let one work in peace, and count."""
    mails = everyday(messages)
    share = -(-messages // kills)
    done = killed = at_work = 0
    while killed < kills:
        coming = mails[done * share : (done + 1) * share]
        scene.deliver_mails(coming[: share // 2])
        if _start_and_kill(scene, ("poll", "run")[done % 2], coming[share // 2 :], chance):
            killed += 1
            at_work += _is_unfinished(scene)
        done += 1
    scene.ok("poll", **SETTINGS)
    delivered, found = Counter(mail.raw for mail in mails), Counter(_all_in_folders(scene))
    return Soaked(
        messages=len(scene.mails),
        kills=killed,
        kills_at_work=at_work,
        losses=(delivered - found).total(),
        duplicates=(found - delivered).total(),
        quarantined=len(scene.folder(Folder.QUARANTINE)),
        faults=scene.faults(is_exact=False),
    )


def _start_and_kill(scene: Scene, command: str, coming: list[Mail], chance: random.Random) -> bool:
    """Gives whether it was still alive. Half of them get as far as the log, the others may die while they start."""
    with subprocess.Popen(
        [COMMAND, command],
        env=with_variables(scene.variables(**SETTINGS)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as worker:
        assert worker.stderr
        life = MOST_SECONDS
        if chance.random() < 0.5:
            worker.stderr.readline()
            life = MOST_SECONDS_AT_WORK
        scene.deliver_mails(coming)
        time.sleep(chance.uniform(0, life))
        assert worker.poll() in {None, 0}, worker.stderr.read()
        worker.kill()
        worker.wait()
        return worker.returncode < 0


def _is_unfinished(scene: Scene) -> bool:
    with scene.reading() as crm:
        in_hand = any(row["in_hand"] for row in crm.rows(AttemptRow))
    moved = sum(len(scene.folder(folder)) for folder in Folder)
    return in_hand or len(scene.decided()) > moved


def _all_in_folders(scene: Scene) -> list[bytes]:
    return [raw for folder in (None, *Folder) for raw in scene.folder(folder)]
