"""Response headers that keep one visitor's variant from another."""

from __future__ import annotations

from typing import TypeAlias

Headers: TypeAlias = list[tuple[str, str]]

#: Headers by which shared caches override Cache-Control, and what stops each.
_SHARED = {
    "akamai-cache-control": "no-store",
    "cdn-cache-control": "no-store",
    "cloudflare-cdn-cache-control": "no-store",
    "edge-control": "no-store",
    "netlify-cdn-cache-control": "no-store",
    "surrogate-control": "no-store",
    "vercel-cdn-cache-control": "no-store",
    "x-accel-expires": "0",
    "x-litespeed-cache-control": "no-cache",
}

_CARED = frozenset({"vary", "cache-control", *_SHARED})


def keep_private(headers: Headers) -> bool:
    """Add ``Vary: Cookie`` and ``private``, never weakening what the app set.

    Returns:
        True if the app had allowed shared caches to store the response.
    """
    names = [name.lower() for name, _ in headers]
    if _CARED.isdisjoint(names):
        headers += (("Vary", "Cookie"), ("Cache-Control", "private"))
        return False
    _add_vary(headers, names)
    is_downgraded = _make_private(headers, names)
    for index, name in enumerate(names):
        stop = _SHARED.get(name)
        if stop is not None and stop not in headers[index][1].lower().split(", "):
            headers[index] = (headers[index][0], stop)
            is_downgraded = True
    return is_downgraded


def _add_vary(headers: Headers, names: list[str]) -> None:
    if "vary" not in names:
        headers.append(("Vary", "Cookie"))
        return
    index = names.index("vary")
    fields = [
        field.strip().lower()
        for (_, value), name in zip(headers, names, strict=False)
        if name == "vary"
        for field in value.split(",")
    ]
    if "*" not in fields and "cookie" not in fields:
        name, value = headers[index]
        headers[index] = (name, f"{value}, Cookie" if value.strip() else "Cookie")


def _make_private(headers: Headers, names: list[str]) -> bool:
    if "cache-control" not in names:
        headers.append(("Cache-Control", "private"))
        return False
    is_downgraded = False
    places = [index for index, name in enumerate(names) if name == "cache-control"]
    directives = [
        directive.strip()
        for index in places
        for directive in headers[index][1].split(",")
        if directive.strip()
    ]
    kept = [each for each in directives if not _is_shared(each)]
    is_downgraded = len(kept) != len(directives)
    if not {each.lower() for each in kept} & {"private", "no-store"}:
        kept.append("private")
    elif not is_downgraded:
        return False
    headers[places[0]] = (headers[places[0]][0], ", ".join(kept))
    for index in places[1:]:
        headers[index] = (headers[index][0], ", ".join(kept))
    return is_downgraded


def _is_shared(directive: str) -> bool:
    name = directive.partition("=")[0].strip().lower()
    return name in {"public", "s-maxage"}
