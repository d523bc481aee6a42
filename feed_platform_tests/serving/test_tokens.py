"""Tokens: kept as hashes, good for their scopes, gone when they are revoked."""

import pytest
from fastapi.testclient import TestClient

from feed_platform.feed import FeedError
from feed_platform.serving import tokens
from feed_platform.serving.app import build_app
from feed_platform.serving.backend import Backend
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

ASKED = {
    "rank": ("POST", "/v1/rank"),
    "feedback": ("POST", "/v1/feedback"),
    "admin": ("GET", "/metrics"),
}


def test_a_token_opens_its_scopes_until_it_is_revoked(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "LOOK_SECONDS", 0.0)
    samples.fill(home)
    backend = Backend.open(home, samples.FEED)
    client = TestClient(build_app(backend), base_url="http://localhost")

    def status(secret: str, scope: str) -> int:
        method, path = ASKED[scope]
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        return client.request(method, path, headers=headers, json={}).status_code

    assert [status("", scope) for scope in ASKED] == [422, 422, 200]  # on loopback, before the first token
    app, mobile = tokens.create(home, "app", ["rank", "feedback"]), tokens.create(home, "ops", ["admin"])
    assert [status("", scope) for scope in ASKED] == [401, 401, 401]
    assert [status(app, scope) for scope in ASKED] == [422, 422, 403]
    assert [status(mobile, scope) for scope in ASKED] == [422, 422, 200]
    assert client.get("/readyz").status_code == 200
    stored = (home.serving / "tokens.json").read_text()
    assert app not in stored and mobile not in stored and '"app"' in stored
    tokens.revoke(home, "app")
    assert [status(app, scope) for scope in ASKED] == [401, 401, 401]
    tokens.revoke(home, "ops")
    assert status("", "rank") == 401
    backend.close()


@pytest.mark.parametrize(("name", "scopes"), [("a/b", ["rank"]), ("a", ["rank", "root"]), ("a", [])])
def test_what_is_no_name_or_scope_is_refused(home: Settings, name: str, scopes: list[str]) -> None:
    with pytest.raises(FeedError):
        tokens.create(home, name, scopes)


def test_a_name_is_given_once(home: Settings) -> None:
    tokens.create(home, "app", ["rank"])
    with pytest.raises(FeedError, match="revoke"):
        tokens.create(home, "app", ["rank"])
    with pytest.raises(FeedError, match="no token"):
        tokens.revoke(home, "other")
