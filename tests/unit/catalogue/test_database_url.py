"""The catalogue's URL: malformed ones are refused, and passwords are never shown."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from peewee import OperationalError

from recorder.catalogue import database, schema
from recorder.errors import CatalogueError
from tests.ports import free_ports

pytestmark = pytest.mark.postgresql

SECRET = "s3cr3t"


def refused(work: Callable[[], object]) -> CatalogueError:
    with pytest.raises(CatalogueError) as failure:
        work()
    return failure.value


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgresql://ada@db/accord", "postgresql://ada@db/accord"),
        ("postgres://db/accord", "postgresql://db/accord"),
        (f"postgresql://ada:{SECRET}@db:5433/accord", "postgresql://ada@db:5433/accord"),
        (f"postgresql://db/accord?user=ada&password={SECRET}", "postgresql://ada@db/accord"),
        ("postgresql://ada@/accord?host=/run/pg", "postgresql://ada@/accord?host=/run/pg"),
        ("postgresql://a,b:5433/accord?target_session_attrs=any", "postgresql://a,b:,5433/accord"),
        ("sqlite:////var/lib/accord/catalogue.db", "sqlite:////var/lib/accord/catalogue.db"),
    ],
)
def test_url_is_shown_without_its_password(url: str, text: str) -> None:
    assert database.without_password(url) == text


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ada:{SECRET}@db",
        f"postgresql://ada:{SECRET}@db:a{SECRET}/accord?x",
        f"postgresql://ada:%{SECRET}@db/accord",
        f"postgresql://db/accord?passwort={SECRET}",
        f"postgresql://[{SECRET}/accord",
    ],
)
def test_malformed_url_is_refused_without_its_password(url: str) -> None:
    for operation in (database.make_database, schema.migrate, schema.check_schema, database.without_password):
        error = refused(lambda operation=operation: operation(url))
        assert error.error_id == "catalogue.url"
        assert SECRET not in f"{error!r}{error}{error.__cause__}"


def test_unavailable_server_is_reported_without_the_password() -> None:
    url = f"postgresql://ada:{SECRET}@127.0.0.1:{free_ports()}/accord"
    for operation in (schema.migrate, schema.check_schema):
        error = refused(lambda operation=operation: operation(url))
        assert error.error_id == "catalogue.away"
        assert "refused" in error.message
        assert "pgpass" in error.hint
        assert SECRET not in f"{error!r}{error}{error.__cause__!r}"


def test_missing_driver_is_reported(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "recorder.catalogue.postgresql")
    monkeypatch.delattr("recorder.catalogue.postgresql")
    error = refused(lambda: database.make_database("postgresql://ada@db/accord"))
    assert error.error_id == "catalogue.driver_missing"
    assert "accord-recorder[postgresql]" in error.hint


def test_failed_rollback_does_not_hide_the_cause() -> None:
    """SQLite rolls back by itself when its disk is full."""
    error = OperationalError("cannot rollback - no transaction is active")
    error.__context__ = OperationalError("database or disk is full")
    assert "disk is full" in database.unavailable(error).message
