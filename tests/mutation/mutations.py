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

COMPOUND = (ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Lambda, ast.NamedExpr)
"""Expressions that need parentheses as operands."""

LOG_PREFIXES = ("log.", "self._log.", "call.log.", "metrics.")
"""How calls begin that decide nothing."""


@dataclass(frozen=True)
class Mutation:
    """One fault in a ``function``: the source from byte ``begin`` to ``end``, on ``lines``, becomes
    ``text``."""

    path: Path
    function: str
    lines: range
    begin: int
    end: int
    before: str
    text: str
    kind: str

    def apply(self, source: bytes) -> bytes:
        return source[: self.begin] + self.text.encode() + source[self.end :]

    @property
    def name(self) -> str:
        """Function, kind and both texts in one line, which other changes of the file leave as it is."""
        before, after = (" ".join(each.split())[:110] for each in (self.before, self.text))
        return f"{self.function}: {self.kind}: {before} → {after}"


def mutations_of(path: Path, source: bytes) -> Iterator[Mutation]:
    """Every mutation of a module's functions, except for logging."""
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

    def operand(node: ast.expr) -> str:
        compound = isinstance(
            node, ast.BinOp | ast.BoolOp | ast.Compare | ast.IfExp | ast.Lambda | ast.NamedExpr
        )
        return f"({text(node)})" if compound else text(node)

    for function, node in _mutable(ast.parse(source)):
        for target, changed, kind in _changes(node, operand):
            (begin, end), last = span(target), target.end_lineno or target.lineno
            lines, before = range(target.lineno, last + 1), source[begin:end].decode()
            yield Mutation(path, function, lines, begin, end, before, changed, kind)


def _mutable(node: ast.AST, function: str = "", inside: bool = False) -> Iterator[tuple[str, ast.AST]]:
    """Each node inside a function, with that function's name; what runs on import is left out."""
    if isinstance(node, ast.Expr) and ast.unparse(node.value).startswith(LOG_PREFIXES):
        return
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        name = f"{function}.{node.name}".lstrip(".")
        for statement in node.body:
            yield from _mutable(statement, name, isinstance(node, ast.FunctionDef))
        return
    if inside:
        yield function, node
    for child in ast.iter_child_nodes(node):
        yield from _mutable(child, function, inside)


Changes = Iterator[tuple[ast.expr | ast.stmt, str, str]]


def _changes(node: ast.AST, text: Callable[[ast.expr], str]) -> Changes:
    """The changes at a node: the part to replace, its new text, and the kind of mutation."""
    match node:
        case ast.If(test=test, body=[ast.Raise()]):  # without it, the raise is dropped
            yield test, "True", "changed condition"
        case ast.If(test=test) | ast.IfExp(test=test):
            yield test, "True", "changed condition"
            yield test, "False", "changed condition"
        case ast.While(test=test):
            yield test, "False", "changed condition"
        case ast.comprehension(ifs=tests):
            for test in tests:
                yield test, "True", "changed condition"
                yield test, "False", "changed condition"
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            yield node, f"{text(left)} {COMPARISONS[type(operator)]} {text(right)}", "swapped comparison"
        case ast.BoolOp(op=operator, values=values):
            other = " or " if isinstance(operator, ast.And) else " and "
            yield node, f"({other.join(map(text, values))})", "swapped and/or"
        case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
            yield node, text(right), "dropped term"
            yield node, text(left), "dropped term"
        case ast.Call(func=ast.Name(id="min" | "max" as name) as call):
            yield call, "max" if name == "min" else "min", "swapped min/max"
        case ast.Raise():
            yield node, "pass", "dropped raise"
        case ast.Return(value=ast.Constant(value=bool(value))):
            yield node, f"return {not value}", "changed return"
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            changed = f"not {text(value)}" if isinstance(value, ast.Compare | ast.BoolOp) else "None"
            yield node, f"return {changed}", "changed return"
        case ast.Expr(value=ast.Call()):
            yield node, "pass", "dropped call"
