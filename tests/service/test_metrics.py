"""The Prometheus endpoint of the running service, and the dashboard that asks it."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import socket
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from tests.harness.installation import Dropbox
from tests.servers.dovecot import Dovecot
from tests.servers.process import free_port
from tests.service.test_running import LETTER
from worker.service.metrics import Figures, Handler, MetricsServer
from worker.settings import Settings
from worker.settings.variables import ListenAddress
from worker.store.database import Database
from worker.store.schema import migrate

DASHBOARD = Path(__file__).parents[2] / "config" / "grafana-dashboard.json"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(port: int) -> Samples:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=15) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"bcc_dropbox_{name}", frozenset(labels.items())))


def deliver_each_kind(installation: Dropbox) -> None:
    """Two that are rejected, and one that is associated."""
    address = installation.add_user("jane@example.com")
    to_jane = LETTER.replace(b"drop+k7m2arz3ndektsv4rrffq69g5f@drop.example.com", address.encode())
    installation.deliver(LETTER % 1, LETTER % 2, to_jane % 3)


@pytest.fixture
def port(installation: Dropbox) -> int:
    """Let the installation's services listen there."""
    port = free_port()
    installation.settings["metrics_address"] = f"127.0.0.1:{port}"
    return port


@pytest.mark.parametrize("said", [b"", b"GET /met"], ids=["nothing", "half a line"])
def test_a_connection_that_is_silent_ends(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "timeout", 0.2)
    address = ListenAddress("127.0.0.1", free_port())
    with closing(MetricsServer(address, Figures(Settings.load, lambda: False))), closing(socket()) as client:
        client.settimeout(10)
        client.connect((address.host, address.port))
        client.sendall(said)
        assert client.recv(1) == b""


def test_the_figures_are_those_of_status(installation: Dropbox, port: int) -> None:
    deliver_each_kind(installation)
    installation.start().wait_for("poll.finished")
    samples = scraped(port)
    status = installation.run("status", "--json").json
    (mailbox,) = status["mailboxes"]
    for period in ("today", "week"):
        for outcome, count in status[period]["outcomes"].items():
            assert value(samples, "period_messages", period=period, outcome=outcome) == count
        assert value(samples, "period_rejected", period=period, reason="unknown_token") == 2
        for quantile, name in (("0.5", "p50_seconds"), ("0.99", "p99_seconds")):
            seconds = value(samples, "period_seconds", period=period, quantile=quantile)
            assert seconds == status[period][name]
            assert seconds is not None
    assert value(samples, "backlog_messages", mailbox=mailbox["mailbox"]) == mailbox["backlog"] == 0
    assert value(samples, "last_good_poll_timestamp_seconds", mailbox=mailbox["mailbox"])
    assert value(samples, "oldest_message_timestamp_seconds", mailbox=mailbox["mailbox"]) is None
    assert value(samples, "messages_total", outcome="rejected", reason="unknown_token") == 2
    assert value(samples, "messages_total", outcome="associated", reason="") == 1
    assert value(samples, "messages_total", outcome="duplicate", reason="") == 0
    assert value(samples, "association_seconds_count") == value(samples, "association_seconds_bucket", le="+Inf") == 1
    assert [value(samples, name) for name in ("active", "database_up", "period_known")] == [1, 1, 1]


def test_the_process_itself_shows_these_series_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCC_DROPBOX_DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    families = Figures(Settings.load, lambda: True).registry.collect()
    samples = {sample.name: sample.value for family in families for sample in family.samples}
    assert samples == {
        "bcc_dropbox_active": 1,
        "bcc_dropbox_database_up": 0,
        "bcc_dropbox_messages_total": 0,
        "bcc_dropbox_association_seconds_bucket": 0,
        "bcc_dropbox_association_seconds_count": 0,
        "bcc_dropbox_association_seconds_sum": 0,
    }


def test_a_database_that_is_down_is_one_of_the_figures(installation: Dropbox, port: int) -> None:
    installation.start(database_url="postgresql+psycopg://nobody@127.0.0.1:1/none").wait_for("database.unavailable")
    samples = scraped(port)
    assert (value(samples, "database_up"), value(samples, "active")) == (0, 0)


