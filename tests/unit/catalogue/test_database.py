"""Connections, transactions and column types of the catalogue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from peewee import IntegrityError, OperationalError, ProgrammingError

from recorder import metrics
from recorder.catalogue import database
from recorder.catalogue.database import batch, connected, writing
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import CatalogueError


def errors(kind: str) -> float:
    return metrics.CATALOGUE_ERRORS.labels(kind)._value.get()


def writes() -> float:
    return sum(
        sample.value
        for family in metrics.CATALOGUE_WRITE.collect()
        for sample in family.samples
        if sample.name.endswith("_count")
    )


def test_nested_block_reuses_the_connection(catalogue) -> None:
    assert database.database.is_closed()
    with connected():
        with connected():
            assert not database.database.is_closed()
        assert not database.database.is_closed(), "the outer block still needs it"
    assert database.database.is_closed()


def test_connection_is_closed_after_an_error(catalogue) -> None:
    with pytest.raises(ZeroDivisionError), connected():
        raise ZeroDivisionError
    assert database.database.is_closed()


@pytest.mark.parametrize(
    ("error", "kind"),
    [(OperationalError("gone"), metrics.AWAY), (ProgrammingError("no such column"), metrics.FAILED)],
)
def test_database_errors_are_counted(catalogue, error: Exception, kind: str) -> None:
    before = errors(metrics.AWAY), errors(metrics.FAILED)
    expected = CatalogueError if kind == metrics.AWAY else type(error)
    with pytest.raises(expected) as failure, connected():
        raise error
    if isinstance(failure.value, CatalogueError):
        assert failure.value.error_id == "catalogue.away"
        assert "gone" in failure.value.message
    after = errors(metrics.AWAY), errors(metrics.FAILED)
    assert after == (before[0] + (kind == metrics.AWAY), before[1] + (kind == metrics.FAILED))


def test_violated_constraint_is_left_to_the_caller_and_not_counted(tenants) -> None:
    before = errors(metrics.AWAY), errors(metrics.FAILED)
    with pytest.raises(IntegrityError), writing():
        TenantTable.insert(**TenantTable.select().dicts().get()).execute()
    assert (errors(metrics.AWAY), errors(metrics.FAILED)) == before


def test_nested_transaction_is_a_savepoint_and_measured_once(tenants) -> None:
    def rolled_back(tenant: str) -> None:
        with writing():
            TenantTable.update(name="inner").where(TenantTable.id == tenant).execute()
            raise ZeroDivisionError

    before = writes()
    with writing():
        TenantTable.update(name="outer").where(TenantTable.id == tenants[0]).execute()
        with pytest.raises(ZeroDivisionError):
            rolled_back(tenants[1])
    assert writes() == before + 1
    with connected():
        names = {row.id: row.name for row in TenantTable.select()}
    assert names[tenants[0]] == "outer"
    assert names[tenants[1]] != "inner"


def test_batch_has_no_savepoints_and_is_undone_as_a_whole(tenants, caplog) -> None:
    before = writes()

    def rename(tenant: str, name: str) -> None:
        with writing():
            TenantTable.update(name=name).where(TenantTable.id == tenant).execute()

    def rename_and_fail(block: Any, tenant: str, name: str) -> None:
        with block():
            rename(tenant, name)
            raise ZeroDivisionError

    with caplog.at_level("DEBUG", "peewee"), batch():
        rename(tenants[0], "first")
        rename(tenants[1], "second")
    assert "UPDATE" in caplog.text
    assert "SAVEPOINT" not in caplog.text
    with pytest.raises(ZeroDivisionError):
        rename_and_fail(batch, tenants[0], "third")
    with writing():  # afterwards, nested ones are savepoints again
        rename(tenants[0], "fourth")
        with pytest.raises(ZeroDivisionError):
            rename_and_fail(writing, tenants[1], "fifth")
    assert writes() == before + 3
    with connected():
        names = {row.id: row.name for row in TenantTable.select()}
    assert (names[tenants[0]], names[tenants[1]]) == ("fourth", "second")


def test_message_of_an_unavailable_database_is_one_line() -> None:
    assert "cannot be used: two lines" in database.unavailable(OperationalError("two\n  lines")).message
    assert database.unavailable(OperationalError()).message.endswith("cannot be used: ")
    rolled_back = OperationalError("cannot rollback - no transaction is active")
    assert "no transaction is active" in database.unavailable(rolled_back).message


def test_kind_of_database_is_read_from_its_url() -> None:
    assert database.kind_of("sqlite:////var/lib/accord/catalogue.db") == "sqlite"
    assert database.kind_of("postgresql://db/accord") == "postgresql"
    assert database.kind_of("postgres://db/accord") == "postgresql"
    assert database.sqlite_path("sqlite:////var/catalogue.db") == Path("/var/catalogue.db")
    assert database.sqlite_path("sqlite:///catalogue.db") == Path("catalogue.db")
    refused_urls = {"mysql://db/accord": "'mysql'", "accord": "no scheme", "sqlite:///": "'sqlite'"}
    for url, message in refused_urls.items():
        with pytest.raises(CatalogueError, match=message) as failure:
            database.kind_of(url)
        assert failure.value.error_id == "catalogue.url"


def test_opening_a_missing_file_does_not_create_it(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.db"
    database.open_catalogue(f"sqlite:///{file}")
    assert not file.exists()


def test_column_types_have_one_form_on_disk() -> None:
    moment, data = database.MomentField(), database.DataField()
    at = datetime(2026, 11, 25, 10, 0, tzinfo=timezone(timedelta(hours=1)))
    assert moment.db_value(at) == "2026-11-25T09:00:00.000Z"
    assert moment.db_value("2026-11-25T09:00:00.000Z") == "2026-11-25T09:00:00.000Z"
    assert moment.db_value(None) is None
    assert moment.python_value("2026-11-25T09:00:00.000Z") == datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
    assert moment.python_value(None) is None
    assert data.db_value({"b": 1, "a": "é"}) == '{"a": "é", "b": 1}'
    assert data.db_value(None) is None
    assert data.python_value('{"a": "é", "b": 1}') == {"b": 1, "a": "é"}
    assert data.python_value(None) is None
