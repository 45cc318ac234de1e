"""Crawlers, prefetching and HEAD: served, but never recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from werkzeug.test import create_environ

from flask_abx.runtime.client import is_bot, is_silent
from tests.checks.browser import Browser

if TYPE_CHECKING:
    from tests.conftest import MakeApp
    from tests.runtime.conftest import Sign

NAME = "__Host-abx"
ANNA = "a" * 32

CRAWLERS = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; "
        "+http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36"
    ),
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
    "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; "
        "+https://openai.com/gptbot)"
    ),
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Twitterbot/1.0",
    "WhatsApp/2.23.20.0",
    "kube-probe/1.29",
    "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
    "Scrapy/2.11 (+https://scrapy.org)",
    "some_bot_of_ours/1",
]
PEOPLE = [
    "",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
        "(KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
    ),
    "Mozilla/5.0 (Linux; Android 9; CUBOT) AppleWebKit/537.36 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; CUBOT_X30) AppleWebKit/537.36 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 6.0; CUBOT DINOSAUR Build/MRA58K) AppleWebKit/537.36",
    "Mozilla/5.0 (Linux; Android 7.0; Cubot Note S; wv) AppleWebKit/537.36",
    "curl/8.5.0",
    "python-requests/2.32.3",
    "python-httpx/0.28.1",
    "Werkzeug/3.1.3",
    "Wget/1.21.4",
    "k6/0.55.0 (https://k6.io/)",
    "ApacheBench/2.3",
]


@pytest.mark.parametrize("agent", CRAWLERS)
def test_a_crawler_is_one(agent: str) -> None:
    assert is_bot({"HTTP_USER_AGENT": agent})


@pytest.mark.parametrize("agent", PEOPLE)
def test_people_and_their_tools_are_no_crawlers(agent: str) -> None:
    assert not is_bot({"HTTP_USER_AGENT": agent})


def test_who_tells_no_agent_is_no_crawler() -> None:
    assert not is_bot({})


def test_a_crawler_is_served_the_control_whatever_it_remembers(
    make_app: MakeApp, sign: Sign
) -> None:
    jar = {NAME: sign(f"1~{ANNA}~headline:1:bold")}
    visit = Browser(make_app(), jar).visit(User_Agent=CRAWLERS[0])
    assert (visit.served, visit.is_silent) == ("control", True)
    signup = Browser(make_app(), jar).visit(
        "/signup", method="POST", User_Agent=CRAWLERS[0]
    )
    assert (signup.status, signup.is_silent) == (200, True)


SILENT: list[tuple[str, dict[str, str]]] = [
    ("HEAD", {}),
    ("OPTIONS", {}),
    ("GET", {"Sec_Purpose": "prefetch"}),
    ("GET", {"Sec_Purpose": "prefetch;prerender"}),
    ("GET", {"Sec_Purpose": "Prefetch; anonymous-client-ip"}),
    ("GET", {"Purpose": "prefetch"}),
    ("GET", {"X_Moz": "prefetch"}),
    ("GET", {"X_Purpose": "preview"}),
]


@pytest.mark.parametrize(("method", "headers"), SILENT)
def test_nobody_may_be_looking(method: str, headers: dict[str, str]) -> None:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    assert is_silent(create_environ(method=method, headers=named))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_somebody_is_looking(method: str) -> None:
    headers = {"Sec-Purpose": "none", "Purpose": ""}
    assert not is_silent(create_environ(method=method))
    assert not is_silent(create_environ(method=method, headers=headers))


@pytest.mark.parametrize(("method", "headers"), SILENT[2:])
@pytest.mark.parametrize("variant", ["control", "bold"])
def test_a_prefetch_is_served_what_the_visitor_met(
    make_app: MakeApp, sign: Sign, method: str, headers: dict[str, str], variant: str
) -> None:
    browser = Browser(make_app(), {NAME: sign(f"1~{ANNA}~headline:1:{variant}")})
    visit = browser.visit("/", method=method, **headers)
    assert (visit.served, visit.is_silent) == (variant, True)


@pytest.mark.parametrize(("method", "headers"), SILENT)
def test_without_a_cookie_it_mints_and_records_nothing(
    make_app: MakeApp, method: str, headers: dict[str, str]
) -> None:
    visit = Browser(make_app()).visit("/", method=method, **headers)
    assert (visit.status, visit.is_silent) == (200, True)
    assert visit.served == ("" if method in {"HEAD", "OPTIONS"} else "control")


@pytest.mark.parametrize(("method", "headers"), SILENT)
def test_with_a_cookie_that_holds_no_entry_nothing_is_recorded(
    make_app: MakeApp, sign: Sign, method: str, headers: dict[str, str]
) -> None:
    browser = Browser(make_app(), {NAME: sign(f"1~{ANNA}")})
    silent = browser.visit("/", method=method, **headers)
    later = browser.visit("/")
    assert silent.is_silent
    assert later.exposed == [f"headline:{later.served}"]
    if silent.served:
        assert silent.served == later.served


@pytest.mark.parametrize("headers", [headers for _, headers in SILENT[2:]])
def test_an_event_in_silence_is_not_recorded(
    make_app: MakeApp, sign: Sign, headers: dict[str, str]
) -> None:
    browser = Browser(make_app(), {NAME: sign(f"1~{ANNA}")})
    assert browser.visit("/signup", method="POST", **headers).is_silent
