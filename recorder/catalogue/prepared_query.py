"""Statements that run with every request, or for each of many rows: their SQL is generated once.

peewee takes ten times longer to generate such a query than SQLite takes to answer it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

from recorder.catalogue.database import Table, database

Parameters = ParamSpec("Parameters")
Row = TypeVar("Row", bound=Table)


def prepared(model: type[Row]) -> Callable[[Callable[Parameters, Any]], Callable[Parameters, list[Row]]]:
    """Decorates a function that returns a query for rows of one ``model``: it returns the rows instead.

    The function is called once for each kind of database, with placeholders for its arguments. So each
    argument must appear in the query unchanged, as one value of a type that the database stores (text, an
    integer, a time as text)."""

    def decorate(make_query: Callable[Parameters, Any]) -> Callable[Parameters, list[Row]]:
        statements: dict[type, tuple[str, list[Any]]] = {}

        @wraps(make_query)
        def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> list[Row]:
            assert not kwargs
            kind = type(database.obj)
            if kind not in statements:
                placeholders = {f"\0{number}": number for number in range(len(args))}
                sql, values = make_query(*placeholders).sql()  # type: ignore[call-arg, arg-type]
                statements[kind] = sql, [(placeholders.get(value), value) for value in values]
            sql, values = statements[kind]
            bound = [value if position is None else args[position] for position, value in values]
            return list(model.raw(sql, *bound).execute())

        return run

    return decorate


def insert(row: Table) -> None:
    """Insert a new row, inside the caller's transaction."""
    fields = row._meta.sorted_fields
    values = [field.db_value(row.__data__.get(field.name)) for field in fields]
    database.execute_sql(_insertion(type(row), database.param), values)


@cache
def _insertion(model: type[Table], param: str) -> str:
    names = ", ".join(f'"{field.column_name}"' for field in model._meta.sorted_fields)
    params = ", ".join([param] * len(model._meta.sorted_fields))
    return f'INSERT INTO "{model._meta.table_name}" ({names}) VALUES ({params})'  # noqa: S608, names of ours
