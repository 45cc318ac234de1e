"""Headers that keep a page out of shared caches, and weaken nothing."""

from __future__ import annotations

import pytest

from flask_abx.runtime.caching import keep_private

PRIVATE = ("Cache-Control", "private")
COOKIE = ("Vary", "Cookie")

KEPT = [
    pytest.param([], [COOKIE, PRIVATE], id="nothing"),
    pytest.param([("Vary", "*")], [("Vary", "*"), PRIVATE], id="vary on all"),
    pytest.param(
        [("Vary", "Accept")], [("Vary", "Accept, Cookie"), PRIVATE], id="vary"
    ),
    pytest.param([("Vary", "cookie")], [("Vary", "cookie"), PRIVATE], id="vary on it"),
    pytest.param([("Vary", "")], [COOKIE, PRIVATE], id="empty vary"),
    pytest.param(
        [("Vary", "Accept"), ("vary", "Origin, Cookie")],
        [("Vary", "Accept"), ("vary", "Origin, Cookie"), PRIVATE],
        id="two lines of vary",
    ),
    pytest.param([PRIVATE], [PRIVATE, COOKIE], id="private"),
    pytest.param(
        [("Cache-Control", "no-store")],
        [("Cache-Control", "no-store"), COOKIE],
        id="no-store",
    ),
    pytest.param(
        [("Cache-Control", "private, max-age=60")],
        [("Cache-Control", "private, max-age=60"), COOKIE],
        id="private with an age",
    ),
    pytest.param(
        [("Cache-Control", "max-age=60")],
        [("Cache-Control", "max-age=60, private"), COOKIE],
        id="age",
    ),
    pytest.param(
        [("Cache-Control", "no-cache"), ("Cache-Control", "max-age=0")],
        [("Cache-Control", "no-cache, max-age=0, private")] * 2 + [COOKIE],
        id="two lines",
    ),
    pytest.param([("Cache-Control", "")], [PRIVATE, COOKIE], id="empty"),
    pytest.param(
        [("Surrogate-Control", "no-store")],
        [("Surrogate-Control", "no-store"), COOKIE, PRIVATE],
        id="surrogate no-store",
    ),
    pytest.param(
        [("Content-Type", "text/html"), ("ETag", '"1"')],
        [("Content-Type", "text/html"), ("ETag", '"1"'), COOKIE, PRIVATE],
        id="others",
    ),
]

DOWNGRADED = [
    pytest.param(
        [("Cache-Control", "public, s-maxage=600")], [PRIVATE, COOKIE], id="public"
    ),
    pytest.param(
        [("Cache-Control", "PUBLIC, max-age=60, S-MaxAge=600")],
        [("Cache-Control", "max-age=60, private"), COOKIE],
        id="in capitals",
    ),
    pytest.param(
        [("Cache-Control", "public, no-store")],
        [("Cache-Control", "no-store"), COOKIE],
        id="public and no-store",
    ),
    pytest.param(
        [("Cache-Control", "public"), ("cache-control", "max-age=60")],
        [
            ("Cache-Control", "max-age=60, private"),
            ("cache-control", "max-age=60, private"),
            COOKIE,
        ],
        id="public in one of two lines",
    ),
    *(
        pytest.param(
            [(name, "max-age=600")], [(name, "no-store"), COOKIE, PRIVATE], id=name
        )
        for name in (
            "CDN-Cache-Control",
            "Cloudflare-CDN-Cache-Control",
            "Vercel-CDN-Cache-Control",
            "Netlify-CDN-Cache-Control",
            "Surrogate-Control",
            "Edge-Control",
        )
    ),
]


@pytest.mark.parametrize(("before", "after"), KEPT)
def test_what_is_strict_enough_is_kept(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    headers = list(before)
    assert not keep_private(headers)
    assert headers == after


@pytest.mark.parametrize(("before", "after"), DOWNGRADED)
def test_what_lets_shared_caches_keep_it_is_taken_out_and_told(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    headers = list(before)
    assert keep_private(headers)
    assert headers == after


@pytest.mark.parametrize(("before", "after"), [*KEPT, *DOWNGRADED])
def test_a_second_time_changes_nothing(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    headers = list(after)
    assert not keep_private(headers)
    assert headers == after
    assert len(before) <= len(after)
