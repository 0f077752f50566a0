"""The line that a command is about, by its number."""

from __future__ import annotations

from recorder.catalogue import queries
from recorder.catalogue.records import LineRow, TenantRow
from recorder.domain import phone_numbers
from recorder.errors import CatalogueError


def find_line(owner: TenantRow, number: str) -> LineRow:
    """A tenant's line by its number, in any spelling.  Raises :class:`CatalogueError`
    (``line.unknown``)."""
    rows, digits = queries.lines(owner.id), phone_numbers.strip_punctuation(number).removeprefix("+")
    found = next((row for row in rows if row.number.removeprefix("+") == digits), None)
    if found is None:
        one = phone_numbers.to_canonical(number, owner.country)
        found = next(
            (row for row in rows if one == phone_numbers.to_canonical(row.number, owner.country)), None
        )
    if found is None:
        raise CatalogueError(
            "line.unknown",
            f"{owner.name} has no line {number}",
            "`accord line list` shows the tenant's lines",
        )
    return found
