"""Values that were read from a file, checked against what their dataclass says they are.

``json`` gives whatever was written; a number where a text must be is found here, before anything is done with
it, and not by whoever uses it later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")

LARGEST = 2**53
"""Beyond it another reader of JSON rounds whole numbers, and canonical JSON refuses them."""

YEARS = range(1970, 9000)
"""Of times: from others, and from these a lifetime of keeping later, the calendar ends."""


def checked(value: Value) -> Value:
    """The dataclass's instance, whose every field is of the type that it declares.

    Texts can be written in UTF-8 and hold no NUL, numbers are finite and below 2^53, times lie in
    :data:`YEARS`.  Raises ``TypeError`` for another type, ``ValueError`` for another value.
    """
    kind: Any = type(value)  # mypy takes no class for hashable
    for name, hint in _hints(kind).items():
        if not _fits(getattr(value, name), hint):
            raise TypeError(f"{type(value).__name__}.{name} is not {getattr(hint, '__name__', hint)}")
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _fits(value: object, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(each, inner[0]) for each in value)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, dict) and all(
            _fits(key, inner[0]) and _fits(each, inner[1]) for key, each in value.items()
        )
    if hint is NoneType:
        return value is None
    if hint is str:
        return isinstance(value, str) and _text(value)
    if hint is int:
        return type(value) is int and _number(value)
    if hint is float:
        return type(value) in (int, float) and _number(value)  # type: ignore[arg-type]  # just looked at
    if hint is datetime:
        return isinstance(value, datetime) and _time(value)
    if is_dataclass(hint):
        return isinstance(value, hint) and checked(value) is value  # type: ignore[arg-type]  # a class
    return isinstance(value, hint)


def _text(value: str) -> bool:
    if "\0" in value:
        raise ValueError("a text with NUL in it")
    value.encode()  # halves of a surrogate pair are no text: UnicodeEncodeError is a ValueError
    return True


def _time(value: datetime) -> bool:
    if value.year not in YEARS:
        raise ValueError(f"a time in the year {value.year}")
    return True


def _number(value: float) -> bool:
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise ValueError(f"no number that can be kept: {value!r}"[:80])
    return True
