"""The page on which an operator sets how the panel and its mails present the provider."""

from __future__ import annotations

from dataclasses import replace

import structlog
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.catalogue.database import writing
from recorder.errors import SealError
from recorder.features.branding.rules import LONGEST_LINK, LONGEST_NAME, LONGEST_SENDER_NAME, domain_of
from recorder.features.branding.service import find_branding, save_branding
from recorder.identity import users
from recorder.identity.tenants import rename_provider
from recorder.seal.branding import Branding
from recorder.seal.signed_document import Verified
from web.brand import apply_branding
from web.branding.form import SettingsForm, read_form
from web.playback.retention_view import zone
from web.provider.views import for_operators
from web.state import changes, current_visitor, login_required, now, panel_state

log = structlog.get_logger()
blueprint = Blueprint("branding", __name__, template_folder="templates")


@blueprint.route("/settings", methods=["GET", "POST"])
@login_required
@for_operators
def edit_settings() -> ResponseReturnValue:
    """The provider's name, logo, colours, mail sender and help address."""
    try:
        signed, is_valid = find_branding(changes().trust), True
    except SealError:  # the process has logged it
        signed, is_valid = None, False
    before = Branding(current_visitor().tenant.id, 1, "") if signed is None else signed.value
    if request.method != "POST":
        return _page(SettingsForm(before), signed, is_valid)
    form = read_form(request, before, panel_state().config.mail_sender)
    if form.errors:
        return _page(form, signed, is_valid), 422
    _save(form.branding)
    flash(_("Saved."), "done")
    return redirect(url_for(".edit_settings"), 303)


def _save(branding: Branding) -> None:
    state, user = panel_state(), current_visitor().user
    with writing():  # both or neither
        branding = save_branding(
            replace(branding, by=user.id), signer=changes().signer, now=now(), entropy=state.entropy
        )
        name = apply_branding(state.config.brand, branding).name
        rename_provider(name, now=now(), entropy=state.entropy)
    if state.branding is not None:
        state.branding.refresh()
    log.info("branding.changed", user=user.id, number=branding.number)


def _page(form: SettingsForm, signed: Verified[Branding] | None, is_valid: bool) -> str:
    config = panel_state().config
    order = ("name", "logo", "colour", "colour_dark", "sender_name", "sender", "help_address")
    author = None if signed is None else users.user(signed.value.tenant, signed.value.by)
    return render_template(
        "branding/settings.html",
        form=form.branding,
        errors={name: form.errors[name] for name in order if name in form.errors},
        defaults=config.brand,
        mail_sender=config.mail_sender,
        mail_domain=domain_of(config.mail_sender),
        changed_at=None if signed is None else signed.at.astimezone(zone()),
        author="" if author is None else author.name,
        is_valid=is_valid,
        longest={"name": LONGEST_NAME, "sender_name": LONGEST_SENDER_NAME, "help_address": LONGEST_LINK},
    )
