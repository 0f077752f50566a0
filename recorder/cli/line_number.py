"""The number that somebody types: of a line that there is, or is to be."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final

import click

from recorder.catalogue import queries
from recorder.catalogue.records import LineRow, TenantRow
from recorder.cli.terminal import printable
from recorder.domain import phone_numbers
from recorder.domain.phone_numbers import NumberKind, WrittenNumber
from recorder.errors import CatalogueError

_DOUBTS: Final = {
    NumberKind.EXTENSION: "{text} is no whole number: an extension, or a number without its area code",
    NumberKind.ASSUMED: "{text} has no country or area code, or no number begins like that",
    NumberKind.PREMIUM: "{text} is a number at a premium rate",
}
"""What is unsure about a number, by its kind."""


def find_line(owner: TenantRow, number: str) -> LineRow:
    """A tenant's line by its number, in any spelling.  Raises :class:`CatalogueError`
    (``line.unknown``)."""
    found = lines_called(queries.lines(owner.id), number, owner.country)
    if not found:
        raise CatalogueError(
            "line.unknown",
            f"{owner.name} has no line {number}",
            "`accord line list` shows the tenant's lines",
        )
    return found[0]


def lines_called(rows: Iterable[LineRow], number: str, country: str) -> Sequence[LineRow]:
    """The lines with a number, in any spelling of a ``country``: those with exactly its digits, or else those
    with the same E.164 form."""
    rows, digits = [*rows], phone_numbers.strip_punctuation(number).removeprefix("+")
    exact = [row for row in rows if row.number.removeprefix("+") == digits]
    if exact:
        return exact
    one = phone_numbers.to_canonical(number, country)
    return (
        [] if one is None else [row for row in rows if one == phone_numbers.to_canonical(row.number, country)]
    )


def read_new_number(
    text: str, country: str, never_record: Sequence[str], *, as_routed: bool
) -> WrittenNumber:
    """The number of a line to be made; asks where it is unsure what is meant. Raises
    :class:`CatalogueError`: ``line.unsure`` (nobody can be asked), and as
    :func:`phone_numbers.read_line_number`; :class:`click.Abort` for a no."""
    number = phone_numbers.read_line_number(text, country, never_record, as_routed=as_routed)
    if as_routed or (doubt := _DOUBTS.get(number.kind)) is None:
        return number
    message = doubt.format(text=printable(text))
    if not is_terminal():
        raise CatalogueError(
            "line.unsure",
            f"{message}; there is no terminal to ask on",
            f"write it with its country code, or add --as-routed if the dialplan routes {number.value!r}",
        )
    click.confirm(f"{message}. Record {describe(number)}?", abort=True, err=True)
    return number


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def describe(number: WrittenNumber) -> str:
    """A number as it was understood."""
    if not number.is_international:
        return f"{number.value}, as the dialplan routes it"
    return phone_numbers.format_international(number.value).replace("\u00a0", " ")
