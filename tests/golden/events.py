"""The events that are logged, and their levels, as the source has them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

LEVELS = frozenset({"debug", "info", "warning", "error", "exception"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


def logged(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The event of each call that logs, with its level."""
    yield from _Module(tree).logged()


@dataclass
class _Module:
    tree: ast.Module
    _in_scope: dict[ast.AST, dict[str, list[ast.expr]]] = field(default_factory=dict)

    def logged(self) -> Iterator[tuple[str, str]]:
        for scope in [self.tree, *(each for each in ast.walk(self.tree) if isinstance(each, Function))]:
            for each in ast.walk(scope):
                if not isinstance(each, ast.Call) or not each.args:
                    continue
                if (at := _fault_argument(each.func)) is not None:
                    level = _keyword(each, "level") or "warning"
                    if _name(each.func) == "isolate_object":
                        level = "error"
                    for text in self._texts(each.args[at], scope):
                        yield text, level
                        yield f"{text.partition('.')[0]}.recovered", "info"
                elif levels := self._levels(each.func, scope):
                    level = levels[0]
                    for text in self._texts(each.args[0], scope):
                        if text in LEVELS:  # of a table of levels and events
                            level = text
                        else:
                            yield from ((text, level) for level in ([level] if len(levels) == 1 else levels))

    @cached_property
    def _top(self) -> dict[str, list[ast.expr]]:
        return _assignments(self.tree.body)

    def _assigned(self, name: str, scope: ast.AST) -> list[ast.expr]:
        """The values that a name is assigned anywhere in a scope."""
        if scope not in self._in_scope:
            self._in_scope[scope] = _assignments(ast.walk(scope))
        return self._in_scope[scope].get(name, [])

    def _levels(self, function: ast.expr, scope: ast.AST) -> list[str]:
        """The levels that a function logs at; empty for one that logs nothing."""
        match function:
            case ast.Call(func=ast.Name(id="getattr"), args=[log, *_]) if _is_log(log):
                return ["info"]
            case ast.Attribute(value=log, attr=level) if level in LEVELS and _is_log(log):
                return ["error" if level == "exception" else level]
            case ast.IfExp(body=body, orelse=orelse):
                return [*self._levels(body, scope), *self._levels(orelse, scope)]
            case ast.Name(id=name):
                values = self._assigned(name, scope)
                functions = (each for each in values if isinstance(each, ast.IfExp | ast.Attribute))
                return [level for each in functions for level in self._levels(each, scope)]
        return []

    def _texts(self, value: ast.expr, scope: ast.AST) -> Iterator[str]:
        """What a value can be: a text, one of two, of a table, or what a name here was given."""
        match value:
            case ast.Constant(value=str() as text):
                yield text
            case ast.IfExp(body=body, orelse=orelse):
                yield from self._texts(body, scope)
                yield from self._texts(orelse, scope)
            case ast.Subscript(value=inner):
                yield from self._texts(inner, scope)
            case ast.Dict(values=values) | ast.Tuple(elts=values):
                for each in values:
                    yield from self._texts(each, scope)
            case ast.Name(id=name):
                for each in (*self._assigned(name, scope), *self._top.get(name, ())):
                    yield from self._texts(each, scope)
                yield from self._arguments(name, scope)

    def _arguments(self, name: str, scope: ast.AST) -> Iterator[str]:
        """Texts that a function here is called with, as the argument of that name."""
        if not isinstance(scope, Function):
            return
        names = [each.arg for each in scope.args.args if each.arg != "self"]
        if name not in names:
            return
        at = names.index(name)
        for each in ast.walk(self.tree):
            match each:
                case ast.Call(func=function, args=arguments) if (
                    _name(function) == scope.name and len(arguments) > at
                ):
                    if isinstance(arguments[at], ast.Constant):
                        yield from self._texts(arguments[at], scope)


def _is_log(value: ast.expr) -> bool:
    return _name(value).endswith("log") or _name(value) == "bound"


def _keyword(call: ast.Call, name: str) -> str | None:
    values = (each.value for each in call.keywords if each.arg == name)
    return next((str(value.value) for value in values if isinstance(value, ast.Constant)), None)


def _fault_argument(function: ast.expr) -> int | None:
    """Which argument of a call is the event of a fault that is logged with its end: ``faults.report(…)``
    (:mod:`recorder.fault_log`), ``isolate_object(faults, …)``, and so on (:mod:`recorder.isolation`)."""
    match function:
        case ast.Attribute(value=log, attr="report") if _name(log).endswith("faults"):
            return 0
        case ast.Name(id="isolate_object" | "report_failure"):
            return 1
        case ast.Name(id="read_rows"):
            return 3
    return None


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _assignments(nodes: Iterator[ast.AST] | list[ast.stmt]) -> dict[str, list[ast.expr]]:
    """The values that each name is assigned."""
    found: dict[str, list[ast.expr]] = {}
    for each in nodes:
        match each:
            case ast.Assign(targets=targets, value=value):
                pass
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                targets = [target]
            case _:
                continue
        for name in {
            inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)
        }:
            found.setdefault(name, []).append(value)
    return found
