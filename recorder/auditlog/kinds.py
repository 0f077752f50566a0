"""The kinds of leaves (``kinds.toml``): what their bodies have, and what the access log says about them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

HIDDEN: Final = "hidden"
"""The type of a field that people are not shown."""


@dataclass(frozen=True, slots=True)
class LeafField:
    """A field that people are shown: its label by language, and how its value is written."""

    label: Mapping[str, str]
    type: str = HIDDEN


@dataclass(frozen=True, slots=True)
class LeafKind:
    """A kind of leaf: its ``group`` in the access log, and the ``sentence`` about it, by language. Bodies
    have ``fields``, and some of them ``optional`` ones; ``types`` are those that differ from the fields' own.
    ``erased_with``: the field that names what the body is erased with, if it is; ``about``: what the
    documentation says of the fields."""

    group: str
    sentence: Mapping[str, str]
    fields: tuple[str, ...]
    optional: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    erased_with: str | None = None
    about: str = ""


def _kind(entry: Mapping[str, Any]) -> LeafKind:
    lists = {name: tuple(value) for name, value in entry.items() if isinstance(value, list)}
    return LeafKind(**{**entry, **lists})


_DATA: Final = tomllib.loads(Path(__file__).with_name("kinds.toml").read_text("utf-8"))

GROUPS: Final[Mapping[str, Mapping[str, str]]] = _DATA["groups"]
"""Labels by language of the groups by which the access log is filtered, in its order."""

FIELDS: Final[Mapping[str, LeafField]] = {name: LeafField(**entry) for name, entry in _DATA["fields"].items()}
"""The fields that people are shown, in their order."""

UNLISTED: Final = frozenset(_DATA["hidden"]["fields"])
"""The other fields."""

KINDS: Final[Mapping[str, LeafKind]] = {name: _kind(entry) for name, entry in _DATA["kinds"].items()}
