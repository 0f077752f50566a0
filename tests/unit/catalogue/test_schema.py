from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from playhouse.schema_diff import diff_models

from recorder.catalogue import models, schema
from recorder.errors import CatalogueError


def test_migrating_makes_what_the_models_say(catalogue: str) -> None:
    with models.connected():
        assert not diff_models(models.database.obj, models.TABLES)


def test_migrating_twice_changes_nothing(catalogue_url: str) -> None:
    assert schema.migrate(catalogue_url) == ("0001_initial", "0002_recover")
    assert schema.migrate(catalogue_url) == ()
    schema.check_schema(catalogue_url)


def test_who_called_whom_is_not_for_everybody(catalogue: str) -> None:
    folder = Path(catalogue.removeprefix("sqlite:///")).parent
    with models.connected():
        modes = {path.name: path.stat().st_mode & 0o007 for path in folder.glob("catalogue.db*")}
    assert len(modes) == 3
    assert set(modes.values()) == {0}


def test_no_catalogue_is_refused_and_none_is_made(catalogue_url: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        schema.check_schema(catalogue_url)
    assert refused.value.error_id == "catalogue.older"
    assert "accord migrate" in refused.value.hint
    assert not Path(catalogue_url.removeprefix("sqlite:///")).exists()


def test_an_older_schema_is_refused_with_what_to_do(catalogue_url: str) -> None:
    schema.migrate(catalogue_url)
    _execute(catalogue_url, "DELETE FROM schema_migration")
    with pytest.raises(CatalogueError, match="0001_initial") as refused:
        schema.check_schema(catalogue_url)
    assert refused.value.error_id == "catalogue.older"
    assert "accord migrate" in refused.value.hint


def test_a_newer_schema_is_refused_also_by_migrate(catalogue_url: str) -> None:
    schema.migrate(catalogue_url)
    _execute(
        catalogue_url, "INSERT INTO schema_migration (name, applied) VALUES ('0099_later', '2030-01-01')"
    )
    for refusing in (schema.check_schema, schema.migrate):
        with pytest.raises(CatalogueError, match="0099_later") as refused:
            refusing(catalogue_url)
        assert refused.value.error_id == "catalogue.newer"


def test_another_file_is_no_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "letters.txt"
    path.write_text("Dear Sir or Madam, " * 100)
    with pytest.raises(CatalogueError) as refused:
        schema.check_schema(f"sqlite:///{path}")
    assert refused.value.error_id == "catalogue.not_ours"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError) as refused:
        schema.migrate(f"sqlite:///{tmp_path}/nowhere/catalogue.db")
    assert refused.value.error_id == "catalogue.away"


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(CatalogueError) as refused:
        models.make_database("mysql://localhost/accord")
    assert refused.value.error_id == "catalogue.url"


def test_foreign_keys_and_wal_are_on(catalogue: str) -> None:
    with models.connected():
        assert models.database.execute_sql("PRAGMA foreign_keys").fetchone() == (1,)
        assert models.database.execute_sql("PRAGMA journal_mode").fetchone() == ("wal",)
        assert models.database.execute_sql("PRAGMA synchronous").fetchone() == (2,)


def _execute(url: str, statement: str) -> None:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    with connection:
        connection.execute(statement)
    connection.close()
