"""Frozen values of rows, and rows of frozen values: a value's field is its table's column of the same name,
with or without ``_id``.

A truth is 0 or 1, a day is text, a value within a value is a mapping, a tuple is a list. The party
``external_party`` is in ``external_kind`` and ``external_value``, a spoken sentence ``menu`` in ``menu_text``
and its sound ``menu``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from recorder.catalogue.database import Table
from recorder.domain.parties import Party
from recorder.domain.sentences import SpokenSentence

Value = TypeVar("Value")
Convert = Callable[..., Any]

_IN_TWO: Mapping[type, tuple[str, str]] = {Party: ("{}_kind", "{}_value"), SpokenSentence: ("{}_text", "{}")}


class _Field(NamedTuple):
    """A value's field, its columns, and what makes the one of the others, and these of it."""

    name: str
    columns: tuple[str, ...]
    read: Convert | None
    write: Convert | None


def read_value(kind: type[Value], row: Table, /, **others: Any) -> Value:
    """The value of a row; ``others`` are the fields that are not simply in a column. Raises ``TypeError`` if
    the table lacks a column for a field, or has one that may be empty where the field may not, and any error
    of a row that contains what Accord never writes."""
    content = row.__data__.get
    for name, columns, read, _write in _fields(kind, type(row), tuple(others)):  # type: ignore[arg-type]
        others[name] = content(columns[0]) if read is None else read(*map(content, columns))
    return kind(**others)


def columns_of(value: Any, model: type[Table], *without: str) -> dict[str, Any]:
    """The columns of a value, as :func:`read_value` reads them, but for the fields in ``without``."""
    found: dict[str, Any] = {}
    for name, columns, _read, write in _fields(type(value), model, without):  # type: ignore[arg-type]
        content = getattr(value, name) if write is None else write(getattr(value, name))
        if len(columns) == 1:
            found[columns[0]] = content
        else:
            found.update(zip(columns, content or (None, None), strict=True))
    return found


@cache
def _fields(kind: Any, model: type[Table], without: tuple[str, ...]) -> list[_Field]:
    hints = get_type_hints(kind)
    return [_field(each.name, hints[each.name], model) for each in fields(kind) if each.name not in without]


def _field(name: str, hint: Any, model: type[Table]) -> _Field:
    there = model._meta.fields
    optional = NoneType in get_args(hint)
    kind = next(each for each in get_args(hint) if each is not NoneType) if optional else hint
    patterns = _IN_TWO.get(kind) or (("{}",) if name in there else ("{}_id",))
    columns = tuple(pattern.format(name.removesuffix("_party")) for pattern in patterns)
    for column in columns:
        if column not in there or (there[column].null and not optional):
            raise TypeError(f"{model.__name__}.{column} does not fit {name}")
    read, write = _in_two(kind) if kind in _IN_TWO else _conversion(kind)
    return (
        _Field(name, columns, _or_none(read), _or_none(write))
        if optional
        else _Field(name, columns, read, write)
    )


def _in_two(kind: Any) -> tuple[Convert, Convert]:
    return kind, attrgetter(*(each.name for each in fields(kind)))


def _conversion(kind: Any) -> tuple[Convert | None, Convert | None]:
    """What turns a column's content into a field of this type, and back."""
    if kind is bool:
        return bool, int
    if kind is date:
        return date.fromisoformat, date.isoformat
    if is_dataclass(kind):
        make: Any = kind
        names = [each.name for each in fields(kind)]
        return lambda content: make(**content), lambda value: {name: getattr(value, name) for name in names}
    if get_origin(kind) is not tuple:
        return None, None
    item = get_args(kind)[0]
    read, write = (tuple, list) if get_origin(item) is tuple else _conversion(item)
    if read is None or write is None:
        return tuple, list
    return lambda content: tuple(map(read, content)), lambda value: list(map(write, value))


def _or_none(convert: Convert | None) -> Convert | None:
    return convert and (lambda *parts: None if None in parts else convert(*parts))
