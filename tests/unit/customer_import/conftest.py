"""An installation without customers, and tables to import there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.shell import Shell

WriteTable = Callable[..., str]


@pytest.fixture
def shell(tmp_path: Path, catalogue: str) -> Shell:
    here = Shell(tmp_path, ACCORD_CATALOGUE_URL=catalogue)
    here.good("key", "init")
    here.good("store", "init")
    return here


@pytest.fixture
def write_table(tmp_path: Path) -> WriteTable:
    """Writes a table with these columns and rows; returns its path."""

    def write(columns: str, *rows: str) -> str:
        path = tmp_path / "customers.csv"
        path.write_text("\n".join((columns, *rows)) + "\n", encoding="utf-8")
        return str(path)

    return write
