"""Inserts many rows by few statements. peewee takes several times as long to build such a statement as the
database takes to run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from recorder.catalogue.database import Table, database

PARAMETERS: Final = 30_000
"""Values in one statement: SQLite accepts 32,766, PostgreSQL 65,535."""


def insert_rows(table: type[Table], rows: Sequence[Mapping[str, Any]], *, existing_ok: bool = False) -> None:
    """Insert rows inside the caller's transaction. All have values for the fields of the first one, by name;
    with ``existing_ok`` rows that exist stay as they are."""
    if not rows:
        return
    fields = [(name, table._meta.fields[name]) for name in rows[0]]
    values = [[field.db_value(row[name]) for name, field in fields] for row in rows]
    insert_values(table, [field.column_name for _, field in fields], values, existing_ok=existing_ok)


def insert_values(
    table: type[Table], columns: Sequence[str], rows: Sequence[Sequence[Any]], *, existing_ok: bool = False
) -> None:
    """The same for rows as the database stores them, with their values in the order of ``columns``."""
    most = PARAMETERS // len(columns)
    for begin in range(0, len(rows), most):
        some = rows[begin : begin + most]
        statement = _statement(
            table._meta.table_name, tuple(columns), len(some), database.param, existing_ok=existing_ok
        )
        database.execute_sql(statement, [value for row in some for value in row])


@lru_cache(maxsize=64)
def _statement(table: str, columns: tuple[str, ...], rows: int, param: str, *, existing_ok: bool) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    one = f"({', '.join([param] * len(columns))})"
    end = " ON CONFLICT DO NOTHING" if existing_ok else ""
    return f'INSERT INTO "{table}" ({names}) VALUES {", ".join([one] * rows)}{end}'  # noqa: S608, names of ours
