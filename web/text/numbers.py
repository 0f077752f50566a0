"""What the pages of numbers say: what is announced, what a country allows, and why a setting is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from babel import Locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from recorder.errors import AccordError
from recorder.prompts.country_rules import STRICT, Objection
from recorder.prompts.purposes import standard
from web.language import NAMES, current_language, current_locale
from web.text import errors, formats

MODES: Final[Mapping[str, object]] = {
    "notice": _l("Callers are told"),
    "opt-out": _l("Callers can refuse with a key"),
    "opt-in": _l("Callers are asked first"),
}

MODE_EXPLANATIONS: Final[Mapping[str, object]] = {
    "notice": _l("The announcement is played, and the call is recorded."),
    "opt-out": _l("The announcement says how to refuse: callers who press 2 are not recorded."),
    "opt-in": _l("Only callers who press 1 are recorded."),
}

WORDINGS: Final[Mapping[str, object]] = {"short": _l("Short"), "long": _l("In full sentences")}

PARTS: Final[Mapping[str, object]] = {
    "menu": _l("Choice of language"),
    "announcement": _l("Announcement"),
    "question": _l("Question"),
    "declined": _l("If consent is refused"),
}


SOUND_MISSING: Final = "announcement.sound_missing"


def setup_error(error: AccordError, form: Collection[str]) -> tuple[str, str]:
    """The field of the ``form`` that an error concerns (empty: none), and what it says."""
    if (field := errors.field(error.error_id, form)) is not None:
        return field, errors.error(error.error_id)
    if error.error_id == SOUND_MISSING:
        return "", errors.error(SOUND_MISSING)
    if error.error_id.startswith(("prompt.", "tts.")):
        return "", str(_("A sentence has no sound in one of these languages. Ask your provider."))
    return "", str(_("This cannot be set up. Ask your provider."))


def file_too_large(most: int) -> str:
    """That a file is too large."""
    return str(_("This file is too large. A greeting has at most %(size)s.", size=formats.size(most)))


def mode(code: str) -> str:
    """How callers are told, or asked."""
    return str(MODES.get(code, code))


def mode_explanation(code: str) -> str:
    return str(MODE_EXPLANATIONS.get(code, ""))


def wording(code: str) -> str:
    return str(WORDINGS[code])


def prompt_part(part: str, mode: str) -> str:
    """What a sentence is in an announcement."""
    if part == "question" and mode == "opt-out":
        return str(_("After a wrong key"))
    if part == "announcement" and mode == "opt-in":
        return str(_("After a yes"))
    return str(PARTS[part])


def language_name(code: str) -> str:
    """A language in the reader's own, as the beginning of a line."""
    name = Locale.parse(current_locale()).languages.get(code) or NAMES.get(code, code)
    return name[:1].upper() + name[1:]


def country(code: str) -> str:
    """A country pack's name."""
    if code == STRICT:
        return str(_("The strictest rules"))
    return str(Locale.parse(current_locale()).territories.get(code.upper()) or code)


def objection(each: Objection, country_code: str) -> str:
    """Why a country does not allow a setting."""
    name = country(country_code)
    known = standard().get(each.rule.purpose)
    purpose = known.label(current_language()) if known else each.rule.purpose
    if each.kind == "mode":
        return str(
            _(
                "%(country)s: for “%(purpose)s”, choose “%(mode)s”.",
                country=name,
                purpose=purpose,
                mode=mode(each.rule.mode),
            )
        )
    most = longest_days(each.rule.purpose, each.rule.longest_keep_days)
    return str(
        _(
            "%(country)s: for “%(purpose)s”, at most %(time)s.",
            country=name,
            purpose=purpose,
            time=formats.days(most),
        )
    )


def longest_days(purpose: str, by_country: int) -> int:
    """The longest retention that may be announced for a purpose."""
    known = standard().get(purpose)
    return min(by_country, known.longest_keep_days) if known else by_country


def retention_too_long(most: int) -> str:
    return str(
        ngettext(
            "For these purposes, at most %(num)d day.", "For these purposes, at most %(num)d days.", most
        )
    )


def retention_range(most: int) -> str:
    return str(_("Write a number of days, from 1 to %(most)s.", most=most))


def numbered(numbers: Sequence[str]) -> str:
    """Several telephone numbers."""
    return ", ".join(formats.number(each) for each in numbers)
