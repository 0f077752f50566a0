"""Adding a number: it is called and told a code, which an admin enters."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.errors import AccordError, CatalogueError, VerificationCallError
from recorder.features.tenants.number_proof import NumberProofs
from recorder.verification_calls.register import VerificationCall
from web.account.limits import count_call, limit_grants, limiter
from web.numbers.blueprint import blueprint
from web.numbers.setup_views import for_admins
from web.state import current_visitor, login_required, panel_state, visitor
from web.text import errors

LONGEST_ENTRY = 60

limit_numbers = limiter.limit(
    "20/hour; 60/day",
    key_func=lambda: current_visitor().tenant.id,
    methods=["POST"],
    scope="numbers",
    exempt_when=lambda: visitor() is None,
)
"""Trying numbers costs something, even before one is called."""


@blueprint.get("/numbers/new")
@login_required
@for_admins
def add_number() -> str:
    _proofs()
    return _form("", {})


@blueprint.post("/numbers/new")
@login_required
@limit_numbers
@for_admins
def call_number() -> ResponseReturnValue:
    """Have a number called with a code."""
    entry = request.form.get("number", "")[:LONGEST_ENTRY]
    try:
        with count_call():
            call = _proofs().order_call(current_visitor().tenant, entry, who=current_visitor().user.id)
    except (CatalogueError, VerificationCallError) as error:
        return _form(entry, _refusal(error)), 422
    return redirect(url_for(".show_call", call_id=call.id), 303)


@blueprint.get("/numbers/new/<call_id>")
@login_required
@for_admins
def show_call(call_id: str) -> str:
    return _call_page(_call(call_id), "", {})


@blueprint.post("/numbers/new/<call_id>")
@login_required
@limit_grants
@for_admins
def enter_code(call_id: str) -> ResponseReturnValue:
    """Add the number, for the code that was heard on it."""
    call, code = _call(call_id), request.form.get("code", "")[:LONGEST_ENTRY]
    tenant, user = current_visitor().tenant, current_visitor().user
    try:
        line = _proofs().prove(tenant, call.id, code, who=user.id)
    except (CatalogueError, VerificationCallError) as error:
        if error.error_id == "number.added":  # sent twice
            return redirect(url_for(".show"), 303)
        return _call_page(_call(call_id), code, _refusal(error)), 422
    if line is None:
        return _call_page(_call(call_id), code, {"code": errors.error("call.wrong_code")}), 422
    flash(_("The number was added. Next, choose what recordings are used for."), "done")
    return redirect(url_for(".edit_setup", line_id=line), 303)


def _proofs() -> NumberProofs:
    """How numbers are added here; 404 where only the provider adds them."""
    found = panel_state().number_proofs
    if found is None:
        abort(404)
    return found


def _call(call_id: str) -> VerificationCall:
    found = _proofs().find_call(current_visitor().tenant.id, call_id)
    if found is None:
        abort(404)
    return found


def _refusal(error: AccordError) -> dict[str, str]:
    """The sentence of an error by its field.  Raises the error again if it concerns none."""
    field = errors.field(error.error_id, ("number", "call", "code"))
    if field is None:
        raise error
    return {"number" if field == "call" else field: errors.error(error.error_id)}


def _form(entry: str, errors: dict[str, str]) -> str:
    return render_template("numbers/add.html", entry=entry, errors=errors)


def _call_page(call: VerificationCall, code: str, errors: dict[str, str]) -> str:
    return render_template("numbers/call.html", call=call, code=code, errors=errors)
