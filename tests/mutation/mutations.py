"""Mutations of a module: small faults at nodes of its syntax tree, as changes of its text."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
"""The replacement of a comparison: another boundary, or the opposite."""


@dataclass(frozen=True)
class Mutation:
    """One fault: the source from byte ``begin`` to ``end`` becomes ``text``."""

    path: Path
    line: int
    begin: int
    end: int
    text: str
    kind: str

    def apply(self, source: bytes) -> bytes:
        return source[: self.begin] + self.text.encode() + source[self.end :]

    def describe(self, source: bytes) -> str:
        """Place, kind, and both texts, in one line."""
        before = " ".join(source[self.begin : self.end].decode().split())
        return f"{self.path}:{self.line} {self.kind}: {before[:100]} → {self.text[:100]}"


def mutations_of(path: Path, source: bytes) -> Iterator[Mutation]:
    """Every mutation of a module, except for logging and code for type checkers."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def span(node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    def text(node: ast.expr) -> str:
        begin, end = span(node)
        return source[begin:end].decode()

    for node in _mutable(ast.parse(source)):
        for target, changed, kind in _changes(node, text):
            begin, end = span(target)
            yield Mutation(path, target.lineno, begin, end, changed, kind)


def _mutable(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'"):
        return
    if isinstance(node, ast.Expr) and ast.unparse(node.value).startswith("log."):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _mutable(child)


Changes = Iterator[tuple[ast.expr | ast.stmt, str, str]]


def _changes(node: ast.AST, text: Callable[[ast.expr], str]) -> Changes:
    """The changes at a node: the part to replace, its new text, and the kind of mutation."""
    match node:
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield from _negated(test, text)
        case ast.comprehension(ifs=tests):
            for test in tests:
                yield from _negated(test, text)
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            yield node, f"{text(left)} {COMPARISONS[type(operator)]} {text(right)}", "swapped comparison"
        case ast.BoolOp(op=operator, values=values):
            other = " or " if isinstance(operator, ast.And) else " and "
            yield node, f"({other.join(f'({text(each)})' for each in values)})", "swapped and/or"
        case ast.Raise():
            yield node, "pass", "dropped raise"
        case ast.Return(value=ast.Constant(value=bool(value))):
            yield node, f"return {not value}", "changed return"
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            changed = f"not ({text(value)})" if isinstance(value, ast.Compare | ast.BoolOp) else "None"
            yield node, f"return {changed}", "changed return"
        case ast.Expr(value=ast.Call()):
            yield node, "pass", "dropped call"


def _negated(test: ast.expr, text: Callable[[ast.expr], str]) -> Changes:
    if not isinstance(test, ast.Compare):  # comparisons are swapped
        yield test, f"(not ({text(test)}))", "negated condition"
