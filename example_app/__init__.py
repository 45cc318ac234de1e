"""Kettle, a tea shop that tests its own pages with flask-abx."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, render_template

from example_app import basket, lab, money, pages, people
from example_app.experiments import abx, db, seen
from example_app.records import LastRecords
from example_app.seed import seed_command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from werkzeug.exceptions import NotFound


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make the shop."""
    app = Flask(__name__)
    app.config["SECRET_KEY"] = "kettle demo, set FLASK_SECRET_KEY in earnest"  # noqa: S105
    # No form of the demo carries a CSRF token: no other site's POST brings this cookie.
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    # A relative path starts from the instance folder.
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///kettle.db"
    app.config.from_prefixed_env()
    app.config.from_mapping(config)

    db.init_app(app)
    abx.init_app(app)
    app.cli.add_command(seed_command)
    app.register_blueprint(pages.bp)
    app.register_blueprint(people.bp)
    app.register_error_handler(404, not_found)
    app.add_template_filter(money.euro)
    app.add_template_filter(money.whole_euro)
    app.context_processor(
        lambda: {
            "seen": seen,
            "person": people.signed_in(),
            "packs_in_basket": sum(basket.stored().values()),
            "has_lab": lab.is_open(app),
        }
    )
    if lab.is_open(app):
        app.extensions["kettle_lab"] = lab.Lab(app, LastRecords(app))
        app.register_blueprint(lab.bp)
    return app


def not_found(error: NotFound) -> tuple[str, int]:
    """Answer for an address that does not exist."""
    del error
    return render_template("not_found.html"), 404
