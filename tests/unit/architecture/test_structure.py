"""Rules of the source tree beyond import-linter's: separate features, no cycles, unambiguous names."""

from __future__ import annotations

import ast
import re

import pytest

from tests.unit.architecture.names import is_participle, participles
from tests.unit.architecture.source_tree import (
    ROOT,
    Module,
    classes_by_name,
    cycles,
    import_graph,
    source_modules,
)

FEATURES = "recorder.features."

DOCUMENTS = (
    "Makefile",
    "ARCHITECTURE.md",
    "README.md",
    *(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")),
)


def test_no_feature_imports_another() -> None:
    edges = {
        (_feature(name), _feature(after))
        for name, imported in import_graph().items()
        for after in imported
        if name.startswith(FEATURES) and after.startswith(FEATURES)
    }
    assert {(one, other) for one, other in edges if one != other} == set()


def _feature(module: str) -> str:
    return module.removeprefix(FEATURES).partition(".")[0]


def test_no_import_cycle() -> None:
    """Imports within functions, and those for type checkers only, count as well."""
    assert cycles(import_graph()) == []


def test_no_public_class_shares_a_name() -> None:
    assert {name: modules for name, modules in classes_by_name().items() if len(modules) > 1} == {}


def test_no_module_is_named_by_a_participle() -> None:
    """``refused`` and ``counting`` are not nouns of the field; ``verified_recording`` is one."""
    names = {module: module.rpartition(".")[2] for module in source_modules()}
    assert [
        module for module, name in names.items() if is_participle(name) or re.fullmatch(r"[a-z]{2,}ed", name)
    ] == []


def test_no_value_is_named_by_a_participle() -> None:
    """Nor is a function, a parameter, a field or a constant."""
    trees = {name: module.tree for name, module in source_modules().items()}
    trees |= {str(path): ast.parse(path.read_bytes()) for path in ROOT.glob("tests/**/*.py")}
    found = {name: list(participles(tree)) for name, tree in trees.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        "told = 1", "TOLD = 1", "_told = 1", "def told(): ...", "def call(asked): ...", "call.heard = 1",
        "class Told: ...", "import call as calling", "for given in calls: ...", "lambda kept: 1",
        "counting: int", "with call as written: ...", "WITHHELD = 'hidden'",
    ],
)  # fmt: skip
def test_a_participle_is_found(line: str) -> None:
    assert list(participles(ast.parse(line)))


def test_domain_has_no_input_or_output() -> None:
    """It reads and writes no file, opens no socket, starts no process, and does not ask for the time."""
    modules = {
        name: module for name, module in source_modules().items() if name.startswith("recorder.domain")
    }
    assert len(modules) > 5
    found = {name: sorted(module.input_and_output()) for name, module in modules.items()}
    assert {name: uses for name, uses in found.items() if uses} == {}


@pytest.mark.parametrize(
    "line",
    [
        "open('x')", "Path('x').read_bytes()", "path.write_text('x')", "path.open('rb')", "path.unlink()",
        "path.exists()", "import socket", "import os", "from os import path", "import os.path",
        "from gevent import socket", "import subprocess", "import time", "from recorder.spool import layout",
    ],
)  # fmt: skip
def test_input_and_output_is_found(line: str) -> None:
    module = Module("recorder.domain.example", ROOT, ast.parse(line))
    assert list(module.input_and_output())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_in_a_document_exist(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    paths = re.findall(r"(?<![\w/.-])(?:recorder|web|demo|bench|tests|deploy)/[\w./-]*[\w/]", text)
    assert not sorted({path for path in paths if not (ROOT / path).exists()})
