"""The search for secrets in outputs finds them, and the log and the records of the core hold none."""

import pytest

from tests.secrecy import CLIENT_SECRET, DOVECOTS_PASSWORD, Shown, judge, secrets_in
from worker.domain.tokens import new_token


@pytest.mark.parametrize("secret", [DOVECOTS_PASSWORD, CLIENT_SECRET, "access-token-7", "hunter22"])
def test_a_secret_in_an_output_is_found(secret: str) -> None:
    with pytest.raises(Shown):
        judge(["user", "add"], f"Traceback: LOGIN drop {secret}")
    assert (
        secrets_in([("Captured stderr call", "fine"), ("Captured stdout call", f"x {secret}")])
        == "Captured stdout call"
    )


def test_a_whole_token_may_be_shown_only_where_it_is_asked_for() -> None:
    token = new_token()
    with pytest.raises(Shown):
        judge(["explain"], f"to drop+{token.upper()}@drop.example.com")
    judge(["dropbox", "show", "jane"], f"drop+{token}@drop.example.com")
    with pytest.raises(Shown):
        judge(["run"], f"token {token}")
    judge(["explain"], f"token {token[:4]}…, <{new_token()}@acme.example>")
