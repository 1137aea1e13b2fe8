"""Access tokens: fetching, refreshing, and the errors when a provider gives none."""

import json
import socket
import stat
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time

from tests.oauth.provider import CLIENT_ID, Answer, Provider, refusal
from tests.secrecy import CLIENT_SECRET, REFRESH_TOKEN
from tests.servers.cut import Cut
from tests.servers.process import free_port
from worker.domain.errors import LoginRefused, Refused, Unavailable
from worker.domain.servers import OAuthClient
from worker.imap.oauth import TokenSource


def by_secret(provider: Provider, secret: str = CLIENT_SECRET) -> OAuthClient:
    return OAuthClient(provider.token_url, CLIENT_ID, secret, scope="https://outlook.office365.com/.default")


def by_refresh_token(provider: Provider, token: str = REFRESH_TOKEN) -> OAuthClient:
    return OAuthClient(provider.token_url, CLIENT_ID, refresh_token=token)


def test_without_a_refresh_token_the_client_asks_as_itself(provider: Provider) -> None:
    assert TokenSource(by_secret(provider))() == "access-token-1"
    assert provider.asked == [
        {
            "grant_type": "client_credentials",
            "scope": "https://outlook.office365.com/.default",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }
    ]


def test_a_client_without_a_secret_asks_by_its_refresh_token_alone(provider: Provider) -> None:
    assert TokenSource(by_refresh_token(provider))() == "access-token-1"
    assert provider.asked == [{"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN, "client_id": CLIENT_ID}]


def test_connections_opened_together_share_a_token_and_later_ones_get_a_fresh_one(provider: Provider) -> None:
    tokens = TokenSource(by_secret(provider))
    with freeze_time("2026-11-02 09:00") as clock:
        assert [tokens(), tokens()] == ["access-token-1", "access-token-1"]
        clock.tick(timedelta(minutes=5))
        assert tokens() == "access-token-2"


def test_a_token_about_to_expire_is_not_given_again(provider: Provider) -> None:
    provider.lifetime = "90"
    tokens = TokenSource(by_secret(provider))
    with freeze_time("2026-11-02 09:00") as clock:
        assert tokens() == "access-token-1"
        clock.tick(timedelta(seconds=31))
        assert tokens() == "access-token-2"


def test_while_the_endpoint_is_down_a_token_that_still_lives_serves(provider: Provider) -> None:
    tokens = TokenSource(by_secret(provider))
    with freeze_time("2026-11-02 09:00") as clock:
        assert tokens() == "access-token-1"
        provider.answers = [Answer(503, b"down"), Answer(503, b"down")]
        clock.tick(timedelta(minutes=50))
        assert tokens() == "access-token-1"
        clock.tick(timedelta(minutes=9, seconds=1))
        with pytest.raises(Unavailable, match="HTTP 503"):
            tokens()


def test_a_refusal_ends_the_life_of_the_token_in_hand(provider: Provider) -> None:
    tokens = TokenSource(by_secret(provider))
    with freeze_time("2026-11-02 09:00") as clock:
        tokens()
        provider.answers = [refusal("unauthorized_client"), Answer(503, b"down")]
        clock.tick(timedelta(minutes=5))
        with pytest.raises(LoginRefused):
            tokens()
        with pytest.raises(Unavailable, match="HTTP 503"):
            tokens()


@pytest.mark.parametrize(
    ("answer", "expected", "said"),
    [
        pytest.param(refusal("invalid_client", 401), LoginRefused, "gave no access token: invalid_client"),
        pytest.param(refusal("invalid_scope"), LoginRefused, "gave no access token: invalid_scope"),
        pytest.param(refusal("a\x1b[31m"), LoginRefused, "gave no access token: an error that is no word"),
        pytest.param(refusal("temporarily_unavailable"), Unavailable, "none at the moment: temporarily_unavailable"),
        pytest.param(refusal("invalid_client", 429), Unavailable, "no access token but HTTP 429"),
        pytest.param(Answer(404, b"<html>"), LoginRefused, "no access token but HTTP 404"),
        pytest.param(Answer(502, b"{}"), Unavailable, "no access token but HTTP 502"),
        pytest.param(Answer(200, b"<html>"), Unavailable, "its answer cannot be read"),
        pytest.param(Answer(200, b"[]"), Unavailable, "its answer cannot be read"),
        pytest.param(Answer(200, b'{"token_type": "Bearer"}'), Unavailable, "its answer holds no access token"),
        pytest.param(Answer(200, b'{"access_token": 7}'), Unavailable, "its answer holds no access token"),
        pytest.param(
            Answer(200, b'{"access_token": "a", "expires_in": "soon"}'), Unavailable, "its answer cannot be read"
        ),
    ],
)  # fmt: skip
def test_each_answer_that_is_no_token_is_told_in_one_line(
    provider: Provider, answer: Answer, expected: type[Unavailable], said: str
) -> None:
    provider.answers = [answer]
    with pytest.raises(Unavailable) as raised:
        TokenSource(by_secret(provider))()
    host = provider.token_url.split("/")[2]
    assert (raised.type in {expected, *expected.__subclasses__()}, str(raised.value)) == (
        True,
        f"OAuth token endpoint {host}: {said}",
    )
    assert isinstance(raised.value, LoginRefused) is (expected is LoginRefused)


def test_an_endpoint_that_is_not_there_is_an_outage() -> None:
    port = free_port()
    tokens = TokenSource(OAuthClient(f"http://127.0.0.1:{port}/token", CLIENT_ID, CLIENT_SECRET))
    with pytest.raises(Unavailable, match=f"OAuth token endpoint 127.0.0.1:{port}: cannot be reached") as raised:
        tokens()
    assert not isinstance(raised.value, LoginRefused)


def test_an_endpoint_that_never_answers_is_not_waited_for_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/token"
        tokens = TokenSource(OAuthClient(url, CLIENT_ID, CLIENT_SECRET, timeout_seconds=0.2))
        with pytest.raises(Unavailable, match=r"no answer within 0\.2 seconds"):
            tokens()


def test_an_endpoint_with_an_octet_now_and_then_is_not_waited_for_for_ever(provider: Provider) -> None:
    port = int(provider.token_url.split(":")[2].partition("/")[0])
    with Cut(port) as cut:
        cut.trickle(5)
        url = f"http://127.0.0.1:{cut.port}/token"
        tokens = TokenSource(OAuthClient(url, CLIENT_ID, CLIENT_SECRET, timeout_seconds=0.5))
        with pytest.raises(Unavailable, match=f"127.0.0.1:{cut.port}: no whole answer within 2 seconds") as raised:
            tokens()
        assert raised.value.__context__ is None  # it would carry the request, and so the secrets
        cut.resume()
        assert tokens()


def test_a_redirection_is_not_followed_with_the_secrets(provider: Provider) -> None:
    provider.answers = [Answer(307, b"", {"Location": provider.token_url})]
    with pytest.raises(Unavailable, match="cannot be read"):
        TokenSource(by_secret(provider))()
    assert len(provider.asked) == 1


@pytest.mark.parametrize("url", ["http://login.example.com/token", "ftp://localhost/token", "token"])
def test_secrets_never_cross_the_net_in_plain_text(url: str) -> None:
    with pytest.raises(Refused, match="https only"):
        OAuthClient(url, CLIENT_ID, CLIENT_SECRET)


def test_no_secret_shows_in_a_repr_or_a_traceback(provider: Provider) -> None:
    client = OAuthClient(provider.token_url, CLIENT_ID, CLIENT_SECRET, refresh_token="secret-refresh-token")
    tokens = TokenSource(client)
    shown = [repr(client), repr(tokens)]
    for answer in (refusal("invalid_client"), Answer(200, b"secret-refresh-token"), Answer(500, b"")):
        provider.answers = [answer]
        with pytest.raises(Unavailable) as raised:
            tokens()
        assert raised.value.__context__ is None
        shown += [repr(raised.value), "".join(traceback.format_exception(raised.value))]
    assert len(shown) == 8
    assert not any(secret in text for text in shown for secret in (CLIENT_SECRET, "secret-refresh-token"))


def test_a_renewed_refresh_token_is_used_from_then_on_and_outlives_a_restart(
    provider: Provider, tmp_path: Path
) -> None:
    provider.renews_refresh_token = True
    folder = tmp_path / "state"
    with freeze_time("2026-11-02 09:00") as clock:
        tokens = TokenSource(by_refresh_token(provider), state_folder=folder)
        tokens()
        clock.tick(timedelta(hours=2))
        tokens()
    TokenSource(by_refresh_token(provider), state_folder=folder)()
    assert [form["refresh_token"] for form in provider.asked] == [REFRESH_TOKEN, "refresh-token-1", "refresh-token-2"]
    (kept,) = folder.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert REFRESH_TOKEN not in kept.name


def test_a_renewed_refresh_token_serves_also_where_the_disk_takes_nothing(provider: Provider, tmp_path: Path) -> None:
    provider.renews_refresh_token = True
    (tmp_path / "state").write_text("a file where the folder should be")
    with freeze_time("2026-11-02 09:00") as clock:
        tokens = TokenSource(by_refresh_token(provider), state_folder=tmp_path / "state")
        tokens()
        clock.tick(timedelta(hours=2))
        assert tokens() == "access-token-2"
    assert provider.asked[-1]["refresh_token"] == "refresh-token-1"


def test_whoever_sets_another_refresh_token_starts_anew(provider: Provider, tmp_path: Path) -> None:
    provider.renews_refresh_token = True
    TokenSource(by_refresh_token(provider), state_folder=tmp_path)()
    provider.refresh_tokens = {"second-refresh-token"}
    TokenSource(by_refresh_token(provider, "second-refresh-token"), state_folder=tmp_path)()
    assert provider.asked[-1]["refresh_token"] == "second-refresh-token"


def test_a_kept_refresh_token_that_is_revoked_gives_way_to_the_one_that_was_set(
    provider: Provider, tmp_path: Path
) -> None:
    provider.renews_refresh_token = True
    TokenSource(by_refresh_token(provider), state_folder=tmp_path)()
    provider.refresh_tokens = {REFRESH_TOKEN}
    assert TokenSource(by_refresh_token(provider), state_folder=tmp_path)() == "access-token-2"
    assert [form["refresh_token"] for form in provider.asked] == [REFRESH_TOKEN, "refresh-token-1", REFRESH_TOKEN]


def test_revoked_refresh_tokens_refuse_the_login_by_their_code(provider: Provider) -> None:
    provider.refresh_tokens = set()
    with pytest.raises(LoginRefused, match=r": gave no access token: invalid_grant$"):
        TokenSource(by_refresh_token(provider))()


def test_the_answer_may_hold_more_than_we_know(provider: Provider) -> None:
    answer = {"access_token": "a", "expires_in": 3599, "ext_expires_in": 3599, "id_token": "x", "scope": "y"}
    provider.answers = [Answer(200, json.dumps(answer).encode())]
    assert TokenSource(by_secret(provider))() == "a"
