"""A customer's plan: its name, what it has, and what is not part of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from flask_babel import gettext as _

from web.language import current_language
from web.state import current_plan
from web.text.sentences import labels, plural

FORMATS: Final[Mapping[str, object]] = {"opus": "Opus", "wav": "WAV"}


def plan_name() -> str:
    """The name of the visitor's plan."""
    return current_plan().name(current_language())


def not_in_plan() -> str:
    """That the visitor's plan does not have something, and who can change that."""
    return str(_("Not part of the plan “%(plan)s”. Your provider can change it.", plan=plan_name()))


def plan_days() -> str:
    """The longest retention that can be chosen in the visitor's plan."""
    most = current_plan().longest_keep_days
    if most is None:
        return str(_("As long as your country’s rules allow"))
    return plural("plan_days", most)


def plan_limit(most: int) -> str:
    """That the visitor's plan has less retention than was entered."""
    return plural("plan_limit", most, plan=plan_name())


def format_list(formats: Iterable[str]) -> str:
    """Several formats."""
    return ", ".join(str(FORMATS.get(each, each)) for each in formats)


def plan_features() -> list[tuple[str, bool]]:
    """What plans can include, and whether the visitor's does."""
    return [(text, code in current_plan().features) for code, text in labels("plan_feature").items()]
