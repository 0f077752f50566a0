"""Lost passwords and changed addresses. The page that a link leads to changes nothing until its form is
sent."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Final

import structlog
from flask import flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from recorder.catalogue import queries
from recorder.catalogue.records import UserRow
from recorder.errors import AccordError, CatalogueError, MailError, SealError
from recorder.features.team.account_links import ADDRESS, PASSWORD
from recorder.identity import account_mail, throttle, users
from recorder.identity.throttle import RateLimit
from recorder.mail.address import normalize_address
from web.account import notices
from web.account.limits import TooManyFailures, client_network
from web.account.passwords import hash_new_password, verify_password
from web.account.sessions import close_session
from web.state import current_visitor, login_required, now, panel_state, release_connection, visitor
from web.team.blueprint import blueprint
from web.team.operations import account_links, invitations
from web.team.views import REFUSALS, refusal
from web.text import team as text

RESPONSE_S: Final = 1.0
"""Seconds until the page answers, whether the address is known or not."""

OF_ADDRESS: Final = RateLimit(5, 3600)
OF_SENDER: Final = RateLimit(20, 3600)

log = structlog.get_logger()


@blueprint.route("/lost-password", methods=["GET", "POST"])
def lost_password() -> str | tuple[str, int]:
    """Send a link to choose a new password, or the invitation again. The answer and its time are the same for
    every address."""
    sends = panel_state().outbox.sends
    if request.method != "POST" or not sends:
        return render_template("team/lost_password.html", sends=sends, sent=False, entry="", errors={})
    until = time.monotonic() + RESPONSE_S
    entry = request.form.get("address", "")
    try:
        address = normalize_address(entry)
    except MailError as error:
        page = {"sends": True, "sent": False, "entry": entry, "errors": text.field_errors(error)}
        return render_template("team/lost_password.html", **page), 422
    _count(address, client_network())
    _send_link(address)
    release_connection()
    time.sleep(max(0.0, until - time.monotonic()))
    return render_template("team/lost_password.html", sends=True, sent=True, entry=address, errors={})


def _send_link(address: str) -> None:
    user = users.user_by_login(address)
    try:
        if user is None or user.revoked_at is not None:
            invitations().renew_of_address(address)
            return
        users.require_signed(user, account_links().trust)
        account_links().issue_reset(user, None)
    except SealError as error:
        log.error("credential.refused", error_id=error.error_id, error=error.message, hint=error.hint)


def _count(address: str, sender: str) -> None:
    """Count a mail to an address, asked for by a ``sender``: a network, or a user's id.  Raises
    :class:`TooManyFailures`."""
    buckets = [(_key("mail-to", address), OF_ADDRESS), (_key("mail-by", sender), OF_SENDER)]
    if wait := throttle.take(buckets, now()):
        raise TooManyFailures(wait)


def _key(kind: str, value: str) -> str:
    return hmac.new(panel_state().config.secret_key, f"{kind}\n{value}".encode(), hashlib.sha256).hexdigest()


@blueprint.route("/reset/<token>", methods=["GET", "POST"])
def reset_password(token: str) -> Response | str | tuple[str, int]:
    """Show a link's page; with a new password, set it. The person's sessions end, and they log in."""
    try:
        user = account_links().open(PASSWORD, token).user
    except CatalogueError as error:
        return _ended(error)
    g.guest_language = user.language
    if request.method != "POST":
        return _reset_page(user, {})
    try:
        hashed = hash_new_password(request.form.get("password", ""), user.login, user.name, _customer(user))
        account_links().set_password(token, hashed)
    except REFUSALS as error:
        if text.is_ended(error.error_id):
            return _ended(error)
        return _reset_page(user, refusal(error)), 422
    notices.tell(user, account_mail.PASSWORD_CHANGED)
    log.info("password.reset", user=user.id, tenant=user.tenant)
    flash(_("Your new password is set. Log in with it."), "done")
    return redirect(url_for("account.log_in"), 303)


@blueprint.route("/account/address", methods=["GET", "POST"])
@login_required
def change_address() -> Response | str | tuple[str, int]:
    """Ask for a new address, and send a link to it that confirms it."""
    user, entry = current_visitor().user, request.form.get("address", "")
    if request.method != "POST":
        return _address_page(entry, {})
    try:
        _check_own_password(user)
        if panel_state().outbox.sends:
            _count(normalize_address(entry), user.id)
            account_links().issue_address(user, entry)
        else:
            account_links().change_address(user, entry)
    except REFUSALS as error:
        return _address_page(entry, refusal(error)), 422
    if panel_state().outbox.sends:
        return render_template("team/address.html", entry=entry, sent=True, errors={}, user=user)
    flash(_("Your address was changed. Log in with it."), "done")
    return redirect(url_for("account.log_in"), 303)


@blueprint.route("/address/<token>", methods=["GET", "POST"])
def confirm_address(token: str) -> Response | str | tuple[str, int]:
    """Show a link's page; its form confirms the address. The person's sessions end, and they log in."""
    try:
        found = account_links().open(ADDRESS, token)
        g.guest_language = found.user.language
        if request.method != "POST":
            return render_template("team/confirm_address.html", link=found)
        account_links().confirm_address(token)
    except (CatalogueError, SealError) as error:
        return _ended(error)
    flash(_("Your address was changed. Log in with it."), "done")
    response = redirect(url_for("account.log_in"), 303)
    if visitor() is not None:
        close_session(response)
    return response


def _check_own_password(user: UserRow) -> None:
    """Raises :class:`CatalogueError` (``user.password_wrong``), :class:`TooManyFailures`."""
    bucket = (_key("own-password", user.id), RateLimit(10, 900))
    if wait := throttle.take([bucket], now()):
        raise TooManyFailures(wait)
    if not verify_password(user.password_hash, request.form.get("password", "")):
        raise CatalogueError("user.password_wrong", "the password is wrong", "enter your present password")
    throttle.give_back([bucket])


def _customer(user: UserRow) -> str:
    tenant = queries.tenant(user.tenant)
    return "" if tenant is None else tenant.name


def _reset_page(user: UserRow, errors: dict[str, str]) -> str:
    return render_template("team/reset.html", user=user, errors=errors)


def _address_page(entry: str, errors: dict[str, str]) -> str:
    user = current_visitor().user
    return render_template("team/address.html", entry=entry, sent=False, errors=errors, user=user)


def _ended(error: AccordError) -> tuple[str, int]:
    if error.error_id == "catalogue.away":
        raise error
    log.info("link.not_open", error_id=error.error_id)
    return render_template("team/ended.html", why=text.ended(error.error_id), reset=True), 410
