"""Finds the lines that make, copy or claim a verified state: one is made by its verifier alone."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from typing import Final

from tests.unit.architecture.source_tree import Module, source_modules

BASE: Final = "VerifiedState"

VERIFIERS: Final[Mapping[str, str]] = {
    "SoundAdmission": "recorder.playback.audio_reader",
    "CallErasure": "recorder.auditlog.leaf_erasure",
    "Cancellation": "recorder.seal.offboarding",
    "ChangePermission": "recorder.features.tenants.change_permission",
    "Chain": "recorder.seal.amendment_chain",
    "CheckedAdmission": "recorder.playback.authorization",
    "CheckedRelease": "recorder.playback.pack_gate",
    "CheckedUse": "recorder.playback.gate",
    "CompleteLog": "recorder.auditlog.complete_log",
    "CopyRequest": "recorder.features.subject_requests.service",
    "ListeningRequest": "recorder.features.subject_requests.service",
    "CountryDecision": "recorder.lifecycle.line_rules",
    "CurrentTerms": "recorder.lifecycle.current_terms",
    "Departure": "recorder.seal.offboarding",
    "DepartedCalls": "recorder.lifecycle.erasure_order",
    "DepartedDisputes": "recorder.lifecycle.erasure_order",
    "DepartedTenant": "recorder.lifecycle.erasure_order",
    "Dispute": "recorder.features.disputes.rules",
    "DisputeAdmission": "recorder.features.disputes.admissions",
    "DisputeErasure": "recorder.auditlog.leaf_erasure",
    "ErasedCallsRecord": "recorder.seal.call_erasure",
    "ErasedDispute": "recorder.features.disputes.erasure",
    "ErasedSealedTake": "recorder.pipeline.erasure_check",
    "ErasedTenant": "recorder.lifecycle.statements",
    "ErasedTake": "recorder.pipeline.erasure_check",
    "ErasedRecording": "recorder.lifecycle.erased_recording",
    "Erasure": "recorder.auditlog.leaf_erasure",
    "ErasureRequest": "recorder.features.subject_requests.service",
    "ErasureOrder": "recorder.lifecycle.erasure_order",
    "ErasureStatement": "recorder.seal.offboarding",
    "ExpiredRecording": "recorder.lifecycle.expired_recording",
    "FreeChoice": "recorder.features.tenants.service",
    "Guest": "recorder.features.disputes.rules",
    "GuestAdmission": "recorder.playback.interface",
    "LockedTenant": "recorder.auditlog.append",
    "OffboardingReceipt": "recorder.seal.offboarding",
    "OwnCallAdmission": "recorder.features.own_call.admissions",
    "OwnCallNumber": "recorder.features.own_call.admissions",
    "PermittedUse": "recorder.playback.grants",
    "QuarantinedTake": "recorder.lifecycle.quarantined_take",
    "RecordingErasure": "recorder.auditlog.leaf_erasure",
    "RecordingRelease": "recorder.playback.interface",
    "RecordingStatus": "recorder.lifecycle.amendment_service",
    "ReleasedSound": "recorder.playback.interface",
    "RemovableTake": "recorder.spool.layout",
    "RequestedCallErasure": "recorder.features.subject_requests.call_erasure",
    "RoomCallee": "recorder.features.disputes.guest_calls",
    "RoomHearer": "recorder.features.disputes.hearers",
    "SealedTake": "recorder.seal.sealing",
    "SentSound": "recorder.playback.pack_gate",
    "SoleHandler": "recorder.features.disputes.sole_handler",
    "SignedLength": "recorder.auditlog.complete_log",
    "Statement": "recorder.seal.offboarding",
    "StatementCheck": "recorder.lifecycle.statements",
    "Suspension": "recorder.lifecycle.suspension",
    "StoredTake": "recorder.pipeline.stored_take",
    "Terms": "recorder.seal.usage_terms",
    "UnrecordedTake": "recorder.pipeline.unrecorded_call",
    "ValidCode": "recorder.features.own_call.codes",
    "Verified": "recorder.seal.signed_document",
    "VerifiedLimit": "recorder.lifecycle.limits",
    "VerifiedNumber": "recorder.verification_calls.verified_number",
    "VerifiedRecording": "recorder.playback.verified_recording",
    "VerifiedRequest": "recorder.features.subject_requests.service",
    "WithdrawalRequest": "recorder.features.subject_requests.service",
}
"""The verified states, each with the module that verifies it. A new one is a decision: it is added here."""

COPIES: Final = frozenset({"replace", "__replace__"})
"""Functions and methods that copy a value with other fields."""


@dataclass(frozen=True)
class Index:
    """What the whole source says of some classes: the names of the functions that return one, and of the
    fields that are one, each with the classes. A name that also stands for something else says nothing."""

    classes: frozenset[str]
    functions: Mapping[str, frozenset[str]]
    fields: Mapping[str, frozenset[str]]

    def of(self, classes: AbstractSet[str]) -> Index:
        """What it says of some of the classes."""
        functions = {name: some for name, some in self.functions.items() if some & classes}
        fields = {name: some for name, some in self.fields.items() if some & classes}
        return Index(self.classes & classes, functions, fields)


def states(modules: Mapping[str, Module]) -> dict[str, str]:
    """The classes that derive from the mark, each with its module."""
    classes = {
        node.name: (name, _bases(node))
        for name, module in modules.items()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {BASE}
    while more := {each for each, (_, bases) in classes.items() if bases & found} - found:
        found |= more
    return {each: classes[each][0] for each in found - {BASE}}


def _bases(node: ast.ClassDef) -> set[str]:
    bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
    return {name for base in bases if (name := _last_name(base)) is not None}


@cache
def index() -> Index:
    """What the product says of the verified states."""
    trees = [module.tree for module in source_modules().values()]
    return make_index(frozenset(VERIFIERS), trees)


def make_index(classes: frozenset[str], trees: list[ast.Module]) -> Index:
    functions: dict[str, list[set[str]]] = defaultdict(list)
    fields: dict[str, list[set[str]]] = defaultdict(list)
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            functions[node.name].append(_names(node.returns) & classes)
        if isinstance(node, ast.ClassDef):
            for each in node.body:
                if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                    fields[each.target.id].append(_names(each.annotation) & classes)
    return Index(classes, _certain(functions), _certain(fields))


def _certain(names: Mapping[str, list[set[str]]]) -> dict[str, frozenset[str]]:
    return {name: frozenset().union(*some) for name, some in names.items() if all(some)}


def violations(module: Module, index: Index, verifiers: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """The lines of a module that use a verified state of another's as anything but a type."""
    foreign = {each for each in index.classes if verifiers.get(each) != module.name}
    aliases = {each: each for each in foreign}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            aliases |= {each.asname: each.name for each in node.names if each.asname and each.name in foreign}
    index = index.of(foreign)
    values = _state_names(module.tree, index, {name for name, each in aliases.items() if each in foreign})
    types = _type_nodes(module.tree)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in types:
            name = _last_name(node)
            if name in aliases and isinstance(node.ctx, ast.Load):
                yield node.lineno, f"{aliases[name]} is used as a value"
        if not isinstance(node, ast.Call):
            continue
        function = _last_name(node.func)
        if function == "cast" and node.args and _names(node.args[0]) & {*aliases}:
            yield node.lineno, "a cast claims a verified state"
        if function in COPIES and _is_state(_copied(node), values, index):
            yield node.lineno, "a verified state is copied with other fields"
        if function == "__setattr__" and node.args and _is_state(node.args[0], values, index):
            yield node.lineno, "a verified state is changed"
        if _is_class_of(node.func) and _is_state(_class_argument(node.func), values, index):
            yield node.lineno, "a verified state is made by another's class"


