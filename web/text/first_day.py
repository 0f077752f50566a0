"""The steps of a customer's first day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import lazy_gettext as _l

STEPS: Final[Mapping[str, tuple[object, object, object]]] = {
    "register": (_l("Register"), _l("Your company is registered."), ""),
    "number": (
        _l("Your number"),
        _l("The number whose calls are recorded."),
        _l("Go to the numbers"),
    ),
    "purposes": (
        _l("What recordings are for"),
        _l("Purposes in plain words, within the rules of your country."),
        _l("Choose the purposes"),
    ),
    "sound": (
        _l("How it sounds"),
        _l("Hear what callers will hear before you switch it on."),
        _l("Hear it"),
    ),
    "on": (
        _l("Switch on"),
        _l("From the next call, callers hear the announcement and calls are recorded."),
        _l("Switch on"),
    ),
    "call": (_l("Test call"), _l("Call your number and hear the recording here."), ""),
}
"""By step: its name, what it is about, and the text of its button."""

STATES: Final[Mapping[str, object]] = {
    "not_begun": _l("Not begun"),
    "begun": _l("Begun"),
    "done": _l("Done"),
}


def step_name(step: str) -> str:
    return str(STEPS[step][0])


def step_explanation(step: str) -> str:
    return str(STEPS[step][1])


def step_action(step: str) -> str:
    return str(STEPS[step][2])


def step_state(state: str) -> str:
    return str(STATES[state])
