"""What the request's own headers tell about the client."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_READS_ONLY = frozenset({"HEAD", "OPTIONS"})
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_SPECULATIVE = (
    ("HTTP_SEC_PURPOSE", "prefetch"),
    ("HTTP_PURPOSE", "prefetch"),
    ("HTTP_X_MOZ", "prefetch"),
    ("HTTP_X_PURPOSE", "preview"),
)
# Crawlers, link previews and health checks. Not curl, HTTP libraries, test clients
# or load tools: those are how developers look at their own pages.
_CRAWLER = re.compile(
    r"(?<!cu)bot(\b|_)|crawl|spider|slurp|scrap(er|y)|archiver|facebookexternalhit"
    r"|mediapartners|adsbot|feedfetcher|feedburner|embedly|bingpreview|whatsapp/"
    r"|skypeuripreview|google-(read-aloud|inspectiontool|extended|structured)"
    r"|apis-google|lighthouse|pingdom|uptime|statuscake|healthcheck|kube-probe"
    r"|googlehc|elb-healthchecker|meta-external|anthropic-ai|claude-web|chatgpt-user"
    r"|perplexity|ia_archiver|heritrix|nutch|yandex\.com/bots|w3c_validator",
    re.IGNORECASE,
)
_LONGEST_AGENT = 256


def is_silent(environ: WSGIEnvironment) -> bool:
    """Tell whether nobody may be looking: HEAD, OPTIONS, prefetch and prerender."""
    if environ.get("REQUEST_METHOD") in _READS_ONLY:
        return True
    for header, mark in _SPECULATIVE:
        if header in environ and mark in environ[header].lower():
            return True
    return False


def is_read(environ: WSGIEnvironment) -> bool:
    """Tell whether the method only asks."""
    return environ.get("REQUEST_METHOD") in _READS


def is_cross_site(environ: WSGIEnvironment) -> bool:
    """Tell whether another site's page sent this, as the browser says."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return bool(site == "cross-site")
    origin = environ.get("HTTP_ORIGIN")
    return origin is not None and not is_own_origin(environ, origin)


def is_own_origin(environ: WSGIEnvironment, origin: str | None) -> bool:
    """Tell whether an Origin header names this very site."""
    host = environ.get("HTTP_HOST", "")
    return bool(host) and origin == f"{environ.get('wsgi.url_scheme')}://{host}"


def is_bot(environ: WSGIEnvironment) -> bool:
    """Tell whether a crawler is asking."""
    agent = environ.get("HTTP_USER_AGENT", "")
    return _is_crawler(agent[:_LONGEST_AGENT])


@lru_cache(maxsize=4096)
def _is_crawler(agent: str) -> bool:
    return _CRAWLER.search(agent) is not None


def is_secure(environ: WSGIEnvironment) -> bool:
    """Tell whether the request came over HTTPS, as Flask sees it."""
    return environ.get("wsgi.url_scheme") == "https"


def is_framed(environ: WSGIEnvironment) -> bool:
    """Tell whether the page is loaded inside another page."""
    return environ.get("HTTP_SEC_FETCH_DEST") in {"iframe", "frame"}
