"""The names that the source code binds: functions, classes, parameters, fields, constants and variables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

TERMS = frozenset({
    "addressing", "beginning", "binding", "branding", "breathing", "eavesdropping", "encoding", "everything",
    "finding", "forwarding", "framing", "greeting", "heading", "keyring", "listening", "listing", "nothing",
    "opening",
    "offboarding", "ping", "reading", "recording", "ringing", "sealing", "sibling", "signing", "string",
    "timestamping", "timing", "versioning", "warning", "wording",
    "missing", "pending",  # adjectives
    "lingering",  # greenswitch's
})  # fmt: skip
"""Names in -ing that are nouns of the field, or no participles."""

STATES = frozenset({"announcing", "asking", "capturing", "choosing", "playing"})
"""Phases of a call, of its recording and of its sounds."""

PUBLIC = frozenset({"called", "given", "held", "keeping", "noted", "spoken", "tried", "withheld", "writing"})
"""Columns, kinds of leaves, fields of files and documents, commands, parameters of addresses, and the
transaction."""

IRREGULAR = frozenset({
    "became", "become", "begun", "began", "bought", "brought", "broke", "broken", "built", "came", "caught",
    "chose", "chosen", "come", "done", "drawn", "drew", "fallen", "fell", "felt", "forgotten", "found",
    "fought", "gave", "given", "gone", "got", "grew", "grown", "heard", "held", "hidden", "hung", "kept",
    "knew", "known", "laid", "left", "lent", "lost", "made", "meant", "met", "overheard", "paid", "rang",
    "said", "sang", "saw", "seen", "sent", "shown", "slept", "sold", "spent", "spoke", "spoken", "stolen",
    "stood", "struck", "stuck", "taken", "taught", "thought", "threw", "thrown", "told", "took", "torn",
    "undone", "went", "withheld", "woke", "won", "worn", "written", "wrote",
})  # fmt: skip
"""Irregular participles and past tenses."""

VAGUE = frozenset({
    "asked", "called", "dialled", "happened", "lasted", "looked", "named", "noted", "owned", "passed",
    "reached", "talked", "tried", "turned", "used", "waited", "wanted", "watched",
})  # fmt: skip
"""Regular participles that do not say of what they are one. Others (``revoked``) are states."""

COMMON = frozenset({"found", "known", "left"})
"""A search's result, what is known beforehand; a channel, or a rest."""


@cache
def is_participle(name: str) -> bool:
    """Whether a name is a bare participle or gerund: ``told``, ``wanted`` or ``counting``. A word beside it
    makes it a noun: ``verified_recording``."""
    word = name.lower().strip("_")
    if word in TERMS | STATES | COMMON:
        return False
    return word in IRREGULAR | VAGUE or re.fullmatch(r"[a-z]{3,}ing", word) is not None


def participles(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The bare participles that a module binds, each with its line."""
    nodes = [node for node in ast.walk(tree) if type(node) in NAME_OF or isinstance(node, ast.stmt)]
    bare = [each for node in nodes if (each := _bound_name(node)) is not None and is_participle(each[1])]
    if not bare:
        return
    exempt = {name for node in nodes for name in (*_codes(node), *_public_names(node))}
    yield from (each for each in bare if each not in exempt)


NAME_OF: Final[Mapping[type[ast.AST], str]] = {
    ast.FunctionDef: "name", ast.AsyncFunctionDef: "name", ast.ClassDef: "name", ast.arg: "arg",
    ast.Name: "id", ast.Attribute: "attr", ast.alias: "asname", ast.ExceptHandler: "name",
    ast.MatchAs: "name",
}  # fmt: skip
"""By kind of node that binds a name: where it has it."""


def _bound_name(node: ast.AST) -> tuple[int, str] | None:
    """The name that a node binds, with its line."""
    field = NAME_OF.get(type(node))
    name = None if field is None else getattr(node, field)
    if name is None or isinstance(getattr(node, "ctx", None), ast.Load | ast.Del):
        return None
    return None if _is_class_of_two_words(node) else (node.lineno, name)  # type: ignore[attr-defined]


def _public_names(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.FunctionDef(name=name) if name.lower() in PUBLIC:
            yield node.lineno, name
        case ast.ClassDef(body=body):
            for each in body:
                match each:
                    case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                        if name.lower() in PUBLIC:
                            yield each.lineno, name


def _is_class_of_two_words(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and re.search(r"[a-z][A-Z]", node.name) is not None


def _codes(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Constants that are named after a code: ``WITHHELD = "withheld"``, ``GIVEN = "grant.given"``."""
    match node:
        case (
            ast.Assign(targets=[ast.Name() as target], value=value)
            | ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value)
        ):
            pairs: list[tuple[ast.expr, ast.expr]] = [(target, value)]
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            pairs = list(zip(targets, values, strict=True))
        case _:
            return
    for one, code in pairs:
        match one, code:
            case ast.Name(id=name), ast.Constant(value=str(text)) if name.isupper():
                if text.endswith(name.strip("_").lower()):
                    yield one.lineno, name
