"""Connections to a SQLite file are kept, and the next user of one sees nothing of the last."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

import pytest
from peewee import SqliteDatabase

from recorder.catalogue.database import connected, database
from recorder.catalogue.sqlite import IDLE
from recorder.catalogue.tables.tenant import TenantTable
from recorder.identity import tenants

pytestmark = pytest.mark.parametrize("catalogue_kind", ["sqlite"])


@pytest.fixture
def add_tenant(catalogue, clock, entropy) -> Callable[[str], None]:
    def add(name: str) -> None:
        tenants.create_tenant(name, name=name, wrapped_key="{}", now=clock(), entropy=entropy)

    return add


def connection() -> sqlite3.Connection:
    with connected():
        found: sqlite3.Connection = database.connection()
        return found


def names() -> list[str]:
    with connected():
        return sorted(row.name for row in TenantTable.select())


def test_a_connection_is_used_again(catalogue) -> None:
    assert connection() is connection()


def test_a_query_that_was_not_read_to_its_end_does_not_hold_on_to_the_past(add_tenant) -> None:
    add_tenant("one")
    add_tenant("two")
    with connected():
        half_read = database.execute_sql("SELECT name FROM tenant")
        assert half_read.fetchone() is not None
        first = database.connection()
    other = sqlite3.connect(database.obj.database)
    other.execute("UPDATE tenant SET name = 'three' WHERE id = 'two'")
    other.commit()
    other.close()
    with connected():
        assert database.connection() is first
    assert names() == ["one", "three"]


def test_a_transaction_ends_with_its_block(add_tenant) -> None:
    with connected():
        first = database.connection()
        database.execute_sql("BEGIN IMMEDIATE")
    with connected():
        assert database.connection() is first
        assert not first.in_transaction
    add_tenant("one")
    assert names() == ["one"]


def test_a_replaced_file_is_opened_anew(add_tenant, tmp_path: Path) -> None:
    """As a restore replaces it."""
    before = tmp_path / "before"
    with connected():
        database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(database.obj.database, before)
    add_tenant("one")
    assert names() == ["one"]
    with connected():
        database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    before.replace(database.obj.database)
    assert names() == []


def test_a_few_idle_connections_are_kept(catalogue) -> None:
    assert isinstance(database.obj, SqliteDatabase)
    together = Barrier(IDLE + 3)

    def use() -> None:
        with connected():
            together.wait()

    threads = [Thread(target=use) for _ in range(IDLE + 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(database.obj._connections) == IDLE
