"""The customer's side of people's own calls: the setting, and the code of one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale
from flask_babel import gettext as _

from recorder.domain.phone_numbers import format_international
from recorder.errors import MailError, OwnCallError
from recorder.features.own_call import codes, rules
from recorder.features.own_call.code_mail import CodeMail
from recorder.features.own_call.codes import GIVERS
from recorder.features.own_call.tenant_rule import change_rule, rule_of
from recorder.identity import users
from recorder.mail.message import MailSection
from recorder.playback.interface import CallFacts, OpenSound
from recorder.prompts.composer import Rendered, room_sentence, verification_code
from recorder.prompts.purposes import LANGUAGES
from recorder.seal.amendment import By
from recorder.verification_calls.register import OPENINGS, OWN_CALL
from web.account.limits import limit_grants, limit_refusals
from web.decorators import admins_only
from web.disputes.views import LIMIT, call_sections
from web.gate import gate, who
from web.language import LOCALES, current_language
from web.own_call import guest_views
from web.own_call.blueprint import blueprint
from web.playback import sound_response
from web.playback.call_page import FilledForm, render_call
from web.state import changes, current_visitor, login_required, now, panel_state
from web.text import errors

__all__ = ["blueprint", "guest_views"]

SENTENCES: Final = ("code", "wrong", "own-menu", "own-requests", "own-request")
"""What an admin hears of the telephone before switching it on (:func:`room_sentence`)."""

SAMPLE: Final = "123456"
"""The digits of the call that an admin hears before switching it on."""


@blueprint.route("/settings/my-call", methods=["GET", "POST"])
@login_required
@admins_only(back=lambda _view_args: url_for("compliance.show"))
def edit_setting() -> ResponseReturnValue:
    """Whether people open their own calls, and what they see."""
    if request.method != "POST":
        return _setting_page({}, {})
    user, form = current_visitor().user, request.form
    digits = form.get("days", "").strip()
    try:
        change_rule(
            user.tenant, on=form.get("on") == "yes", names=form.get("names") == "yes",
            days=int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 5 else 0,
            by=By("user", user.id), now=now(), entropy=panel_state().entropy,
        )  # fmt: skip
    except OwnCallError as error:
        return _setting_page(form, {"days": errors.error(error.error_id)}), 422
    flash(_("Saved."), "done")
    return redirect(url_for(".edit_setting"), 303)


def _setting_page(form: Mapping[str, str], wrong: Mapping[str, str]) -> str:
    tenant = current_visitor().tenant.id
    rule, sample = rule_of(tenant), _sample()
    author = users.user(tenant, rule.by)
    return render_template(
        "own_call/setting.html",
        rule=rule,
        author="" if author is None else author.name,
        sample=sample,
        sentences=[_sentence(each) for each in SENTENCES] if _telephone_number() else [],
        telephone=_telephone_number(),
        form=form,
        wrong=wrong,
        shortest=rules.SHORTEST_DAYS,
        longest=rules.LONGEST_DAYS,
    )


@blueprint.get("/settings/my-call/sample.wav")
@login_required
@admins_only(back=lambda _view_args: url_for("compliance.show"))
def send_sample() -> Response:
    """What is spoken to the number that took part, with other digits."""
    sample = _sample()
    opened = OpenSound(
        OWN_CALL, "audio/wav", len(sample.wav), lambda start, end: iter([sample.wav[start:end]])
    )
    return sound_response.send(opened, sample.sha256)


@blueprint.get("/settings/my-call/sentences/<int:place>.wav")
@login_required
@admins_only(back=lambda _view_args: url_for("compliance.show"))
def send_sentence(place: int) -> Response:
    """What somebody hears who opens their call by telephone."""
    if place >= len(SENTENCES):
        abort(404)
    sentence = _sentence(SENTENCES[place])
    opened = OpenSound(
        OWN_CALL, "audio/wav", len(sentence.wav), lambda start, end: iter([sentence.wav[start:end]])
    )
    return sound_response.send(opened, sentence.sha256)


def _sentence(name: str) -> Rendered:
    return room_sentence(name, [current_language()], sources=panel_state().sources)


def _telephone_number() -> str | None:
    """What people dial to hear their call by telephone, where they can."""
    service = panel_state().dial_in
    return None if service is None else format_international(service.number)


def _sample() -> Rendered:
    return verification_code(current_language(), SAMPLE, OPENINGS[OWN_CALL], sources=panel_state().sources)


@blueprint.post("/recordings/<recording_id>/my-call")
@login_required
@limit_refusals
@limit_grants
@LIMIT
def give_code(recording_id: str) -> ResponseReturnValue:
    """Give the person who was recorded a code; it is shown now and never again."""
    user = current_visitor().user
    if user.role not in GIVERS:
        abort(403)
    facts, state = gate().facts(who(), recording_id), panel_state()
    form, by_mail = request.form, request.form.get("how") == "mail"
    try:
        code = codes.give_code(
            facts, By("user", user.id), key=state.own_call_keys[0], policy=state.call_policy,
            signer=changes().signer, now=now(), entropy=state.entropy, mail=_mail(facts) if by_mail else None,
        )  # fmt: skip
    except (MailError, OwnCallError) as error:
        return render_call(recording_id, form=FilledForm("own-call", form.to_dict(), error.error_id))
    valid = codes.find_valid(user.tenant, recording_id, changes().trust, now())
    return render_template(
        "own_call/given.html",
        recording=facts.status.row,
        code=rules.grouped(code),
        valid=valid,
        mailed=form.get("address", "") if by_mail else "",
        address=url_for(".enter_code", _external=True),
        telephone=_telephone_number(),
    )


def _mail(facts: CallFacts) -> CodeMail:
    """The mail with a code, to the address that the colleague typed."""
    visitor, language = current_visitor(), request.form.get("language", "")
    calls = [facts.status.row.started_at] if language in LANGUAGES else []
    sections = call_sections(calls, [], language if calls else current_language())
    if number := _telephone_number():
        with force_locale(LOCALES.get(language, language) if calls else current_language()):
            by_phone = _(
                "Or by telephone: dial %(number)s, enter the code and hang up. The telephone that was used "
                "for the call rings, and six digits are read out. Then dial again, and enter both.",
                number=number,
            )
        sections = (*sections, MailSection(str(by_phone)))
    return CodeMail(
        panel_state().outbox, request.form.get("address", "")[:200], language, visitor.tenant.name,
        visitor.user.name, sections,
    )  # fmt: skip


@blueprint.post("/recordings/<recording_id>/my-call/withdraw")
@login_required
@limit_refusals
@limit_grants
def withdraw_code(recording_id: str) -> ResponseReturnValue:
    """End the code of a call, and what was opened by it."""
    user = current_visitor().user
    if user.role not in GIVERS:
        abort(403)
    gate().facts(who(), recording_id)
    codes.withdraw_code(
        user.tenant, recording_id, By("user", user.id), signer=changes().signer, trust=changes().trust,
        now=now(), entropy=panel_state().entropy,
    )  # fmt: skip
    flash(_("The code no longer works."), "done")
    return redirect(url_for("playback.show_recording", recording_id=recording_id, _anchor="own-call"), 303)
