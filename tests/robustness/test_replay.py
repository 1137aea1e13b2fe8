"""`bcc-dropbox replay`: what was refused or failed meets the rules as they are now; what was filed stays filed once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.harness.command import Ran
from tests.robustness.dying import KILLED, Poison, Worker, Workers
from tests.robustness.scene import OWNER, Mail, Scene
from tests.servers.dovecot import DovecotSettings
from worker.domain.outcomes import Folder, Outcome
from worker.store.tables import RecordRow

PRIVATE = "jane.private@home.example"
"""A sender that is registered only after its first mail."""
NO_MOVE = DovecotSettings(without=frozenset({"MOVE"}))

once = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
"""Where nothing hangs on the kind of database."""

Command = Callable[..., Ran]


@pytest.fixture
def command(scene: Scene) -> Command:
    """Run a command on the scene's installation; it must work."""
    return scene.ok


def refused(number: int, **more: Any) -> Mail:
    return Mail(number, (f"c{number}@client.example",), Outcome.REJECTED, sender=PRIVATE, **more)


def register(command: Command) -> None:
    """Take away the reason for which `refused` mail was refused."""
    command("sender", "add", OWNER, PRIVATE, "--trusted")


def results(ran: Ran) -> dict[int, str]:
    """Return the decisions by the UID that each message had at that time."""
    return {message["uid"]: message["result"] for message in ran.json["messages"]}


def expect_filed(scene: Scene, *numbers: int) -> None:
    scene.mails = [
        replace(mail, outcome=Outcome.ASSOCIATED) if mail.number in numbers else mail for mail in scene.mails
    ]


def test_rejected_mail_is_filed_once_its_reason_is_gone_however_often_it_is_replayed(
    scene: Scene, command: Command
) -> None:
    unknown = Mail(4, ("x@client.example",), Outcome.REJECTED, sender="mallory@elsewhere.example")
    scene.deliver_mails([Mail(1, ("new@client.example",)), refused(2), refused(3), unknown])
    command("poll")
    assert scene.faults() == []
    register(command)
    first = command("replay", "--rejected", "sender_not_registered", "--json")
    assert results(first) == {2: "restored", 3: "restored", 4: "restored"}
    second = command("replay", "--rejected", "sender_not_registered", "--json")
    assert results(second) == {2: "waiting", 3: "waiting", 4: "waiting"}
    command("poll")
    expect_filed(scene, 2, 3)
    assert scene.filing_faults() == []
    third = command("replay", "--rejected", "sender_not_registered", "--json")
    assert list(results(third).values()) == ["restored"], "only the stranger's was rejected again"
    command("poll")
    assert scene.filing_faults() == []


@once
def test_one_reason_leaves_the_others_alone(scene: Scene, command: Command) -> None:
    scene.deliver_mails([refused(1)])
    command("poll")
    assert command("replay", "--rejected", "unknown_token", "--json").json == {"messages": []}
    assert scene.faults() == []


@once
def test_mail_without_a_message_id_is_found_again_by_size_and_arrival(scene: Scene, command: Command) -> None:
    scene.deliver_mails([refused(1, has_id=False, size=500), refused(2, has_id=False, size=900)])
    command("poll")
    register(command)
    assert results(command("replay", "2", "--json")) == {2: "restored"}
    assert len(scene.folder(Folder.REJECTED)) == 1
    command("poll")
    expect_filed(scene, 2)
    assert scene.filing_faults() == []


@once
def test_twins_that_nothing_tells_apart_go_back_together(scene: Scene, command: Command) -> None:
    twins = [refused(number, message_id="<same@acme.example>") for number in (1, 2)]
    scene.deliver_mails(twins)
    command("poll")
    register(command)
    assert results(command("replay", "1", "--json")) == {1: "restored"}
    assert scene.folder(Folder.REJECTED) == []
    command("poll")
    assert len(scene.folder(Folder.ASSOCIATED)) == 2
    with scene.reading() as crm:
        assert [row["email"] for row in crm.rows(RecordRow)].count("c1@client.example") == 1


