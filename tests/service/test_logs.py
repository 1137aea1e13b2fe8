"""What the log says, compared whole, and what it must never say."""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from freezegun import freeze_time
from structlog.testing import capture_logs

from tests.harness.command import mailbox_settings
from tests.harness.installation import Installation
from worker import logs
from worker.bootstrap import start_log
from worker.domain.addresses import Address
from worker.domain.outcomes import Code, Outcome, Reason, detail
from worker.domain.permissions import Permission, SearchPattern
from worker.domain.tokens import Owner, new_token
from worker.domain.verdicts import Filing, Notice, NoticeKey, Trace, Verdict
from worker.logs import Event, log_deferred, log_filed
from worker.outgoing import Round
from worker.service.turns import log_notices
from worker.settings import Settings

JANE = Owner(
    account_id=1,
    id=2,
    login="jane@example.com",
    enabled=True,
    permissions=frozenset(Permission),
    pattern=SearchPattern.CONTACTS_THEN_LEADS_OR_NEW_CONTACT,
    senders=frozenset({"jane@example.com"}),
)


@pytest.fixture(autouse=True)
def default_logging() -> Iterator[None]:
    handlers = list(logging.getLogger().handlers)
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers = handlers


def filing(*verdicts: Verdict) -> Filing:
    return Filing(
        uid=7,
        arrived_at=datetime(2026, 11, 23, 9, tzinfo=UTC),
        size=900,
        message_id="<one@client.example>",
        sender="jane@example.com",
        subject="Offer",
        recipients=("bob@client.example",),
        verdicts=verdicts,
    )


def logged(secrets: tuple[str, ...] = (), **fields: Any) -> dict[str, object]:
    """Give what one event becomes as JSON."""
    stream = io.StringIO()
    logs.configure(stream=stream, secrets=secrets)
    structlog.get_logger().info(Event.POLL_FINISHED, **fields)
    line: dict[str, object] = json.loads(stream.getvalue())
    return line


OAUTH = {
    "imap_auth": "xoauth2",
    "imap_password": "",
    "oauth_token_url": "https://login.example/token",
    "oauth_client_id": "me",
    "oauth_client_secret": "a-client-secret",
    "oauth_refresh_token": "a-refresh-token",
}


def logged_with(tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str], error: str) -> object:
    """Give an error as the service of these settings logs it."""
    installation = Installation(mailbox_settings(143, "drop", f"sqlite:///{tmp_path}/db"), tmp_path / "worker.env")
    installation.write(**changes)
    start_log(Settings.load_for_mailbox(installation.env_file))
    structlog.get_logger().info(Event.POLL_FINISHED, error=error)
    return json.loads(capsys.readouterr().err)["error"]


def test_an_associated_message_leaves_one_line() -> None:
    with capture_logs() as lines:
        log_filed(filing(Verdict(Outcome.ASSOCIATED, Trace(), owner=JANE)), 1.23456)
    assert lines == [
        {
            "event": "message.associated",
            "log_level": "info",
            "uid": 7,
            "message_id": "<one@client.example>",
            "owner": "jane@example.com",
            "seconds": 1.235,
        }
    ]


def test_lines_name_the_account_where_there_are_several() -> None:
    verdict = Verdict(Outcome.ASSOCIATED, Trace(), owner=replace(JANE, account="Acme"))
    notice = Notice(
        NoticeKey(1, 2, Reason.NO_RECIPIENTS, date(2026, 11, 23)),
        Address.parse("jane@example.com"),
        *("jane@example.com", "Offer", (), "<one@client.example>", datetime(2026, 11, 23, 9, tzinfo=UTC), None, "Acme"),
    )
    with capture_logs() as lines:
        log_filed(filing(verdict), 1)
        log_notices(Round(sent=(notice,), refused=((notice, "no such user"),)))
    assert [(line["event"], line["owner"], line["account"]) for line in lines] == [
        (event, "jane@example.com", "Acme") for event in ("message.associated", "notice.sent", "notice.refused")
    ]


def test_a_rejected_message_says_why() -> None:
    with capture_logs() as lines:
        log_filed(filing(Verdict(Outcome.REJECTED, Trace(), reason=Reason.NO_TOKEN)), 2)
    assert lines == [
        {
            "event": "message.rejected",
            "log_level": "info",
            "uid": 7,
            "message_id": "<one@client.example>",
            "reason": "no_token",
            "seconds": 2,
        }
    ]


def test_a_message_of_two_owners_leaves_the_line_of_its_better_end() -> None:
    verdicts = Verdict(Outcome.REJECTED, Trace(), reason=Reason.REVOKED_TOKEN), Verdict(Outcome.DUPLICATE, Trace())
    with capture_logs() as lines:
        log_filed(filing(*verdicts), 2)
    assert [line["event"] for line in lines] == ["message.duplicate"]


def test_a_quarantined_message_is_an_error_with_its_cause() -> None:
    with capture_logs() as lines:
        log_filed(
            filing(Verdict(Outcome.QUARANTINED, Trace(note=detail(Code.ERROR, error="ValueError (html.py:3)")))), 2
        )
    assert lines == [
        {
            "event": "message.quarantined",
            "log_level": "error",
            "uid": 7,
            "message_id": "<one@client.example>",
            "error": "ValueError (html.py:3)",
            "seconds": 2,
        }
    ]


