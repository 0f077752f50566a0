"""What a table says of each customer: the cells of its rows, checked one by one and brought together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from recorder.catalogue import country_check
from recorder.domain import names, phone_numbers, time_zones
from recorder.domain.parties import read_extensions
from recorder.domain.roles import ROLES
from recorder.errors import AccordError, CatalogueError
from recorder.features.customer_import.table import (
    COLUMNS,
    CUSTOMER_COLUMNS,
    NUMBER_COLUMNS,
    PERSON_COLUMNS,
    TableMistake,
    TableRow,
)
from recorder.lifecycle.plans import find_plan
from recorder.mail.address import normalize_address
from recorder.prompts.purposes import LANGUAGES

_WORDS: Final = re.compile(r"[\s,;|]+")
_NUMBERS: Final = re.compile(r"[,;|\n]+")
"""Between several values in one cell; a number may contain blanks."""

_TRUTHS: Final[Mapping[str, bool]] = {
    "yes": True,
    "no": False,
    "true": True,
    "false": False,
    "1": True,
    "0": False,
}


@dataclass(frozen=True, slots=True)
class CustomerValues:
    """What a customer is created with."""

    name: str
    country: str
    language: str
    languages: tuple[str, ...]
    time_zone: str
    plan: str

    @property
    def line_language(self) -> str:
        """The language of its lines where none is stated: its own, if lines may speak that."""
        return self.language if self.language in self.languages else self.languages[0]


@dataclass(frozen=True, slots=True)
class NumberEntry:
    """What a row says of a number. ``number`` is in the form in which it is stored; each other value is
    ``None`` if its cell is empty."""

    line: int
    number: str
    label: str | None
    languages: tuple[str, ...] | None
    mode: str | None
    purposes: tuple[str, ...] | None
    keep_days: int | None
    recorded: bool | None


@dataclass(frozen=True, slots=True)
class PersonEntry:
    """What a row says of a person. ``numbers`` are the only ones whose calls they see, ``extensions`` where
    they take calls; each value but the ``address`` is ``None`` if its cell is empty."""

    line: int
    address: str
    name: str | None
    role: str | None
    language: str | None
    numbers: tuple[str, ...] | None
    extensions: tuple[str, ...] | None


@dataclass
class CustomerEntry:
    """What the table says of a customer. ``stated`` has the customer's own cells that are not empty, by
    column, checked; ``lines`` the line where each was stated first."""

    line: int
    name: str
    stated: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    rows: list[TableRow] = field(default_factory=list)
    numbers: list[NumberEntry] = field(default_factory=list)
    people: list[PersonEntry] = field(default_factory=list)


def read_customers(rows: Iterable[TableRow]) -> tuple[list[CustomerEntry], list[TableMistake]]:
    """The customers of a table, in its order, with their own cells; rows whose customer has names that look
    the same are one customer's. Numbers and people are read by :func:`read_parts`, once the customer's
    country is known."""
    customers: dict[str, CustomerEntry] = {}
    mistakes: list[TableMistake] = []
    for row in rows:
        values, wrong = _read(row, CUSTOMER_COLUMNS)
        mistakes += wrong
        if "tenant" not in row.cells:
            error = CatalogueError(
                "tenant.name", "the customer's name is empty", "name the customer in each row"
            )
            mistakes.append(TableMistake(row.line, "tenant", error))
        if (name := values.pop("tenant", None)) is None:
            continue
        customer = customers.setdefault(names.fold(name), CustomerEntry(row.line, name))
        customer.rows.append(row)
        for column, value in values.items():
            if customer.stated.setdefault(column, value) != value:
                error = CatalogueError(
                    "customer_import.contradiction",
                    f"{customer.name} has {row.cells[column]!r} here, and another {column} in line "
                    f"{customer.lines[column]}",
                    "state it once, or the same in each of the customer's rows",
                )
                mistakes.append(TableMistake(row.line, column, error))
            customer.lines.setdefault(column, row.line)
    return list(customers.values()), mistakes


def read_parts(
    customer: CustomerEntry, country: str, as_routed: bool, never_record: Sequence[str]
) -> list[TableMistake]:
    """Read a customer's numbers and people from its rows, and return what is wrong there. Numbers are those
    of a ``country``, or stay ``as_routed``: the digits that the dialplan has. Those of ``never_record`` are
    mistakes."""

    def read_number(text: str) -> str:
        return phone_numbers.read_line_number(text, country, never_record, as_routed=as_routed).value

    mistakes: list[TableMistake] = []
    for row in customer.rows:
        parts = ((NUMBER_COLUMNS, "number"), (PERSON_COLUMNS, "address"))
        for columns, key in parts:
            values, wrong = _read(row, columns, read_number, country)
            mistakes += wrong
            if values and key not in row.cells:
                error = CatalogueError(
                    "customer_import.row",
                    f"the row has a {next(iter(values))}, and no {key}",
                    f"add the {key}, or empty the cell",
                )
                mistakes.append(TableMistake(row.line, next(iter(values)), error))
            elif key in values and not wrong:
                _add(customer, row.line, key, values)
    return mistakes


def _add(customer: CustomerEntry, line: int, key: str, values: Mapping[str, Any]) -> None:
    if key == "number":
        customer.numbers.append(
            NumberEntry(
                line, values[key], values.get("label"), values.get("number_languages"), values.get("mode"),
                values.get("purposes"), values.get("keep_days"), values.get("recorded"),
            )
        )  # fmt: skip
    else:
        customer.people.append(
            PersonEntry(
                line, values[key], values.get("person"), values.get("role"), values.get("person_language"),
                values.get("person_numbers"), values.get("extensions"),
            )
        )  # fmt: skip


def _read(
    row: TableRow, columns: Iterable[str], read_number: Callable[[str], str] = str, country: str = ""
) -> tuple[dict[str, Any], list[TableMistake]]:
    values: dict[str, Any] = {}
    mistakes: list[TableMistake] = []
    for column in columns:
        if (text := row.cells.get(column)) is None:
            continue
        try:
            if column == "number":
                values[column] = read_number(text)
            elif column == "person_numbers":
                texts = [each.strip() for each in _NUMBERS.split(text) if each.strip()] or [text]
                values[column] = tuple(map(read_number, texts))
            elif column == "extensions":
                values[column] = read_extensions(text, country)
            else:
                values[column] = _READERS[column](text)
        except AccordError as error:
            mistakes.append(TableMistake(row.line, column, error))
    return values, mistakes


def _language(text: str) -> str:
    code = text.casefold()
    if code not in LANGUAGES:
        raise CatalogueError(
            "customer_import.language", f"there is no language {text!r}", f"one of {', '.join(LANGUAGES)}"
        )
    return code


def _languages(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_language(each) for each in _words(text) or (text,)))


def _words(text: str) -> tuple[str, ...]:
    return tuple(each.casefold() for each in _WORDS.split(text) if each)


def _time_zone(text: str) -> str:
    time_zones.require_zone(text)
    return text


def _days(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise CatalogueError(
            "announcement.keep_days", f"{text!r} is no number of days", "write it in digits alone, such as 30"
        )
    return int(text)


def _truth(text: str) -> bool:
    if (truth := _TRUTHS.get(text.casefold())) is None:
        raise CatalogueError("customer_import.recorded", f"{text!r} is neither yes nor no", "write yes or no")
    return truth


def _role(text: str) -> str:
    if (role := text.casefold()) not in ROLES:
        raise CatalogueError(
            "user.role", f"{text!r} is none of their roles", f"use one of {', '.join(ROLES)}"
        )
    return role


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "tenant": lambda text: names.tidy(text, "the customer's name", "tenant.name"),
    "country": country_check.country_code,
    "language": _language,
    "languages": _languages,
    "time_zone": _time_zone,
    "plan": lambda text: find_plan(text).code,
    "label": lambda text: names.tidy(text, "the label", "line.label"),
    "number_languages": _languages,
    "mode": str.casefold,
    "purposes": _words,
    "keep_days": _days,
    "recorded": _truth,
    "address": normalize_address,
    "person": lambda text: names.tidy(text, "the name", "user.name"),
    "role": _role,
    "person_language": _language,
}
assert {*_READERS, "number", "person_numbers", "extensions"} == {*COLUMNS}
