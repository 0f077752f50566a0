"""The file: encodings, separators, and the line of each row."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.errors import CatalogueError
from recorder.features.customer_import.table import LARGEST, TableRow, read_table


def table_file(tmp_path: Path, content: bytes | str) -> Path:
    path = tmp_path / "customers.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("beginning", ["", "\ufeff"])
@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tables_of_any_spreadsheet_are_the_same(
    tmp_path: Path, beginning: str, separator: str, end: str
) -> None:
    lines = ("Tenant,NUMBER,label", "Dubois, +32 2 555 01 01 ,", "", ",,", 'Müller,"\'+3225550102",Büro')
    content = beginning + "".join(line.replace(",", separator) + end for line in lines)
    rows, mistakes = read_table(table_file(tmp_path, content))
    assert rows == [
        TableRow(2, {"tenant": "Dubois", "number": "+32 2 555 01 01"}),
        TableRow(5, {"tenant": "Müller", "number": "+3225550102", "label": "Büro"}),
    ]
    assert mistakes == []


def test_line_is_where_a_row_begins(tmp_path: Path) -> None:
    rows, _ = read_table(table_file(tmp_path, 'tenant,label\n"Dubois","two\nlines"\nJansen,\n'))
    assert [row.line for row in rows] == [2, 4]


def test_row_with_more_cells_than_columns_is_a_mistake(tmp_path: Path) -> None:
    rows, mistakes = read_table(table_file(tmp_path, "tenant,label\nDubois, Fils,Accueil\nJansen,,\n"))
    assert [row.cells["tenant"] for row in rows] == ["Jansen"]
    assert [(each.line, each.error.error_id) for each in mistakes] == [(2, "customer_import.row")]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "no column tenant"),
        ("number\n+3225550101\n", "no column tenant"),
        ("tenant,nummber\n", "no column 'nummber'; did you mean number?"),
        ("tenant,label,Label\n", "the column label is there twice"),
        (b"tenant\nDubois\nM\xfcller\n", "line 3 is not UTF-8"),
        ('tenant\n"Dubois\n', "line 2: unexpected end of data"),
        (b"tenant\n" + b"x" * LARGEST, "it is larger than 64 MiB"),
    ],
)
def test_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes | str, why: str) -> None:
    with pytest.raises(CatalogueError, match=why) as refused:
        read_table(table_file(tmp_path, content))
    assert refused.value.error_id == "customer_import.table"


def test_only_a_plain_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="it is no plain file"):
        read_table(Path("/dev/zero"))
    with pytest.raises(CatalogueError, match="No such file"):
        read_table(tmp_path / "none.csv")
