"""What the pages of numbers say: what is announced, what a country allows, and why a setting is refused."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from babel import Locale
from babel.lists import format_list
from flask_babel import gettext as _

from recorder.errors import AccordError
from recorder.prompts.country_rules import STRICT, Objection
from recorder.prompts.purposes import standard
from recorder.prompts.sentences import time_words
from web.language import NAMES, current_language, current_locale
from web.text import errors, formats
from web.text.sentences import sentence

SOUND_MISSING: Final = "announcement.sound_missing"


def setup_error(error: AccordError, form: Collection[str]) -> tuple[str, str]:
    """The field of the ``form`` that an error concerns (empty: none), and what it says."""
    if (field := errors.field(error.error_id, form)) is not None:
        return field, errors.error(error.error_id)
    if error.error_id == SOUND_MISSING:
        return "", errors.error(SOUND_MISSING)
    if error.error_id.startswith(("prompt.", "tts.")):
        return "", sentence("setup", "no_sound")
    return "", sentence("setup", "otherwise")


def language_name(code: str) -> str:
    """A language in the reader's own, as the beginning of a line."""
    name = Locale.parse(current_locale()).languages.get(code) or NAMES.get(code, code)
    return name[:1].upper() + name[1:]


def country(code: str) -> str:
    """The name of a country pack, or of two (``be+fr``)."""
    if code == STRICT:
        return str(_("The strictest rules"))
    if "+" in code:
        return format_list([country(each) for each in code.split("+")], locale=current_locale())
    return str(Locale.parse(current_locale()).territories.get(code.upper()) or code)


def country_choice(code: str) -> str:
    """A country pack as somebody chooses it."""
    return str(_("Another country (the strictest rules)")) if code == STRICT else country(code)


def objection(each: Objection, country_code: str) -> str:
    """Why a country does not allow a setting."""
    name = country(country_code)
    known = standard().get(each.rule.purpose)
    purpose = known.label(current_language()) if known else each.rule.purpose
    limit = (
        {"mode": sentence("mode", each.rule.mode)}
        if each.kind == "mode"
        else {"time": formats.days(longest_days(each.rule.purpose, each.rule.longest_keep_days))}
    )
    return sentence("objection", each.kind, country=name, purpose=purpose, **limit)


def longest_days(purpose: str, by_country: int) -> int:
    """The longest retention that may be announced for a purpose."""
    known = standard().get(purpose)
    return min(by_country, known.longest_keep_days) if known else by_country


def retention_period(days: int) -> str:
    """A retention period as it is said in calls, as the beginning of a line."""
    words = time_words(days, current_language())
    return words[:1].upper() + words[1:]


def numbered(numbers: Sequence[str]) -> str:
    """Several telephone numbers."""
    return ", ".join(formats.number(each) for each in numbers)
