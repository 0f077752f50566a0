"""docs/reference/security.md says who can do what with what they hold, and which test shows it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parents[3]
HEADING = "## Who can do what with what they hold"
HOLDERS = {
    "Catalogue write",
    "Bucket write",
    "Worker's signing key",
    "Panel's signing key",
    "Key-encryption key",
    "Worker host",
    "Panel host",
    "A customer's admin",
    "A listener",
    "A local user",
}
NOTHING = "—"


def section() -> str:
    page = (HERE / "docs" / "reference" / "security.md").read_text()
    return page.partition(HEADING)[2].partition("\n## ")[0]


def cells() -> dict[tuple[str, str], str]:
    """Each cell of the table by its row and column."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section().splitlines()
        if line.startswith("|")
    ]
    head, _rule, *body = rows
    return {(row[0], head[at]): row[at] for row in body for at in range(1, len(head))}


def named_tests() -> dict[str, str]:
    """The test that each number stands for."""
    return dict(re.findall(r"^(\d+)\. `([^`]+)`", section(), re.MULTILINE))


def test_every_attacker_has_a_row() -> None:
    assert {row for row, _ in cells()} == HOLDERS


@pytest.mark.parametrize(("row", "column"), list(cells()))
def test_each_statement_names_its_test(row: str, column: str) -> None:
    cell = cells()[row, column]
    if cell == NOTHING:
        return
    statements = [each for each in re.split(r"<br>", cell) if each.strip()]
    assert statements
    for each in statements:
        numbers = re.findall(r"\[(\d+)\]", each)
        assert numbers, f"{each!r} names no test"
        assert set(numbers) <= set(named_tests())


def test_each_named_test_exists_and_is_used() -> None:
    numbers = {number for cell in cells().values() for number in re.findall(r"\[(\d+)\]", cell)}
    assert numbers == set(named_tests())
    for number, place in named_tests().items():
        file, _, name = place.partition("::")
        name, _, case = name.partition("[")
        module = ast.parse((HERE / file).read_text())
        functions = {each.name for each in ast.walk(module) if isinstance(each, ast.FunctionDef)}
        assert name in functions, f"{number}. {place}"
        if case:
            others = "".join(each.read_text() for each in (HERE / file).parent.glob("*.py"))
            assert f"def {case.rstrip(']')}(" in others or case.rstrip("]") in others, f"{number}. {place}"
