"""`check --probe` through real mail servers: right about the recipes, and about a server that is set up badly."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.harness.installation import Dropbox
from tests.recipes.builds import postfix_dovecot_lmtp
from tests.recipes.chain import MAILBOX, Chain, running
from tests.recipes.letters import OUR_ID, PLAIN, dropbox
from tests.recipes.recipe import Recipe

BELIEF = "probe: RECEIVED_BY and TOKEN_HEADERS"
ENVELOPE = "probe: forged envelope fields"
STAMP = "probe: Authentication-Results"
REQUIRED = {"authserv_id": OUR_ID, "sender_auth": "required"}
SENDERS = "probe: forged senders"

Found = dict[str, dict[str, Any]]


def worker(chain: Chain, folder: Path, **settings: str) -> Dropbox:
    """A worker of that mailbox that sends by that mail server."""
    settings["smtp_url"] = f"smtp://127.0.0.1:{chain.server.port}"
    return Dropbox(chain.dovecot, MAILBOX, f"sqlite:///{folder / 'dropbox.db'}", settings)


def as_recommended(chain: Chain) -> dict[str, str]:
    """Return the fields and hosts of the recipe's worker.env."""
    return {name: chain.recipe.settings()[name] for name in ("received_by", "token_headers")}


def probed(dropbox: Dropbox, code: int = 0) -> Found:
    ran = dropbox.run("check", "--probe", "--wait", "20s", "--json")
    assert ran.code == code, ran.out + ran.err
    return {finding["what"]: finding for finding in ran.json if finding["what"].startswith("probe")}


def results(found: Found) -> dict[str, str]:
    return {what: finding["result"] for what, finding in found.items()}


def messages(chain: Chain) -> int:
    with chain.connect() as client:
        folders = [name for _, _, name in client.list_folders()]
        return sum(client.folder_status(name, ["MESSAGES"])[b"MESSAGES"] for name in folders)


def test_a_recipe_passes_as_its_settings_stand(chain: Chain, tmp_path: Path) -> None:
    before = messages(chain)
    chain.send([dropbox("nobody")], PLAIN)
    chain.arrived(1)
    found = probed(worker(chain, tmp_path, **as_recommended(chain)))
    stamp = found.pop(STAMP)
    assert set(results(found).values()) == {"pass"}, found
    assert "2 copies" in found["probe"]["seen"]
    assert stamp["result"] == "warn"  # the bare recipe does not check senders, or AUTHSERV_ID is not set
    assert messages(chain) == before + 1  # that of somebody else, and nothing of the probe


def test_what_the_probe_says_to_set_is_right(chain: Chain, tmp_path: Path) -> None:
    found = probed(worker(chain, tmp_path, token_headers="X-Unheard-Of", **REQUIRED), code=1)
    assert found[BELIEF]["result"] == "fail"
    stamps = chain.recipe.name == "exim4-lmtp"  # the others need a milter for that
    assert found[STAMP]["result"] == ("pass" if stamps else "fail")
    words = found[BELIEF]["mending"].removeprefix("set ").split(" and ")
    said = {name.lower(): value for name, value in (word.removeprefix("BCC_DROPBOX_").split("=") for word in words)}
    assert said["received_by"] == as_recommended(chain)["received_by"]
    assert said["token_headers"] in as_recommended(chain)["token_headers"].split(",")
    assert probed(worker(chain, tmp_path, **said))[BELIEF]["result"] == "pass"


@pytest.fixture(scope="module")
def bad_chain() -> Iterator[Chain]:
    """Leave out of the recipe what keeps the token and what takes forged fields away."""
    left_out = {
        "bcc-dropbox_destination_recipient_limit = 1": "",
        "header_checks = regexp:$config_directory/bcc-dropbox.header_checks": "",
    }
    with running(Recipe("postfix-dovecot-lmtp"), partial(postfix_dovecot_lmtp, switched_on=left_out)) as chain:
        yield chain


def test_a_server_that_loses_the_tokens_of_two_in_one_mail_is_found_out(bad_chain: Chain, tmp_path: Path) -> None:
    found = probed(worker(bad_chain, tmp_path, **REQUIRED), code=1)
    assert found["probe: tokens"]["seen"] == "both are lost: no field of any copy names them"
    assert "recipient_limit = 1" in found["probe: tokens"]["mending"]
    assert found[ENVELOPE]["seen"] == "a forged Delivered-To would be believed"
    assert found[STAMP]["result"] == "fail"
    assert found[STAMP]["seen"].endswith("it would be believed")
    assert found["probe: traces"]["result"] == "pass"
    assert messages(bad_chain) == 0


def test_the_running_worker_and_the_probe_do_not_disturb_each_other(bad_chain: Chain, tmp_path: Path) -> None:
    dropbox = worker(bad_chain, tmp_path)
    with dropbox.start(log_format="json") as service:
        service.wait_for("poll.finished")
        found = probed(dropbox, code=1)
        assert found["probe"]["result"] == "pass"
        assert found["probe: traces"]["result"] == "pass"
        assert service.end()[0] == 0
    assert messages(bad_chain) == 0


def test_a_probe_that_does_not_come_back_is_told(
    bad_chain: Chain, dovecot: Any, mailbox_user: str, tmp_path: Path
) -> None:
    elsewhere = worker(bad_chain, tmp_path, imap_port=str(dovecot.imap), imap_user=mailbox_user)
    ran = elsewhere.run("check", "--probe", "--wait", "1s", "--json")
    [probe] = [finding for finding in ran.json if finding["what"] == "probe"]
    assert (ran.code, probe["result"], probe["seen"]) == (1, "fail", "nothing came back within 1 s")
    assert "bcc-dropbox-probe@drop.example.com" in probe["mending"]


def test_without_a_mail_server_there_is_no_probe(bad_chain: Chain, tmp_path: Path) -> None:
    dropbox = worker(bad_chain, tmp_path)
    del dropbox.settings["smtp_url"]
    assert probed(dropbox, code=1)["probe"]["mending"] == "set BCC_DROPBOX_SMTP_URL"