def test_a_deferred_message_is_named_as_far_as_its_head_could_be_read() -> None:
    with capture_logs() as lines:
        log_deferred(7, "KeyError (html.py:3)", "<one@client.example>", 1.23456)
        log_deferred(8, "KeyError (head.py:3)")
    assert lines == [
        {
            "event": "message.deferred",
            "log_level": "warning",
            "uid": 7,
            "message_id": "<one@client.example>",
            "error": "KeyError (html.py:3)",
            "seconds": 1.235,
        },
        {"event": "message.deferred", "log_level": "warning", "uid": 8, "error": "KeyError (head.py:3)"},
    ]


@pytest.mark.parametrize(("seconds", "is_late"), [(180, False), (180.01, True)])
def test_what_took_more_than_three_minutes_is_late(seconds: float, is_late: bool) -> None:
    # R22
    with capture_logs() as lines:
        log_filed(filing(Verdict(Outcome.ASSOCIATED, Trace(), owner=JANE)), seconds)
    assert ("message.late" in [line["event"] for line in lines]) is is_late


@freeze_time("2026-11-23T09:00:00Z")
def test_a_line_is_json_with_the_time_in_utc() -> None:
    assert logged(seconds=1.5) == {
        "event": "poll.finished",
        "level": "info",
        "timestamp": "2026-11-23T09:00:00Z",
        "seconds": 1.5,
    }


def test_a_whole_token_is_never_logged() -> None:
    token = new_token()
    line = logged(error=f"key ({token}) exists", to=f"drop+{token.upper()}@drop.example.com", all=[token])
    assert token not in json.dumps(line).lower()
    assert line["error"] == f"key ({token[:4]}…) exists"


def test_a_message_id_that_looks_like_a_token_can_still_be_searched_for() -> None:
    assert logged(message_id="<01arz3ndektsv4rrffq69g5fav@x>")["message_id"] == "<01arz3ndektsv4rrffq69g5fav@x>"


def test_a_token_within_a_message_id_is_shortened() -> None:
    assert "k7m2…@" in str(logged(message_id="<drop+k7m2arz3ndektsv4rrffq69g5f@drop.example>")["message_id"])


@pytest.mark.parametrize("field", ["password", "imap_password", "Authorization", "client_secret", "access_token"])
def test_a_field_named_like_a_secret_is_hidden(field: str) -> None:
    fields: dict[str, Any] = {field: "hunter22"}
    assert logged(**fields)[field] == "***"


def test_a_secret_is_struck_out_wherever_it_appears() -> None:
    line = logged(secrets=("hunter22",), error="LOGIN drop hunter22 failed", url="smtp://drop:other@mx.example:25")
    assert (line["error"], line["url"]) == ("LOGIN drop *** failed", "smtp://drop:***@mx.example:25")


@pytest.mark.parametrize(
    "changes",
    [
        {"database_url": "postgresql+psycopg://drop:hunter%2322@db.example/drop"},
        {"database_url": "postgresql+psycopg://drop@db.example/drop?password=hunter%2322"},
        {"smtp_url": "smtps://drop:hunter%2322@mx.example"},
        {"imap_password": "hunter#22"},
        {**OAUTH, "oauth_client_secret": "hunter#22"},
        {**OAUTH, "oauth_refresh_token": "hunter#22"},
    ],
    ids=["database", "database, for libpq", "mail server", "mailbox", "OAuth client", "OAuth refresh token"],
)
def test_every_secret_of_the_settings_is_known(
    changes: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert logged_with(tmp_path, capsys, changes, "login of drop with hunter#22") == "login of drop with ***"


@pytest.mark.parametrize("password", ["a", "drop"])
def test_a_password_so_short_that_it_stands_in_many_words_is_left_there(
    password: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {"database_url": f"postgresql+psycopg://drop:{password}@db.example/drop"}
    assert logged_with(tmp_path, capsys, changes, "login of drop at last") == "login of drop at last"


def test_a_password_that_is_a_common_word_leaves_the_names_of_events_alone() -> None:
    line = logged(secrets=("finished",), error="not finished")
    assert (line["event"], line["error"]) == ("poll.finished", "not ***")


def test_controls_of_strangers_do_not_reach_the_terminal() -> None:
    line = logged(message_id="<a\x1b[31m\nb\u202e@x>", subjects=["a\x00b"])
    assert (line["message_id"], line["subjects"]) == ("<a [31m b @x>", ["a b"])


def test_an_exception_is_one_line_without_what_it_quotes() -> None:
    try:
        raise ValueError("bad part\nDear Bob, in confidence")  # noqa: TRY301
    except ValueError as error:
        line = logged(exc_info=error)
    assert str(line["error"]).startswith("ValueError: bad part (test_logs.py:")
    assert "confidence" not in json.dumps(line)


def test_what_libraries_log_goes_the_same_way() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream, secrets=("hunter22",))
    logging.getLogger("some.library").warning("login as %s", "hunter22")
    logging.getLogger("some.library").info("chatter")
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["event"], line["library"], line["message"]) == ("library", "some.library", "login as ***")