def _type_nodes(tree: ast.Module) -> set[int]:
    """The nodes that are types: annotations, the second argument of ``isinstance``, bases, and what is in
    brackets."""
    roots: list[ast.AST] = []
    for node in ast.walk(tree):
        match node:
            case ast.arg(annotation=ast.AST() as kind) | ast.AnnAssign(annotation=kind):
                roots.append(kind)
            case ast.FunctionDef(returns=ast.AST() as kind):
                roots.append(kind)
            case ast.ClassDef(bases=bases):
                roots += bases
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kind]):
                roots.append(kind)
            case ast.Call(func=ast.Name(id="cast") | ast.Attribute(attr="cast"), args=[kind, *_]):
                roots.append(kind)  # reported by itself
            case ast.Subscript(slice=kind):
                roots.append(kind)
            case ast.MatchClass(cls=kind):
                roots.append(kind)
            case _:
                pass
    return {id(node) for root in roots for node in ast.walk(root)}


def _state_names(tree: ast.Module, index: Index, classes: set[str]) -> set[str]:
    """The variables and parameters of a module that are a verified state, as far as the text shows it."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name, annotation=ast.AST() as kind) if _names(kind) & classes:
                found.add(name)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind) if _names(kind) & classes:
                found.add(name)
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=function))
                | ast.NamedExpr(target=ast.Name(id=name), value=ast.Call(func=function))
            ):
                if _last_name(function) in index.functions:
                    found.add(name)
            case _:
                pass
    return found


def _is_state(node: ast.AST | None, values: set[str], index: Index) -> bool:
    match node:
        case ast.Name(id=name):
            return name in values
        case ast.Attribute(attr=name):
            return name in index.fields
        case ast.Call(func=function):
            return _last_name(function) in index.functions
        case _:
            return False


def _copied(node: ast.Call) -> ast.AST | None:
    """What a call copies: its first argument, or the object whose method it is."""
    if isinstance(node.func, ast.Attribute) and _last_name(node.func.value) not in ("dataclasses", "copy"):
        return node.func.value
    return node.args[0] if node.args else None


def _is_class_of(function: ast.AST) -> bool:
    match function:
        case ast.Call(func=ast.Name(id="type")) | ast.Attribute(attr="__class__"):
            return True
        case _:
            return False


def _class_argument(function: ast.AST) -> ast.AST | None:
    match function:
        case ast.Call(args=[value]) | ast.Attribute(value=value):
            return value
        case _:
            return None


def _names(node: ast.AST) -> set[str]:
    """The names in a type, also where it is a text."""
    found: set[str] = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name | ast.Attribute):
            found.add(_last_name(each) or "")
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            try:
                found |= _names(ast.parse(each.value, mode="eval"))
            except SyntaxError:
                continue
    return found


def _last_name(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return None
