from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from playhouse.schema_diff import diff_models

from recorder import metrics
from recorder.catalogue import database, schema
from recorder.catalogue.tables.registry import TABLES
from recorder.errors import CatalogueError
from tests.expected_errors import expect_error

pytestmark = pytest.mark.postgresql

ALL = tuple(sorted(path.stem for path in schema.FOLDER.glob("[0-9]*.py")))
SQLITE = pytest.mark.parametrize("catalogue_kind", ["sqlite"])


@pytest.fixture
def run(catalogue_url: str) -> Callable[[str], None]:
    """Executes a statement in a catalogue without Accord."""

    def execute(statement: str) -> None:
        if catalogue_url.startswith("sqlite:"):
            connection = sqlite3.connect(catalogue_url.removeprefix("sqlite:///"))
            with connection:
                connection.execute(statement)
            connection.close()
            return
        with psycopg.connect(catalogue_url, autocommit=True) as server:
            server.execute(statement)

    return execute


@pytest.fixture
def newer(tmp_path: Path) -> Callable[..., Path]:
    """Makes a later version's migrations: ours, and one more."""

    def make(serves: str | None, table: str = "to_come") -> Path:
        folder = tmp_path / "migrations"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(schema.FOLDER, folder)
        serves_line = "" if serves is None else f"SERVES = {serves!r}\n"
        (folder / "0099_later.py").write_text(
            f"{serves_line}def up(migrator, db):\n    db.execute_sql('CREATE TABLE {table} (id INTEGER)')\n"
        )
        return folder

    return make


def test_schema_is_that_of_the_models(catalogue: str) -> None:
    """Except for an index that each database words differently."""
    with database.connected():
        different = diff_models(database.database.obj, TABLES)
    assert [index.name for index in different.drop_indexes] == ["log_leaf_actor"]
    assert not different._replace(drop_indexes=[])


def test_migrating_twice_changes_nothing(catalogue_url: str) -> None:
    assert schema.migrate(catalogue_url) == ALL
    assert schema.migrate(catalogue_url) == ()
    schema.check_schema(catalogue_url)


def test_newest_migration_is_exposed_as_a_metric(catalogue_url: str) -> None:
    metrics.CATALOGUE_SCHEMA.labels("0000_before").set(1)
    schema.migrate(catalogue_url)
    schema.check_schema(catalogue_url)
    (family,) = metrics.CATALOGUE_SCHEMA.collect()
    assert [(sample.labels, sample.value) for sample in family.samples] == [({"schema": ALL[-1]}, 1)]