def test_sums_that_take_too_long_are_told_from_a_database_that_is_down(
    installation: Dropbox, database_url: str
) -> None:
    database = Database.open(database_url)
    migrate(database)
    installation.write(database_url=f"{database_url}?options=-c%20lock_timeout%3D200")
    settings = Settings.load(installation.env_file)
    with closing(database), database.begin() as connection:
        connection.execute(text("LOCK TABLE decision"))
        found = {
            sample.name: sample.value
            for each in Figures(lambda: settings, lambda: False).collect()
            for sample in each.samples
        }
    assert (found["bcc_dropbox_database_up"], found["bcc_dropbox_period_known"]) == (1, 0)
    assert "bcc_dropbox_standby_workers" in found
    assert "bcc_dropbox_period_messages" not in found


def test_a_worker_that_stands_by_says_so(
    installation: Dropbox, port: int, database_url: str, mailbox_user: str
) -> None:
    installation.settings["database_url"] = database_url
    installation.start(metrics_address="").wait_for("poll.finished")
    installation.start(metrics_address=f"127.0.0.1:{port}").wait_for("worker.standby")
    samples = scraped(port)
    assert value(samples, "active") == 0
    assert value(samples, "standby_workers", mailbox=f"{mailbox_user}@127.0.0.1/INBOX") == 1


def test_an_address_that_is_taken_stops_the_start_with_its_name(installation: Dropbox, dovecot: Dovecot) -> None:
    installation.settings["metrics_address"] = f"127.0.0.1:{dovecot.imap}"
    ran = installation.run("run")
    assert ran.code == 1
    assert ran.err.startswith(f"error: BCC_DROPBOX_METRICS_ADDRESS is 127.0.0.1:{dovecot.imap}, where nobody can")


def test_a_reload_moves_the_endpoint(installation: Dropbox, port: int) -> None:
    service = installation.start()
    service.wait_for("poll.finished")
    elsewhere = free_port()
    installation.write(metrics_address=f"127.0.0.1:{elsewhere}")
    service.send(signal.SIGHUP)
    service.wait_for("settings.reloaded")
    assert value(scraped(elsewhere), "database_up") == 1
    with pytest.raises(URLError):
        scraped(port)


def test_a_reload_moves_the_endpoint_to_all_addresses_of_this_machine(installation: Dropbox, port: int) -> None:
    service = installation.start()
    service.wait_for("poll.finished")
    installation.write(metrics_address=f"0.0.0.0:{port}")
    service.send(signal.SIGHUP)
    service.wait_for("settings.reloaded")
    with urlopen(f"http://127.0.0.2:{port}/metrics", timeout=15) as answer:
        assert answer.status == 200


def test_an_endpoint_that_cannot_be_moved_stays_where_it_was(
    installation: Dropbox, port: int, dovecot: Dovecot
) -> None:
    service = installation.start()
    service.wait_for("poll.finished")
    installation.write(metrics_address=f"127.0.0.1:{dovecot.imap}")
    service.send(signal.SIGHUP)
    (problem,) = service.wait_for("settings.refused")["problems"]
    assert "where nobody can listen" in problem
    assert value(scraped(port), "database_up") == 1


def expressions(dashboard: Any) -> Iterator[str]:
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (each["definition"] for each in dashboard["templating"]["list"] if "definition" in each)


def test_the_dashboard_asks_only_for_figures_that_there_are(installation: Dropbox, port: int) -> None:
    deliver_each_kind(installation)
    installation.start().wait_for("poll.finished")
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=15) as answer:
        told = answer.read().decode()
    there = set(re.findall(r"^# TYPE (\w+)", told, re.MULTILINE)) | {name for name, _ in scraped(port)}
    labels = {label for _, pairs in scraped(port) for label, _ in pairs} | {"instance"}
    asked = list(expressions(json.loads(DASHBOARD.read_text())))
    names = {name for expression in asked for name in re.findall(r"\bbcc_dropbox_\w+", expression)}
    assert len(names) >= 10
    assert names <= there
    grouped = {
        label for each in asked for found in re.findall(r"by \(([\w, ]+)\)", each) for label in found.split(", ")
    }
    assert grouped <= labels
    selected = {label for each in asked for label in re.findall(r"(\w+)(?:=~|!=|=)\"", each)}
    assert selected <= labels


def test_the_dashboard_is_laid_out_without_overlap() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    cells = [
        (x, y)
        for panel in dashboard["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
