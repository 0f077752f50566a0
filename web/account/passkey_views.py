"""Views to add, remove and use passkeys."""

from __future__ import annotations

import structlog
from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from webauthn.helpers import parse_registration_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from werkzeug.wrappers import Response

from recorder import metrics
from recorder.catalogue.records import UserRow
from recorder.domain import names
from recorder.errors import CatalogueError
from recorder.identity import passkeys, users
from recorder.identity.passkeys import PASSKEY, RelyingParty
from recorder.seal.second_factor import LONGEST_NAME, MAX_PASSKEYS
from recorder.strict_json import unb64
from web.account import challenges, devices, partial_log_in
from web.account.account_page import RefusedName, render_account
from web.account.blueprint import blueprint
from web.account.factors import finish_change, service
from web.account.forms import LogInForm
from web.account.fresh import fresh_login_required
from web.account.limits import client_network, limiter, remember_place
from web.account.sessions import has_valid_credential
from web.account.views import complete_log_in, current_factors
from web.state import current_visitor, login_required, now, panel_state
from web.text import errors

log = structlog.get_logger()

limit_requests = limiter.limit("60/minute", methods=["POST"])
"""By address: an answer costs a signature check."""


def relying_party() -> RelyingParty | None:
    """Whom passkeys are for; ``None`` if the panel has no public address, or none that browsers allow."""
    address = panel_state().config.address
    party = RelyingParty(address)
    is_name = party.id != "" and not party.id.replace(".", "").isdigit() and ":" not in party.id
    return party if is_name and (address.startswith("https://") or party.id == "localhost") else None


def log_in_purpose(user: UserRow | None) -> str:
    """The purpose of a log-in's challenge: after a password, only for that user."""
    return "log-in" if user is None else f"second {user.id}"


@blueprint.post("/account/passkeys/options")
@fresh_login_required
@limit_requests
def registration_options() -> Response | tuple[str, int]:
    party, user = relying_party(), current_visitor().user
    if party is None:
        return "", 404
    challenge = challenges.make(f"register {user.id}")
    return _json(party.registration_options(user, service().current(user), challenge))


@blueprint.post("/account/passkeys")
@fresh_login_required
@limit_requests
def add_passkey() -> Response | str:
    party, user = relying_party(), current_visitor().user
    passkey = None if party is None else _registered(party, user, request.form.get("credential", ""))
    factors = service().current(user)
    if passkey is None or factors.passkey(passkey[0]) is not None or len(factors.passkeys) >= MAX_PASSKEYS:
        flash(_("The passkey could not be added. Try again."), "wrong")
        return redirect(url_for("account.show"), 303)
    flash(_("The passkey is added."))
    return finish_change(service().add_passkey(user, *passkey, _name(request.form.get("name", ""))))


@blueprint.post("/account/passkeys/remove")
@fresh_login_required
def remove_passkey() -> Response | str:
    user = current_visitor().user
    found = service().current(user).passkey(_passkey_id())
    if found is None:
        return redirect(url_for("account.show"), 303)
    flash(_("The passkey is removed."))
    return finish_change(service().remove_passkey(user, found.id))


@blueprint.post("/account/passkeys/rename")
@login_required
@limit_requests
def rename_passkey() -> Response | tuple[str, int]:
    """Give a passkey another name. That changes nothing about who can log in, so an older log-in will do."""
    user, typed = current_visitor().user, request.form.get("name", "")[:300]
    found = service().current(user).passkey(_passkey_id())
    if found is None:
        flash(_("That passkey is no longer in your account."), "wrong")
        return redirect(url_for("account.show"), 303)
    try:
        name = _tidy_name(typed)
    except CatalogueError as error:
        return render_account(refused=RefusedName(found.id, typed, errors.error(error.error_id))), 422
    service().rename_passkey(user, found.id, name)
    flash(_("Saved."))
    return redirect(url_for("account.show"), 303)


@blueprint.post("/login/passkey/options")
@limit_requests
def authentication_options() -> Response | tuple[str, int]:
    party, partial = relying_party(), partial_log_in.load() if request.form.get("step") == "second" else None
    if party is None:
        return "", 404
    user = None if partial is None else partial.user
    factors = None if user is None else current_factors(user)
    challenge = challenges.make(log_in_purpose(user))
    return _json(party.authentication_options(challenge, () if factors is None else factors.passkeys))


@blueprint.post("/login/passkey")
@limit_requests
def log_in_with_passkey() -> Response | tuple[str, int]:
    """Log in with a passkey alone, or with one after the password."""
    partial = partial_log_in.load() if request.form.get("step") == "second" else None
    user = _authenticated(request.form.get("credential", ""), None if partial is None else partial.user)
    if user is None:
        metrics.LOGINS.labels("refused").inc()
        log.info("web.passkey_refused", address=client_network())
        refused = _("That passkey does not work here. Log in with your password.")
        form = LogInForm(formdata=None)
        form.next.data = request.form.get("next", "")
        return render_template("account/log_in.html", form=form, refused=refused), 422
    if partial is not None:
        remember_place(partial.login)
    target = request.form.get("next") if partial is None else partial.target
    return complete_log_in(user, user.login, target, PASSKEY)


def _registered(party: RelyingParty, user: UserRow, answer: str) -> tuple[bytes, bytes] | None:
    if len(answer) > passkeys.LARGEST:
        return None
    try:
        data = parse_registration_credential_json(answer).response.client_data_json
        challenge = passkeys.read_challenge(data)
    except (WebAuthnException, ValueError, TypeError, KeyError):
        return None
    if not challenges.use(f"register {user.id}", challenge):
        return None
    return party.verify_registration(answer, challenge)


def _authenticated(answer: str, expected: UserRow | None) -> UserRow | None:
    """The user who used a passkey; the ``expected`` one after a password."""
    party, claim = relying_party(), passkeys.read_claim(answer)
    if party is None or claim is None or not challenges.use(log_in_purpose(expected), claim.challenge):
        return None
    user = expected or users.user(claim.tenant, claim.user)
    if user is None or user.revoked_at is not None or not has_valid_credential(user, logs_in=True):
        return None
    factors = current_factors(user)
    passkey = None if factors is None else factors.passkey(claim.passkey)
    if passkey is None or not service().check_passkey(user, party, passkey, answer, claim.challenge):
        panel_state().refused.note(user, now())
        return None
    return user


def _passkey_id() -> bytes:
    """The id of the passkey that the form is about; empty if it is none."""
    try:
        return unb64(request.form.get("passkey", ""))
    except ValueError:
        return b""


def _tidy_name(typed: str) -> str:
    """A passkey's name as it is stored. Raises :class:`CatalogueError` (``passkey.name``)."""
    return names.tidy(typed, "the name", "passkey.name", longest=LONGEST_NAME)


def _name(typed: str) -> str:
    """The passkey's name as it is stored; the device's where nothing usable was typed."""
    try:
        return _tidy_name(typed)
    except CatalogueError:
        return devices.describe(devices.device())


def _json(text: str) -> Response:
    return Response(text, content_type="application/json")


@blueprint.app_context_processor
def _passkeys_possible() -> dict[str, object]:
    return {"passkeys_possible": lambda: relying_party() is not None}
