"""Any event of a call, for tests of what must be true of all of them in any order."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

from hypothesis import strategies as st

from recorder.domain.call_events import CallEvent

TYPES: tuple[type[CallEvent], ...] = get_args(CallEvent)

_REQUIRED: dict[str, object] = {"participants": (), "supervisors": ()}
"""Values of fields without a default, where not the empty text."""


def any_event(
    types: tuple[type[CallEvent], ...] = TYPES, **values: st.SearchStrategy[object]
) -> st.SearchStrategy[CallEvent]:
    """One of ``types``, with its fields from ``values``, where they name them."""
    builders = {one: _builder(one, values) for one in types}
    return st.one_of([builders[one] for one in types])


def _builder(
    one: type[CallEvent], values: dict[str, st.SearchStrategy[object]]
) -> st.SearchStrategy[CallEvent]:
    required = ("sound", "code", "by", "other", "conference", "participants", "supervisors", "heard_by")
    values_of_type = {
        each.name: st.just(_REQUIRED.get(each.name, "")) for each in fields(one) if each.name in required
    }
    return st.builds(
        one, **values_of_type | {each.name: values[each.name] for each in fields(one) if each.name in values}
    )
