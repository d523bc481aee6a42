"""The page at `/` in a real browser, against a real replica."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from feed_platform.features import online
from feed_platform.interactions.records import decode_feedback
from feed_platform.serving import pages, tokens
from feed_platform.serving.app import build_app
from feed_platform.serving.backend import Backend
from feed_platform.settings import Settings
from feed_platform_tests.serving import browser, samples
from feed_platform_tests.serving.browser import Tab
from feed_platform_tests.serving.test_app import awaited, payloads
from feed_platform_tests.serving.test_challenger import point_challenger_at

needs_chromium = pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium on the PATH")
EVIL = "<img src=x onerror=boom=1>"
READY = "document.querySelectorAll('.card').length > 0 && columns.getAttribute('aria-busy') === 'false'"
FIRST = "document.querySelector('.card').dataset.post"
NAMELESS = """
[...document.querySelectorAll('button, input, summary, a')]
  .filter(one => !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length))
  .map(one => one.outerHTML)
"""
TOO_PALE = r"""
(() => {
  const channel = value => value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const light = color => {
    const [r, g, b] = color.match(/[\d.]+/g).slice(0, 3).map(part => channel(part / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = node => {
    const color = node ? getComputedStyle(node).backgroundColor : 'rgb(255, 255, 255)';
    return /, 0\)$/.test(color) ? behind(node.parentElement) : color;
  };
  const ratio = node => {
    const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((x, y) => y - x);
    return (a + .05) / (b + .05);
  };
  const hasText = node => [...node.childNodes].some(one => one.nodeType === 3 && one.data.trim());
  return [...document.querySelectorAll('body *')]
    .filter(node => node.offsetParent && !node.disabled && hasText(node) && ratio(node) < 4.5)
    .map(node => `${node.className}: ${node.textContent.slice(0, 40)}`);
})()
"""
SHOWN = "[...document.querySelectorAll('.card')].map(one => one.dataset.post)"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser.chromium(tmp_path_factory.mktemp("chromium")) as found:
        found.look(1280, 900)
        yield found


@pytest.fixture
def replica(home: Settings) -> Iterator[Backend]:
    samples.fill(home)
    backend = Backend.open(home.model_copy(update={"deadline_ms": 60_000}), samples.FEED)
    yield backend
    backend.close()


@pytest.fixture
def address(replica: Backend) -> Iterator[str]:
    with browser.served(build_app(replica)) as url:
        yield url


def visit(tab: Tab, url: str, user: str = "u1", more: str = "") -> None:
    tab.errors.clear()
    tab.open(f"{url}/#user={quote(user)}{more}")
    tab.until(READY)


def click(tab: Tab, event: str, post: str) -> None:
    tab.run(f"document.querySelector('[data-post=\"{post}\"] [data-event={event}]').click()")


def test_the_page_is_small_and_its_policy_lets_nothing_else_in() -> None:
    page = pages.explorer()
    assert len(page.html.encode()) < 100_000
    assert "//" not in page.html and " style=" not in page.html
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe" not in policy and policy.count("sha256-") == 2 and "default-src 'none'" in policy


@needs_chromium
def test_a_feed_is_shown_with_what_made_it(tab: Tab, address: str) -> None:
    visit(tab, address)
    text = tab.run("document.body.innerText")
    for part in ("tiny", "Feed of u1", "Champion", "10 Jan 09:00 UTC", "click ", "score"):
        assert part in text
    assert len(tab.run(SHOWN)) == 20
    tab.run("document.querySelector('summary').click()")
    assert "Chance of this place: 1.000" in tab.run("document.querySelector('.card').innerText")
    assert "an average post" in tab.run("document.querySelector('.card details').innerText")
    assert not tab.errors


@needs_chromium
def test_looking_leaves_no_trace_until_it_is_asked_to_count(tab: Tab, address: str, replica: Backend) -> None:
    visit(tab, address)
    logs = replica.settings.logs
    assert not payloads(logs / "requests")
    tab.run("count.click()")
    tab.until(READY)
    events = [decode_feedback(payload) for payload in awaited(logs / "feedback", 1)]
    assert awaited(logs / "requests", 1)
    assert events[0].event_type == "impression" and events[0].position and events[0].request_id


@needs_chromium
def test_hide_takes_effect_at_once_by_keyboard_and_stays(tab: Tab, address: str) -> None:
    visit(tab, address)
    post = tab.run(FIRST)
    tab.run("document.querySelector('[data-event=hide]').focus()")
    tab.press("Enter")
    assert post not in tab.run(SHOWN)
    assert tab.run("document.activeElement.dataset.event") == "hide"  # the next card's
    tab.until("live.textContent.includes('stays away')")
    visit(tab, address)
    assert post not in tab.run(SHOWN)


@needs_chromium
def test_a_like_says_when_it_counts_and_the_feed_before_stays_beside_the_one_after(
    tab: Tab, address: str, home: Settings, replica: Backend
) -> None:
    visit(tab, address)
    post = tab.run(FIRST)
    click(tab, "like", post)
    tab.until("document.querySelector('.said:not([hidden])') !== null")
    assert "counts with the next refresh" in tab.run("document.querySelector('.card').innerText")
    samples.publish_snapshot(home, samples.AS_OF + timedelta(hours=1))
    replica.store.refresh()
    visit(tab, address)
    assert tab.run("[...document.querySelectorAll('h3')].map(one => one.textContent)") == [
        "Before, features as of 10 Jan 09:00 UTC",
        "After, features as of 10 Jan 10:00 UTC",
    ]
    assert tab.run("document.querySelectorAll('.move').length") >= 20
    tab.run("back.click()")
    assert tab.run("document.querySelectorAll('h3').length") == 1


@needs_chromium
def test_champion_and_challenger_side_by_side(
    tab: Tab, address: str, home: Settings, replica: Backend
) -> None:
    visit(tab, address)
    assert tab.run("compare.disabled")
    point_challenger_at(home, samples.make_bundle(2), "2")
    replica.store.refresh()
    visit(tab, address, more="&compare=1")
    assert tab.run("[...document.querySelectorAll('h3')].map(one => one.textContent)") == [
        "Champion",
        "Challenger",
    ]
    assert tab.run("document.querySelectorAll('.move.up, .move.new').length") > 0
    assert not payloads(replica.settings.logs / "requests")


@needs_chromium
def test_ids_from_logs_are_text_and_nothing_else(
    tab: Tab, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online.OnlineSnapshot, "sample_users", lambda self: [EVIL])
    visit(tab, address, EVIL)
    assert EVIL in tab.run("whose.textContent") and EVIL in tab.run("people.textContent")
    assert not tab.run("document.querySelector('img') !== null || 'boom' in window")
    assert tab.run("eval === null") is False and not tab.errors


@needs_chromium
def test_troubles_are_told_in_words_and_a_token_is_asked_for(
    tab: Tab, address: str, home: Settings, replica: Backend
) -> None:
    secret = tokens.create(home, "page", ["rank"])
    replica_url = f"{address}/#user=u1"
    tab.open(replica_url)
    tab.until("gate.open")
    tab.run(f"token.value = {json.dumps(secret)}; document.querySelector('#gate button').click()")
    tab.until(READY)
    click(tab, "like", tab.run(FIRST))
    assert "scope feedback" in tab.until("document.querySelector('.said.bad')?.textContent")
    replica.store.loaded = type(replica.store.loaded)()
    tab.run("ask.requestSubmit()")
    assert "can't answer now" in tab.until("document.querySelector('.note.bad')?.textContent")
    assert "by itself in 1 s" in tab.run("notes.textContent")


@needs_chromium
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_small_window_has_names_and_contrast(tab: Tab, address: str, dark: bool) -> None:
    tab.look(360, 740, dark)
    visit(tab, address)
    assert tab.run("document.documentElement.scrollWidth") <= 360
    assert tab.run(NAMELESS) == []
    assert tab.run(TOO_PALE) == []
    tab.look(1280, 900)


def test_the_explorer_answers_whoever_may_rank(home: Settings, replica: Backend) -> None:
    client = TestClient(build_app(replica), base_url="http://localhost")
    facts = client.get("/v1/explorer").json()
    assert facts["feed"] == "tiny" and facts["challenger"] is None and "hide" in facts["event_types"]
    tokens.create(home, "page", ["feedback"])
    replica_with_tokens = TestClient(build_app(replica), base_url="http://localhost")
    assert replica_with_tokens.get("/v1/explorer").status_code == 401
    assert replica_with_tokens.get("/").status_code == 200


def screenshots(tab: Tab, url: str, user: str, folder: Path) -> None:
    """The pictures of docs/explorer.md."""
    for name, dark, more in (("light", False, ""), ("dark", True, ""), ("compare", False, "&compare=1")):
        tab.look(1180, 980, dark)
        visit(tab, url, user, more)
        tab.screenshot(folder / f"explorer-{name}.png")
