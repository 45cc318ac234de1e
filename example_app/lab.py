"""The lab: what the shop tests, seen from behind. In debug and testing only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import (
    Blueprint,
    abort,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)

from example_app import basket, crowd, ruler
from example_app.experiments import abx
from example_app.pages import FIELDS, priced
from flask_abx.runtime.current import current_scope
from flask_abx.runtime.results import latest
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask
    from flask.typing import ResponseReturnValue

    from example_app.records import LastRecords
    from flask_abx.assignment.ruleset import Rule
    from flask_abx.results.shapes import Verdict

bp = Blueprint("lab", __name__, url_prefix="/lab")
CROWD = 200
#: Where an experiment shows, if not on the home page.
PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "free_shipping": ("lab.sample_basket", {}),
    "checkout_button": ("lab.sample_basket", {}),
    "gift_wrap": ("lab.sample_checkout", {}),
    "bulk_prices": ("shop.product", {"slug": "sencha"}),
}
HOME: tuple[str, dict[str, Any]] = ("shop.home", {})


@dataclass(slots=True)
class Lab:
    """What the lab remembers for as long as the process lives."""

    app: Flask
    records: LastRecords
    split: crowd.Split | None = None


def is_open(app: Flask) -> bool:
    """Tell whether this app has a lab."""
    return app.debug or app.testing


def _lab() -> Lab:
    lab: Lab = current_app.extensions["kettle_lab"]
    return lab


def _reports() -> Mapping[str, Verdict]:
    looks = latest(state_of(current_app))
    return {key: look.verdict for key, look in looks.items() if look is not None}


def _rules() -> Mapping[str, Rule]:
    # The very ones that this request is served by, whatever is changed meanwhile.
    return current_scope().ruleset.rules


@bp.get("")
def show() -> str:
    """Show both variants of a page, the rulers, the records and the split."""
    rules = _rules()
    chosen = request.args.get("experiment", "headline")
    if chosen not in rules:
        abort(404)
    assignments = abx.assignments()
    units = abx.payload()["units"]
    endpoint, values = PAGES.get(chosen, HOME)
    colours = ruler.colours(rules[chosen])
    # Once it is over everybody gets the same, also who asks for another variant.
    is_over = rules[chosen].status.is_over
    shown = (rules[chosen].served,) if is_over else tuple(colours)
    return render_template(
        "lab.html",
        rules=rules,
        chosen=rules[chosen],
        frames=[
            (variant, url_for(endpoint, abx=f"{chosen}:{variant}", **values))
            for variant in shown
        ],
        colours=colours,
        rulers=[
            ruler.draw(rule, assignments[key], units) for key, rule in rules.items()
        ],
        visitor=units.get("visitor", ""),
        records=_lab().records.newest_first(),
        split=_lab().split,
        reports=_reports(),
        can_split=crowd.can_split(rules[chosen]),
        crowd=CROWD,
    )


@bp.get("/basket")
def sample_basket() -> str:
    """Show the basket of this visitor, or one with two teas where it is empty."""
    packs_of = basket.stored() or {"darjeeling": 1, "assam": 1}
    return render_template("basket.html", basket=priced(packs_of))


@bp.get("/checkout")
def sample_checkout() -> str:
    """Show the checkout of that basket."""
    packs_of = basket.stored() or {"darjeeling": 1, "assam": 1}
    form = dict.fromkeys(FIELDS, "")
    return render_template(
        "checkout.html", basket=priced(packs_of), form=form, missing=()
    )


@bp.post("/another")
def another() -> ResponseReturnValue:
    """Become another visitor: forget the cookies that name and steer this one."""
    response = redirect(url_for("lab.show"))
    for header in state_of(current_app).cookie.removals(request.environ):
        response.headers.add("Set-Cookie", header)
    response.delete_cookie("abx_preview")
    flash("You are another visitor now.")
    return response


@bp.post("/split")
def split_crowd() -> ResponseReturnValue:
    """Send a crowd of fresh visitors through the shop."""
    rule = _rules().get(request.form.get("experiment", "headline"))
    if rule is None or not crowd.can_split(rule):
        abort(404)
    lab = _lab()
    lab.split = crowd.split(lab.app, rule, CROWD)
    return redirect(url_for("lab.show", experiment=rule.key, _anchor="split"))
