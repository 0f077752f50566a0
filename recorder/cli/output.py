"""What commands print: a table, the fields of a record, or one JSON document (``--json``).

A command builds plain values: a record maps field names in snake_case to texts, numbers, times, lists of
those, and further records. JSON has all fields by these names; a table's header has them in capitals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import PurePath
from typing import Any, Final, TypeVar

import click

from recorder.cli.terminal import printable
from recorder.clock import to_iso

Record = Mapping[str, Any]

CommandFunction = TypeVar("CommandFunction", bound=Any)

_AS_JSON: Final = "recorder.cli.output.json"

_NUMBERS: Final = frozenset({int, float})


def json_option(command: CommandFunction) -> CommandFunction:
    """Decorates a command that prints with this module's functions."""

    def remember(context: click.Context, _option: click.Parameter, value: bool) -> None:
        context.meta[_AS_JSON] = value

    decorate = click.option(
        "--json", is_flag=True, expose_value=False, callback=remember, help="Print one JSON document."
    )
    return decorate(command)


def is_json() -> bool:
    """Whether the command that runs prints JSON."""
    return bool(click.get_current_context().meta.get(_AS_JSON))


def fields_of(value: object, *names: str) -> Record:
    """Some fields of a value, by their own names."""
    return {name: getattr(value, name) for name in names}


def print_json(document: Record) -> None:
    """Print a document, whatever the options."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=1, default=_json_value))


def print_list(name: str, rows: Iterable[Record], columns: Sequence[str]) -> None:
    """Print records as a table of some of their fields, or all of them under ``name`` as JSON."""
    if is_json():
        print_json({name: [*rows]})
        return
    for line in format_table(rows, columns):
        click.echo(line)


def print_record(record: Record) -> None:
    """Print a record, a field on each line."""
    if is_json():
        print_json(record)
        return
    for line in _fields(record, ""):
        click.echo(line)


def print_result(record: Record, *sentences: str) -> None:
    """Print the sentences, or the record as JSON."""
    if is_json():
        print_json(record)
        return
    for sentence in sentences:
        click.echo(printable(sentence))


def format_table(rows: Iterable[Record], columns: Sequence[str]) -> list[str]:
    """The lines of a table with its header."""
    lines = [[column.replace("_", " ").upper() for column in columns]]
    kinds: list[set[type]] = [set() for _ in columns]
    for row in rows:
        values = [row[column] for column in columns]
        for known, value in zip(kinds, values, strict=True):
            known.add(type(value))
        lines.append([format_value(value).replace("\n", " ") for value in values])
    numeric = [bool(known & _NUMBERS) and known <= {*_NUMBERS, type(None)} for known in kinds]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ).rstrip()
        for cells in lines
    ]


def _fields(record: Record, indent: str) -> Iterable[str]:
    for name, value in record.items():
        title = f"{indent}{_title(name)}:"
        inner = f"{indent}  "
        if isinstance(value, Mapping) and value:
            yield title
            yield from _fields(value, inner)
        elif _is_list_of_records(value):
            yield title
            yield from (inner + line for line in format_table(value, [*value[0]]))
        else:
            yield f"{title} {format_value(value)}"


def _title(name: str) -> str:
    words = ["ID" if each == "id" else each for each in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _is_list_of_records(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def format_value(value: Any) -> str:
    """A value as people read it; a hyphen for none."""
    if value is None or value in ("", [], (), {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(format_value, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {format_value(each)}" for name, each in value.items())
    return printable(str(_json_value(value)))


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    return value
