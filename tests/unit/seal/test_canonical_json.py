"""Canonical JSON is written as :mod:`rfc8785` writes it, whichever writer does it."""

from __future__ import annotations

import random
from typing import Any

import pytest
import rfc8785

from recorder.strict_json import Malformed, dump_canonical, parse_canonical

WORDS = ("", "a", "b", "ab", "é", "é", "\u007f", "\u0000", "\n\t\b\f\r", '"\\/', "\u2028", "💶", "﷐", "Z")
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2**53 - 1, -(2**53) + 1, 0.5, -0.98, 1e-4, 1.5e-5, 1e-7, 123456789012345.6, 1e15 + 0.5, 1e16,
    1.5e300, 2.0, -0.0, 5e-324, 1 / 3,
)  # fmt: skip


def any_value(chance: random.Random, depth: int = 4) -> Any:
    kind = chance.randrange(7 if depth else 4)
    if kind == 0:
        return chance.choice(WORDS) + chance.choice(WORDS)
    if kind == 1:
        return chance.choice(NUMBERS)
    if kind == 2:
        return chance.choice((True, False, None))
    if kind == 3:
        return chance.uniform(-1, 1) * 10 ** chance.randrange(-25, 25)
    if kind == 4:
        return tuple(any_value(chance, depth - 1) for _ in range(chance.randrange(4)))
    if kind == 5:
        return [any_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {chance.choice(WORDS) + chance.choice(WORDS): any_value(chance, depth - 1) for _ in range(4)}


def test_writes_what_the_library_writes() -> None:
    chance = random.Random(20261129)
    for _ in range(3000):
        value = any_value(chance)
        assert dump_canonical(value) == rfc8785.dumps(value), value


def test_orders_names_by_their_utf_16_units() -> None:
    """Another order than that of the characters, which the interpreter's writer has."""
    value = {"💶": 1, "﷐": 2, "": 3}
    assert dump_canonical(value) == rfc8785.dumps(value) == '{"":3,"💶":1,"﷐":2}'.encode()


@pytest.mark.parametrize(
    "value",
    [2**53, -(2**53), float("nan"), float("inf"), "\ud800", {"\udc00": 1}, {1: 1}, {"a": b"b"}, {1, 2}],
)
def test_refuses_what_it_cannot_hold(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        dump_canonical({"a": [value]})


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":1.0}', b'{"a":1e0}', b'{"a":0.50}', b'{"a":5e-1}', b'{"a":1e16}', b'{"a":9007199254740992}',
        b'{"a":-0}', b'{"a":-0.0}', b'{"b":1,"a":1}', b'{"a": 1}', b'{"a":1}\n', b'{"a":"\\u0061"}',
        b'{"a":"\\/"}', b'{"a":0.0000001}', b'{"a":1E-7}',
    ],
)  # fmt: skip
def test_refuses_any_other_spelling(content: bytes) -> None:
    with pytest.raises(Malformed) as failure:
        parse_canonical(content)
    assert failure.value.reason == "not_canonical"


@pytest.mark.parametrize("content", [b'{"a":0.5}', b'{"a":1e-7}', b'{"a":0.00001}', b'{"a":1e+21}'])
def test_accepts_the_canonical_spelling_of_numbers(content: bytes) -> None:
    assert parse_canonical(content)["a"]
