"""The pages of the shop."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from flask import (
    Blueprint,
    abort,
    flash,
    redirect,
    render_template,
    request,
    session,
    url_for,
)

from example_app import basket, orders
from example_app.basket import TIERS, Basket
from example_app.catalogue import BY_SLUG, TEAS, Tea
from example_app.experiments import abx
from example_app.people import signed_in

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

bp = Blueprint("shop", __name__)
FIELDS = ("name", "email", "address", "city")


def priced(packs_of: dict[str, int]) -> Basket:
    """Price a basket with the variants that bear on it."""
    free_from = abx.flag("free_shipping_from", default=49.0) if packs_of else 49.0
    return basket.fill(packs_of, Decimal(str(free_from)), _tiers(packs_of))


def _tiers(packs_of: dict[str, int]) -> tuple[basket.Tier, ...]:
    # Below the first tier both variants cost the same: nobody meets the experiment.
    if any(packs >= TIERS[0].packs for packs in packs_of.values()):
        return TIERS if abx.variant("bulk_prices") == "tiers" else ()
    return ()


def _tea(slug: str) -> Tea:
    if slug not in BY_SLUG:
        abort(404)
    return BY_SLUG[slug]


def _packs(default: int) -> int:
    return request.form.get("packs", default, type=int)


@bp.get("/")
def home() -> str:
    """Show the hero, all teas and the letter."""
    return render_template("home.html", teas=TEAS)


@bp.get("/tea/<slug>")
def product(slug: str) -> str:
    """Show one tea."""
    tea = _tea(slug)
    others = [other for other in TEAS if other.kind == tea.kind and other != tea]
    others += [other for other in TEAS if other.kind != tea.kind]
    return render_template(
        "product.html",
        tea=tea,
        others=others[:4],
        tiers=[(tier, basket.bulk_price(tea, tier.packs)) for tier in TIERS],
    )


@bp.get("/basket")
def show_basket() -> str:
    """Show the basket and how far it is to free shipping."""
    return render_template("basket.html", basket=priced(basket.stored()))


@bp.post("/basket")
def add() -> ResponseReturnValue:
    """Put packs of a tea into the basket."""
    tea = _tea(request.form.get("tea", ""))
    packs = min(max(_packs(1), 1), basket.MOST_PACKS)
    basket.store(tea.slug, basket.stored().get(tea.slug, 0) + packs)
    abx.track("add_to_basket", properties={"tea": tea.slug, "packs": packs})
    flash(f"{tea.name} is in your basket.")
    return redirect(url_for("shop.show_basket"))


@bp.post("/basket/<slug>")
def change(slug: str) -> ResponseReturnValue:
    """Set how many packs of a tea there are; 0 takes it out."""
    basket.store(_tea(slug).slug, _packs(0))
    return redirect(url_for("shop.show_basket"))


@bp.get("/express")
def express() -> ResponseReturnValue:
    """Lead on to the checkout, as the express button promises."""
    return redirect(url_for("shop.checkout"))


@bp.get("/checkout")
def checkout() -> ResponseReturnValue:
    """Ask where the parcel goes."""
    if not basket.stored():
        return redirect(url_for("shop.show_basket"))
    person = signed_in()
    form = {
        "name": person.name if person else "Mina Sommer",
        "email": f"{person.id if person else 'mina'}@example.com",
        "address": "12 Harbour Street",
        "city": "Hamburg",
    }
    return render_template(
        "checkout.html", basket=priced(basket.stored()), form=form, missing=()
    )


@bp.post("/checkout")
def buy() -> ResponseReturnValue:
    """Take the order, and its purchase with it."""
    if not basket.stored():
        return redirect(url_for("shop.show_basket"))
    form = {field: request.form.get(field, "").strip() for field in FIELDS}
    bought = priced(basket.stored())
    if missing := [field for field in FIELDS if not form[field]]:
        page = render_template(
            "checkout.html", basket=bought, form=form, missing=missing
        )
        return page, 422
    session["order"] = {
        "number": orders.place(
            bought, form["name"], form["city"], is_gift="gift" in request.form
        ),
        "name": form["name"],
        "total": str(bought.total),
        "teas": [line.tea.slug for line in bought.lines],
    }
    basket.clear()
    return redirect(url_for("shop.thanks"))


@bp.get("/thanks")
def thanks() -> ResponseReturnValue:
    """Thank for the order that was just placed."""
    order = session.get("order")
    if order is None:
        return redirect(url_for("shop.home"))
    return render_template(
        "thanks.html",
        order=order,
        total=Decimal(order["total"]),
        teas=[BY_SLUG[slug] for slug in order["teas"] if slug in BY_SLUG],
    )


@bp.post("/letter")
def letter() -> ResponseReturnValue:
    """Sign up for the letter; the address itself is not kept."""
    if "@" not in request.form.get("email", ""):
        flash("That does not look like an e-mail address.")
        return redirect(url_for("shop.home", _anchor="letter"))
    abx.track("signup")
    flash("Welcome. The next letter comes with the new moon.")
    return redirect(url_for("shop.home", _anchor="letter"))