def test_concurrent_migrations_run_in_turn(catalogue_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        applied = pool.map(schema.migrate, [catalogue_url] * 3, chunksize=1)
    assert sorted(applied) == [(), (), ALL]


def test_waiting_migration_times_out(catalogue_url: str, newer, monkeypatch) -> None:
    """A dead one blocks nobody: its lock is released with it."""
    schema.migrate(catalogue_url)
    inside, go_on = threading.Event(), threading.Event()
    write = schema._write_served

    def slowly(*arguments) -> None:
        inside.set()
        assert go_on.wait(30)
        write(*arguments)

    monkeypatch.setattr(schema, "_write_served", slowly)
    other = threading.Thread(target=schema.migrate, args=(catalogue_url,))
    other.start()
    assert inside.wait(30)
    try:
        with pytest.raises(CatalogueError) as failure:
            schema.migrate(catalogue_url, patience=0.2)
    finally:
        go_on.set()
        other.join(30)
    assert failure.value.error_id == "catalogue.migrating"
    assert schema.migrate(catalogue_url, patience=0.2) == ()


@SQLITE
def test_catalogue_is_private(catalogue: str) -> None:
    folder = Path(catalogue.removeprefix("sqlite:///")).parent
    with database.connected():
        modes = {path.name: path.stat().st_mode & 0o007 for path in folder.glob("catalogue.db*")}
    assert len(modes) == 3
    assert set(modes.values()) == {0}


def test_missing_catalogue_is_refused_and_not_created(catalogue_url: str) -> None:
    for _ in range(2):
        with expect_error(CatalogueError, "catalogue.older") as failure:
            schema.check_schema(catalogue_url)
        assert "accord migrate" in failure.value.hint
    if catalogue_url.startswith("sqlite:"):
        assert not Path(catalogue_url.removeprefix("sqlite:///")).exists()


def test_older_schema_is_refused_with_a_hint(catalogue_url: str, run) -> None:
    schema.migrate(catalogue_url)
    run("DELETE FROM schema_migration")
    with pytest.raises(CatalogueError, match="0001_initial") as failure:
        schema.check_schema(catalogue_url)
    assert failure.value.error_id == "catalogue.older"
    assert "accord migrate" in failure.value.hint


def test_newer_schema_that_serves_this_version_is_used(catalogue_url: str, newer) -> None:
    schema.migrate(catalogue_url)
    assert schema.migrate(catalogue_url, folder=newer(serves=ALL[-1])) == ("0099_later",)
    schema.check_schema(catalogue_url)
    assert schema.migrate(catalogue_url) == ()
    schema.check_schema(catalogue_url)


@pytest.mark.parametrize("serves", [None, "0098_between"])
def test_newer_schema_that_does_not_serve_this_version_is_refused(catalogue_url: str, newer, serves) -> None:
    schema.migrate(catalogue_url)
    schema.migrate(catalogue_url, folder=newer(serves))
    for operation in (schema.check_schema, schema.migrate):
        with pytest.raises(CatalogueError, match="0099_later") as failure:
            operation(catalogue_url)
        assert failure.value.error_id == "catalogue.newer"
    schema.check_schema(catalogue_url, folder=newer(serves))


def test_newer_schema_without_a_statement_is_refused(catalogue_url: str, run) -> None:
    """As left by a version that predates this rule."""
    schema.migrate(catalogue_url)
    run("INSERT INTO schema_migration (name, applied) VALUES ('0099_later', '2030-01-01')")
    run("DROP TABLE schema_serves")
    with expect_error(CatalogueError, "catalogue.newer"):
        schema.check_schema(catalogue_url)


def test_interrupted_migration_has_already_written_whom_it_serves(catalogue_url: str, newer, run) -> None:
    """The table ``schema_serves`` is written before the migration."""
    schema.migrate(catalogue_url)
    with pytest.raises(Exception, match="tenant"):
        schema.migrate(catalogue_url, folder=newer(serves=None, table="tenant"))
    schema.check_schema(catalogue_url)
    run("INSERT INTO schema_migration (name, applied) VALUES ('0099_later', '2030-01-01')")
    with pytest.raises(CatalogueError, match="0099_later"):
        schema.check_schema(catalogue_url)


def test_other_file_is_not_a_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "letters.txt"
    path.write_text("Dear Sir or Madam, " * 100)
    with expect_error(CatalogueError, "catalogue.not_ours"):
        schema.check_schema(f"sqlite:///{path}")


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with expect_error(CatalogueError, "catalogue.away") as failure:
        schema.migrate(f"sqlite:///{tmp_path}/nowhere/catalogue.db")
    assert f"{tmp_path}/nowhere" in failure.value.message


@pytest.mark.parametrize("url", ["mysql://localhost/accord", "accord", "sqlite://", "sqlite:///", "/a:///b"])
def test_unsupported_database_is_refused(url: str) -> None:
    with expect_error(CatalogueError, "catalogue.url"):
        database.make_database(url)


@SQLITE
def test_foreign_keys_and_wal_are_on(catalogue: str) -> None:
    database.open_catalogue(catalogue)
    with database.connected():
        assert database.database.execute_sql("PRAGMA foreign_keys").fetchone() == (1,)
        assert database.database.execute_sql("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.database.execute_sql("PRAGMA synchronous").fetchone() == (2,)


@SQLITE
def test_closing_a_connection_does_not_checkpoint_the_wal(catalogue: str, tmp_path: Path) -> None:
    """Otherwise every request to an otherwise unused catalogue would wait for the disk."""
    database.open_catalogue(catalogue)
    file = Path(catalogue.removeprefix("sqlite:///"))
    before = file.read_bytes()
    with database.connected(), database.writing():
        database.database.execute_sql("UPDATE tenant SET name = ''")
        database.database.execute_sql("CREATE TABLE later (it TEXT)")
    assert file.read_bytes() == before
    schema.migrate(f"sqlite:///{tmp_path / 'another.db'}")
    database.open_catalogue(f"sqlite:///{tmp_path / 'another.db'}")
    assert file.read_bytes() != before, "it is when the process has another one open"