@once
def test_what_a_person_moved_away_is_told_as_missing_and_the_rest_is_put_back(scene: Scene, command: Command) -> None:
    scene.deliver_mails([refused(1), refused(2)])
    command("poll")
    with scene.dovecot.connect(scene.mailbox) as person:
        person.create_folder("Kept")
        person.select_folder(Folder.REJECTED)
        person.move(person.search(["HEADER", "Message-ID", "<1@acme.example>"]), "Kept")
    assert results(command("replay", "1", "2", "--json")) == {1: "missing", 2: "restored"}
    assert scene.folder() == [refused(2).raw]


@once
def test_what_is_filed_for_everybody_is_kept_where_it_is(scene: Scene, command: Command) -> None:
    scene.deliver_mails([Mail(1, ("new@client.example",))])
    command("poll")
    assert results(command("replay", "1", "--json")) == {1: "kept"}
    assert scene.faults() == []


@once
def test_mail_without_a_decision_is_refused_and_nothing_else_is_touched(scene: Scene, command: Command) -> None:
    scene.deliver_mails([refused(1)])
    command("poll")
    ran = scene.run("replay", "1", "77")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "no decision on UID 77" in ran.err
    assert scene.faults() == []


@once
@pytest.mark.parametrize("words", [(), ("1", "--quarantined"), ("--rejected", "weather")])
def test_what_to_replay_is_said_in_one_way(scene: Scene, words: tuple[str, ...]) -> None:
    assert scene.run("replay", *words).code == 2


def test_quarantined_mail_is_filed_once_the_code_is_mended(
    scene: Scene, command: Command, workers: Workers, folder: Path
) -> None:
    bad, deadly = (Mail(number, (f"c{number}@client.example",), Outcome.QUARANTINED) for number in (1, 2))
    scene.deliver_mails([bad])
    for _ in range(3):
        assert workers.run(Worker(scene.variables(), folder, poison=Poison(bad.id.encode()))).code == 0
    scene.deliver_mails([deadly])
    for _ in range(4):
        poison = Poison(deadly.id.encode(), "kill")
        assert workers.run(Worker(scene.variables(), folder, poison=poison)).code == KILLED
    command("poll")
    assert scene.faults() == []
    assert "the process crashed" in command("explain", "2").out
    assert results(command("replay", "--quarantined", "--json")) == {1: "restored", 2: "restored"}
    assert scene.attempts() == {}, "no strike goes with it"
    command("poll")
    expect_filed(scene, 1, 2)
    assert scene.filing_faults() == []
    assert command("replay", "--quarantined", "--json").json == {"messages": []}


@once
def test_strikes_of_mail_that_still_waits_are_forgotten(
    scene: Scene, command: Command, workers: Workers, folder: Path
) -> None:
    bad = Mail(1, ("c@client.example",))
    scene.deliver_mails([bad])
    for _ in range(2):
        workers.run(Worker(scene.variables(), folder, poison=Poison(bad.id.encode())))
    assert scene.attempts() == {1: (True, 2)}
    assert results(command("replay", "1", "--json")) == {1: "retried"}
    assert scene.attempts() == {1: (False, 0)}
    command("poll")
    assert scene.faults() == []


@once
def test_replay_works_where_the_server_cannot_move(
    new_url: Callable[[], str], dovecot_with: Callable[..., Any]
) -> None:
    scene = Scene(dovecot_with(NO_MOVE), new_url())
    command = scene.ok
    scene.deliver_mails([refused(1), refused(2)])
    command("poll")
    register(command)
    assert results(command("replay", "--rejected", "sender_not_registered", "--json")) == {1: "restored", 2: "restored"}
    command("poll")
    expect_filed(scene, 1, 2)
    assert scene.filing_faults() == []
