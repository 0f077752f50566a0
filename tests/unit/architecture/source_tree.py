"""The modules of the source tree, their imports and public classes, parsed without importing them."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("recorder", "web", "demo")


IO_MODULES = frozenset({
    "asyncio", "boto3", "fcntl", "gevent", "glob", "http", "io", "mmap", "os", "peewee", "requests", "select",
    "shutil", "signal", "socket", "sqlite3", "subprocess", "sys", "tempfile", "threading", "time", "urllib",
})  # fmt: skip
"""Top-level modules that are used to read, write, connect, wait or start something."""

IO_FUNCTIONS = frozenset({"open", "print", "input", "exec", "eval", "__import__"})

IO_METHODS = frozenset({
    "absolute", "chmod", "exists", "expanduser", "glob", "is_dir", "is_file", "iterdir", "lstat", "mkdir",
    "now", "open", "read_bytes", "read_text", "readlink", "rename", "resolve", "rglob", "rmdir", "samefile",
    "stat", "symlink_to", "today", "touch", "unlink", "utcnow", "write_bytes", "write_text",
})  # fmt: skip
"""Methods of paths and clocks. A value of ours that has one by the same name would be refused as well."""

VALUES = ("recorder.domain", "recorder.errors", "recorder.strict_json")
"""Our own modules that values may use."""


def _is_io(module: str) -> bool:
    if module.startswith("recorder."):
        return not module.startswith(VALUES)
    return module.partition(".")[0] in IO_MODULES


@dataclass(frozen=True)
class Module:
    """A module by its dotted name, parsed."""

    name: str
    path: Path
    tree: ast.Module

    def imports(self, modules: frozenset[str]) -> Iterator[str]:
        """Those of ``modules`` that it imports: at its top, in a function, or only for a type checker."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = self._imported_from(node, modules)
            else:
                continue
            yield from (name for name in names if name in modules and name != self.name)

    def _imported_from(self, node: ast.ImportFrom, modules: frozenset[str]) -> list[str]:
        base = node.module or ""
        if node.level:
            package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, *filter(None, [node.module])])
        submodules = [f"{base}.{each.name}" for each in node.names]
        return [each if each in modules else base for each in submodules]

    def input_and_output(self) -> Iterator[str]:
        """The modules that it imports, and the functions that it calls, to read, write, connect or wait."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Import(names=names):
                    imported = [each.name for each in names]
                case ast.ImportFrom(module=str(base), names=names):
                    imported = [base, *(f"{base}.{each.name}" for each in names)]
                case ast.Call(func=ast.Name(id=name)) if name in IO_FUNCTIONS:
                    yield name
                    continue
                case ast.Call(func=ast.Attribute(attr=name)) if name in IO_METHODS:
                    yield name
                    continue
                case _:
                    continue
            yield from (each for each in imported if _is_io(each))

    def public_classes(self) -> Iterator[str]:
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name


@cache
def source_modules() -> Mapping[str, Module]:
    """Every module of the product and the demo."""
    found = {}
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(path.read_text("utf-8")))
    return found


@cache
def import_graph() -> Mapping[str, frozenset[str]]:
    """Each module with the modules that it imports at any time."""
    modules = source_modules()
    names = frozenset(modules)
    return {name: frozenset(module.imports(names)) for name, module in modules.items()}


def cycles(graph: Mapping[str, frozenset[str]]) -> list[frozenset[str]]:
    """The strongly connected components of more than one node (Tarjan 1972)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[frozenset[str]] = []

    def visit(node: str) -> None:
        index[node] = lowest[node] = len(index)
        stack.append(node)
        for after in graph[node]:
            if after not in index:
                visit(after)
                lowest[node] = min(lowest[node], lowest[after])
            elif after in stack:
                lowest[node] = min(lowest[node], index[after])
        if lowest[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(frozenset(stack[at:]))
            del stack[at:]

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def classes_by_name() -> Mapping[str, list[str]]:
    """The names of public classes, each with the modules that define one."""
    found: dict[str, list[str]] = defaultdict(list)
    for module in source_modules().values():
        for name in module.public_classes():
            found[name].append(module.name)
    return found
