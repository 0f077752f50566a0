"""Questions that are asked with every request: their SQL is made once.

Peewee takes ten times longer to write one than SQLite to answer it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from recorder.catalogue.database import Table, database

Asked = ParamSpec("Asked")
Found = TypeVar("Found", bound=Table)


def prepared(model: type[Found]) -> Callable[[Callable[Asked, Any]], Callable[Asked, list[Found]]]:
    """For a function that gives a query for rows of one ``model``: it gives the rows instead.

    Its arguments must end up in the query as they are, one value each, and be what the database has (text and
    whole numbers, a time as its text): the function is called once for each kind of database, with texts that
    stand for them."""

    def of(make: Callable[Asked, Any]) -> Callable[Asked, list[Found]]:
        made: dict[type, tuple[str, list[Any]]] = {}

        @wraps(make)
        def ask(*args: Asked.args, **kwargs: Asked.kwargs) -> list[Found]:
            assert not kwargs
            kind = type(database.obj)
            if kind not in made:
                places = {f"\0{number}": number for number in range(len(args))}
                sql, values = make(*places).sql()  # type: ignore[call-arg, arg-type]
                made[kind] = sql, [(places.get(value), value) for value in values]
            sql, values = made[kind]
            given = [value if place is None else args[place] for place, value in values]
            return list(model.raw(sql, *given).execute())

        return ask

    return of
