"""Business customers and their people, who sign in with one click."""

from __future__ import annotations

from dataclasses import dataclass
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

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

bp = Blueprint("people", __name__, url_prefix="/business")


@dataclass(frozen=True, slots=True)
class Tenant:
    """A business customer."""

    id: str
    name: str
    trade: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works for a business customer."""

    id: str
    name: str
    role: str
    tenant: Tenant


ACME = Tenant("acme", "Acme", "Offices on nine floors, all of them thirsty")
GLOBEX = Tenant("globex", "Globex", "A hotel with two hundred breakfasts")
INITECH = Tenant("initech", "Initech", "A small firm with one good teapot")
TENANTS = (ACME, GLOBEX, INITECH)
PEOPLE = (
    Person("wile", "Wile", "office manager", ACME),
    Person("ada", "Ada", "reception", ACME),
    Person("hank", "Hank", "kitchen", GLOBEX),
    Person("maria", "Maria", "purchasing", GLOBEX),
    Person("peter", "Peter", "engineering", INITECH),
    Person("joanna", "Joanna", "front desk", INITECH),
)
BY_ID = {person.id: person for person in PEOPLE}


def signed_in() -> Person | None:
    """Tell who is signed in, if anybody."""
    return BY_ID.get(session.get("person", ""))


@bp.get("")
def business() -> str:
    """Show the business customers and a button for each of their people."""
    return render_template("business.html", tenants=TENANTS, people=PEOPLE)


@bp.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Sign in as a person; this demo asks for no password."""
    person = BY_ID.get(request.form.get("person", ""))
    if person is None:
        abort(404)
    session["person"] = person.id
    flash(f"You are {person.name} of {person.tenant.name} now.")
    return redirect(url_for("shop.home"))


@bp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Forget who was signed in."""
    session.pop("person", None)
    return redirect(url_for("shop.home"))
