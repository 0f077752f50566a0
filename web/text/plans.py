"""A customer's plan: its name, what it has, and what is not part of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from recorder.lifecycle.plans import API, DOWNLOAD, EXPORT
from web.language import current_language
from web.state import current_plan

FEATURES: Final[Mapping[str, object]] = {
    DOWNLOAD: _l("Download recordings"),
    EXPORT: _l("Lists as CSV files"),
    API: _l("Access for your own programs"),
}
"""In the order in which they are listed."""

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
    return str(ngettext("At most %(num)d day", "At most %(num)d days", most))


def plan_limit(most: int) -> str:
    """That the visitor's plan has less retention than was entered."""
    return str(
        ngettext(
            "At most %(num)d day in the plan “%(plan)s”. Your provider can change it.",
            "At most %(num)d days in the plan “%(plan)s”. Your provider can change it.",
            most,
            plan=plan_name(),
        )
    )


def format_list(formats: Iterable[str]) -> str:
    """Several formats."""
    return ", ".join(str(FORMATS.get(each, each)) for each in formats)


def plan_features() -> list[tuple[str, bool]]:
    """What plans can include, and whether the visitor's does."""
    return [(str(text), code in current_plan().features) for code, text in FEATURES.items()]
