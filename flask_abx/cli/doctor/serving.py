"""Checks of how the application is served: keys, cookie, proxy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

from flask_abx.cli.doctor.finding import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.cli.doctor.finding import Case

SHORTEST_KEY = 16
FEWEST_CHARACTERS = 8
_PLACEHOLDER = re.compile(
    r"(change|replace).{0,3}(me|it|this)|your.{0,3}secret|secret.{0,3}key|password"
    r"|^(dev|development|test|testing|secret)\b",
    re.IGNORECASE,
)
#: The examples of Flask's own documentation.
_PUBLISHED = {
    '_5#y2L"F4Q8z\n\xec]/',
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
}
_NEW_KEY = 'python -c "import secrets; print(secrets.token_hex())"'
_PROXY_FIX = (
    "from werkzeug.middleware.proxy_fix import ProxyFix; "
    "app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)"
)
_INNER = ("app", "wsgi_app", "_inner", "application", "_app")


def check_secret_key(case: Case) -> Iterator[Finding]:
    """Look whether the key that signs the cookie can be guessed."""
    key = case.app.secret_key or ""
    weakness = weakness_of(key)
    if weakness is None:
        message = f"SECRET_KEY has {len(key)} characters."
        yield Finding("secret_key", Level.OK, message)
        return
    level = Level.WARN if case.is_dev else Level.FAIL
    message = f"SECRET_KEY {weakness}, so cookies can be forged; make a new one."
    yield Finding("secret_key", level, message, _NEW_KEY)


def check_fallbacks(case: Case) -> Iterator[Finding]:
    """Look whether an earlier key lets forged cookies in."""
    keys = case.app.config.get("SECRET_KEY_FALLBACKS") or []
    weak = [weakness for key in keys if (weakness := weakness_of(key)) is not None]
    if not weak:
        message = (
            f"{len(keys)} of them, each a strong key." if keys else "There is none."
        )
        yield Finding("fallbacks", Level.OK, message)
        return
    level = Level.WARN if case.is_dev else Level.FAIL
    message = f"A key of SECRET_KEY_FALLBACKS {weak[0]}, so cookies can be forged."
    paste = 'app.config["SECRET_KEY_FALLBACKS"] = []'
    yield Finding("fallbacks", level, message, paste)


def weakness_of(key: str | bytes) -> str | None:
    """Say what makes a key weak, or None for one that seems random."""
    text = key.decode("latin-1") if isinstance(key, bytes) else key
    if text in _PUBLISHED:
        return "is the example of a documentation"
    if _PLACEHOLDER.search(text):
        return "is a placeholder"
    if len(text) < SHORTEST_KEY:
        return f"has {len(text)} characters"
    different = len(set(text))
    if different < FEWEST_CHARACTERS:
        return f"has {different} different characters"
    return None


def check_cookie(case: Case) -> Iterator[Finding]:
    """Look whether browsers will keep the cookie, and keep it safe."""
    settings = case.state.settings
    secure, same_site = settings.cookie_secure, settings.cookie_samesite
    as_request = 'app.config["ABX_COOKIE_SECURE"] = None'
    always = 'app.config["ABX_COOKIE_SECURE"] = True'

    def found(level: Level, message: str, paste: str = "") -> Finding:
        return Finding("cookie", level, message, paste)

    if same_site == "None" and secure is False:
        message = "Browsers refuse a cookie with SameSite=None that is not Secure."
        yield found(Level.FAIL, message, always)
    elif same_site == "None" and secure is None:
        message = "Over http browsers refuse our cookie, as SameSite is None."
        yield found(Level.WARN, message, always)
    elif secure is False and not case.is_dev:
        message = "ABX_COOKIE_SECURE is False, so the cookie travels over http too."
        yield found(Level.WARN, message, as_request)
    elif secure and case.app.debug:
        message = "ABX_COOKIE_SECURE is True, so there is no cookie over http."
        yield found(Level.WARN, message, as_request)
    else:
        when = {None: "Secure over HTTPS", True: "Secure", False: "not Secure"}[secure]
        message = f"It is {when}, HttpOnly and SameSite={same_site}."
        yield found(Level.OK, message)


def check_proxy(case: Case) -> Iterator[Finding]:
    """Tell whether a proxy is believed; only the host knows whether there is one."""
    if has_proxy_fix(case.app.wsgi_app):
        message = "ProxyFix tells Flask what the proxy says."
    else:
        message = f"There is no ProxyFix; behind a proxy that ends HTTPS: {_PROXY_FIX}"
    yield Finding("proxy", Level.OK, message)


def has_proxy_fix(application: object) -> bool:
    """Tell whether ProxyFix is one of the wrappers round an application."""
    seen: set[int] = set()
    waiting = [application]
    while waiting:
        layer = waiting.pop()
        if isinstance(layer, ProxyFix):
            return True
        if callable(layer) and id(layer) not in seen:
            seen.add(id(layer))
            waiting.extend(getattr(layer, name, None) for name in _INNER)
    return False
