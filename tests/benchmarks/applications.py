"""One application, bare or with the extension, as its one argument says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, render_template
from jinja2 import DictLoader

from flask_abx import ABX
from tests.benchmarks.definitions import ATTRIBUTES, definitions, keys

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAIN, READ, PAGE = "/plain", "/read", "/page"
READS = 10
PRODUCTS = [
    {"id": number, "name": f"Tea & leaf no. {number}", "price": 4.5 + number}
    for number in range(12)
]
LAYOUT = """<!doctype html>
<html lang="en">
<head><title>{% block title %}{% endblock %}</title></head>
<body>
<nav><a href="{{ url_for('page') }}">Shop</a> <a href="{{ url_for('read') }}">Data</a>
</nav>
<main>{% block main %}{% endblock %}</main>
</body>
</html>
"""
CHILD = """{% extends "layout.html" %}
{% block title %}Twelve teas{% endblock %}
{% block main %}
BANNERS
<ul>
{% for product in products %}
  <li id="tea-{{ product.id }}"><b>{{ product.name }}</b>
  {{ "%.2f"|format(product.price) }} EUR
  {% if loop.index is odd %}<i>{{ product.name|upper }}</i>{% endif %}</li>
{% endfor %}
</ul>
{% endblock %}
"""
BANNER = """{% if abx.variant("KEY") == "b" %}<p>b</p>{% else %}<p>a</p>{% endif %}"""


class Fixed:
    """What a page branches on before it has any experiment."""

    def variant(self, key: str, default: str = "control") -> str:
        """Answer the default."""
        del key
        return default


def make_app(defined: int | None) -> Flask:
    """Make the application, bare or with so many experiments defined."""
    app = Flask(__name__)
    app.config.update(SECRET_KEY="benchmarks")
    abx = Fixed() if defined is None else _experimenting(app, defined)
    last = keys(defined or READS)[-READS:]
    app.jinja_env.globals["abx"] = abx
    app.jinja_env.loader = DictLoader({"layout.html": LAYOUT, "page.html": _page(last)})

    @app.get(PLAIN)
    def plain() -> dict[str, str]:
        return {"variant": "control"}

    @app.get(READ)
    def read() -> dict[str, str]:
        return {"variant": abx.variant(last[-1])}

    @app.get(PAGE)
    def page() -> str:
        return render_template("page.html", products=PRODUCTS)

    return app


def _experimenting(app: Flask, defined: int) -> ABX:
    app.config["ABX_EXPERIMENTS"] = definitions(defined)
    abx = ABX(app)

    @abx.attributes_loader
    def attributes() -> Mapping[str, object]:
        return dict(ATTRIBUTES)

    return abx


def _page(experiments: list[str]) -> str:
    banners = "\n".join(BANNER.replace("KEY", key) for key in experiments)
    return CHILD.replace("BANNERS", banners)
