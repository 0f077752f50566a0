"""Every error that the code can raise, as the source has it: its id, its classes, its messages and hints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

ROOT_CLASS = "AccordError"
ID = re.compile(r"[a-z_]+\.[a-z_]+")
REFUSALS = "access."
"""Ids of the gate's refusals, whose hints are a table."""

PLACEHOLDER = "…"
DEEPEST = 6
"""Names that a text is followed through."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
TextSet = dict[str, None]
"""Texts, each once, in the order of the source."""


@dataclass
class RaisedError:
    """An error: the names of its classes, its messages and its hints."""

    id: str
    classes: TextSet = field(default_factory=dict)
    messages: TextSet = field(default_factory=dict)
    hints: TextSet = field(default_factory=dict)


def raised(trees: Mapping[str, ast.Module]) -> dict[str, RaisedError]:
    """The errors of modules, which are given by their dotted names."""
    return _Source(trees).collect()


@dataclass(frozen=True)
class _Scope:
    """Where an expression is: its module; its function, if any; and the values that a call gave the
    function's parameters, each with its own place."""

    module: str
    function: Function | None = None
    arguments: Mapping[str, tuple[ast.expr, _Scope]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Call:
    node: ast.Call
    scope: _Scope
    owner: str
    """The class that it is in, or an empty text."""


class _Source:
    def __init__(self, trees: Mapping[str, ast.Module]) -> None:
        self.trees = trees
        self.functions: dict[str, list[_Scope]] = {}
        self.calls: dict[str, list[_Call]] = {}
        self.fields: dict[str, list[str]] = {}
        bases: dict[str, set[str]] = {}
        for module, tree in trees.items():
            for call in _calls(tree, _Scope(module)):
                self.calls.setdefault(_name(call.node.func), []).append(call)
            for each in ast.walk(tree):
                if isinstance(each, Function):
                    self.functions.setdefault(each.name, []).append(_Scope(module, each))
                elif isinstance(each, ast.ClassDef):
                    bases[each.name] = {_name(base) for base in each.bases}
                    self.fields[each.name] = [name for name, _ in _annotated(each)]
        self.classes = {ROOT_CLASS}
        while found := {name for name in bases if bases[name] & self.classes} - self.classes:
            self.classes |= found
        self.errors: dict[str, RaisedError] = {}

    def collect(self) -> dict[str, RaisedError]:
        for calls in self.calls.values():
            for call in calls:
                self._read_call(call)
        for module, tree in self.trees.items():
            for hints in _values("HINTS", tree.body):
                assert isinstance(hints, ast.Dict)
                for key, hint in zip(hints.keys, hints.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value.startswith(REFUSALS):
                        refusal = RaisedError(key.value, {"AccessError": None})
                        error = self.errors.setdefault(key.value, refusal)
                        _note(error.hints, self._texts(hint, _Scope(module)))
        return dict(sorted(self.errors.items()))

    def _read_call(self, call: _Call) -> None:
        """Note the error that a call makes, or that a function raises with the id that it is given."""
        name, scope = _name(call.node.func), call.scope
        if class_name := self._class_of(call):
            self._add(_bind(call.node, ("error_id", "message", "hint")), class_name, scope)
            return
        for found in self.functions.get(name, ()):
            assert found.function is not None
            parameters = _parameter_names(found.function)
            bound = _bind(call.node, parameters)
            if "error_id" not in bound or self._is_parameter(bound["error_id"], scope):
                continue
            arguments = {each: (value, scope) for each, value in bound.items()}
            inner = _Scope(found.module, found.function, arguments)
            for each in _calls(found.function, inner):
                self._read_call(each)

    def _class_of(self, call: _Call) -> str:
        name = _name(call.node.func)
        class_name = call.owner if name == "__init__" else name
        return class_name if class_name in self.classes else ""

    def _is_parameter(self, value: ast.expr, scope: _Scope) -> bool:
        """Whether a value is a parameter that no call has given here."""
        if not isinstance(value, ast.Name) or scope.function is None or value.id in scope.arguments:
            return False
        return value.id in _parameter_names(scope.function)

    def _add(self, bound: Mapping[str, ast.expr], class_name: str, scope: _Scope) -> None:
        if "error_id" not in bound or self._is_parameter(bound["error_id"], scope):
            return
        for error_id in dict.fromkeys(self._texts(bound["error_id"], scope)):
            if not ID.fullmatch(error_id):
                continue
            error = self.errors.setdefault(error_id, RaisedError(error_id))
            error.classes[class_name] = None
            for part, notes in (("message", error.messages), ("hint", error.hints)):
                if part in bound:
                    _note(notes, self._texts(bound[part], scope))

    def _texts(self, value: ast.expr, scope: _Scope, depth: int = DEEPEST) -> Iterator[str]:
        """What a text can be, with its placeholders."""
        if depth == 0:
            return
        match value:
            case ast.Constant(value=str() as text):
                yield text
            case ast.JoinedStr(values=values):
                yield "".join(self._part(each, scope) for each in values)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                for begin in self._texts(left, scope, depth):
                    yield from (begin + end for end in self._texts(right, scope, depth))
            case ast.IfExp(body=body, orelse=orelse) | ast.BoolOp(values=[body, orelse]):
                yield from self._texts(body, scope, depth)
                yield from self._texts(orelse, scope, depth)
            case ast.Dict(values=values):
                for each in values:
                    yield from self._texts(each, scope, depth)
            case ast.Name(id=name):
                yield from self._name_texts(name, scope, depth - 1)
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                yield from self._attribute(owner, name, scope, depth - 1)
            case ast.Call(func=ast.Attribute(value=ast.Name() as table, attr="get"), args=[_, default]):
                yield from self._texts(table, scope, depth - 1)
                yield from self._texts(default, scope, depth)
            case ast.Call(func=function):
                for found in self.functions.get(_name(function), ()):
                    assert found.function is not None
                    for each in ast.walk(found.function):
                        if isinstance(each, ast.Return) and each.value is not None:
                            yield from self._texts(each.value, found, depth - 1)

    def _part(self, value: ast.expr, scope: _Scope) -> str:
        """A part of an f-string: its text, a constant's value, or a placeholder."""
        match value:
            case ast.Constant(value=text):
                return str(text)
            case ast.FormattedValue(value=ast.Name(id=name)):
                values = (each for _, each in self._constants(name, scope.module) if name.isupper())
                constant = next((each for each in values if isinstance(each, ast.Constant)), None)
                return f"{{{name}}}" if constant is None else str(constant.value)
        return PLACEHOLDER

    def _name_texts(self, name: str, scope: _Scope, depth: int) -> Iterator[str]:
        """What a name was given: in its function, by the function's callers, or in a module."""
        function = scope.function
        if name in scope.arguments:
            value, place = scope.arguments[name]
            yield from self._texts(value, place, depth)
            return
        if function is not None:
            local_values = _values(name, ast.walk(function))
            if name in (parameters := _parameter_names(function)):
                for call in self.calls.get(function.name, ()):
                    if call.scope.module == scope.module and name in (bound := _bind(call.node, parameters)):
                        yield from self._texts(bound[name], call.scope, depth)
            for value in local_values:
                yield from self._texts(value, scope, depth)
            if local_values or name in parameters:
                return
        for module, value in self._constants(name, scope.module):
            yield from self._texts(value, _Scope(module), depth)

    def _attribute(self, owner: str, name: str, scope: _Scope, depth: int) -> Iterator[str]:
        """A module's constant, or the field of a value whose class has the value's name."""
        for module in self.trees:
            if module.rpartition(".")[2] == owner:
                for found, value in self._constants(name, module):
                    yield from self._texts(value, _Scope(found), depth)
        if name in (fields := self.fields.get(owner.capitalize(), ())):
            for call in self.calls.get(owner.capitalize(), ()):
                if name in (bound := _bind(call.node, fields)):
                    yield from self._texts(bound[name], call.scope, depth)

    def _constants(self, name: str, module: str) -> Iterator[tuple[str, ast.expr]]:
        """A constant's values, and the module that has it: this one, or the one that it is imported from."""
        tree = self.trees.get(module)
        if tree is None:
            return
        yield from ((module, value) for value in _values(name, tree.body))
        for each in tree.body:
            if isinstance(each, ast.ImportFrom) and name in {alias.name for alias in each.names}:
                yield from self._constants(name, each.module or "")


def _note(texts: TextSet, found: Iterable[str]) -> None:
    """Add texts that say something: neither an id nor a placeholder alone."""
    texts.update(
        (text, None) for text in found if not (ID.fullmatch(text) or re.fullmatch(r"(\{\w+\}|[…:; ])*", text))
    )


def _calls(tree: ast.AST, scope: _Scope, owner: str = "") -> Iterator[_Call]:
    for each in ast.iter_child_nodes(tree):
        if isinstance(each, ast.Call):
            yield _Call(each, scope, owner)
        inner = _Scope(scope.module, each) if isinstance(each, Function) else scope
        yield from _calls(each, inner, each.name if isinstance(each, ast.ClassDef) else owner)


def _parameter_names(function: Function) -> list[str]:
    names = [each.arg for each in (*function.args.args, *function.args.kwonlyargs)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def _bind(call: ast.Call, names: Iterable[str]) -> dict[str, ast.expr]:
    bound = dict(zip(names, call.args, strict=False))
    return bound | {each.arg: each.value for each in call.keywords if each.arg is not None}


def _annotated(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            yield each.target.id, each.annotation


def _values(name: str, nodes: Iterable[ast.AST]) -> list[ast.expr]:
    """The values that a name is given."""
    found = []
    for each in nodes:
        match each:
            case (
                ast.Assign(targets=[ast.Name(id=target)], value=value)
                | ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value)
                | ast.NamedExpr(target=ast.Name(id=target), value=value)
            ) if target == name:
                found.append(value)
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                found += [
                    value
                    for target, value in zip(targets, values, strict=True)
                    if isinstance(target, ast.Name) and target.id == name
                ]
    return found


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
