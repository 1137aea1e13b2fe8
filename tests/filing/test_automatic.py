"""R23: automatic mail is not correspondence, and what is no sign of it."""

import pytest

from tests.filing.made import World, raw_mail
from worker.domain.messages import LOOP_MARK
from worker.domain.outcomes import Outcome, Reason


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: auto-generated",
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: Auto-Notified; owner-email=x",
        "auto-submitted: (why) auto-replied",
        "Auto-Submitted: ((x) y) auto-replied",
        "Auto-Submitted: (a (b (c) d) e)auto-replied(f)",
        r"Auto-Submitted: (a \) b) auto-replied",
        "Auto-Submitted: anything-new",
        f"{LOOP_MARK}: 1",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="x"',
        'Content-Type: Multipart/Report; boundary=x;\n\tREPORT-TYPE="delivery-status"',
    ],
)
def test_automatic_mail_is_rejected(field: str) -> None:
    verdict = World().verdict(raw_mail(extra=f"{field}\n"))
    assert (verdict.outcome, verdict.reason) == (Outcome.REJECTED, Reason.AUTOMATIC)
    assert verdict.trace.note


@pytest.mark.parametrize("path", ["<>", " < > ", "<>\t"])
def test_an_empty_return_path_is_a_sign(path: str) -> None:
    raw = raw_mail().replace(b"Return-Path: <jane@sales.example>", f"Return-Path: {path}".encode())
    assert World().verdict(raw).reason is Reason.AUTOMATIC


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: no",
        "Auto-Submitted: No (a person wrote this)",
        "Auto-Submitted: ((auto-replied) auto-replied) no(t)",
        "Auto-Submitted:",
        "X-Auto-Response-Suppress: All",
        "Precedence: bulk",
        "Precedence: list",
        "List-Id: <x.example>",
        "X-Autoreply: yes",
        "Content-Type: multipart/mixed; boundary=x",
        "Return-Path: <>",
    ],
)
def test_what_is_no_sign_of_automatic_mail(field: str) -> None:
    """The second Return-Path is the sender's own invention."""
    assert World().verdict(raw_mail(extra=f"{field}\n")).outcome is Outcome.ASSOCIATED
