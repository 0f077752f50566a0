"""The standard purposes for which a recording may be announced, and then used.

They are data (``purposes.toml``), because rules differ by country and wording by language.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from recorder.domain.roles import GUESTS, ROLES, THIRD_PARTIES
from recorder.errors import ConfigError

LANGUAGES = ("fr", "nl", "de", "en")


@dataclass(frozen=True, slots=True)
class StandardPurpose:
    """One purpose. ``code`` is what manifests and grants contain; ``roles`` are those that may use a
    recording for it; ``longest_keep_days`` is the longest retention period that may be announced, in days.
    ``disputes``: a recording can be placed on legal hold for it; ``by_law``: a law requires retention.

    It is a separate type beside :class:`~recorder.prompts.country_rules.Rule` because it is the same in
    every country: what the purpose is, in all languages, and who may use it."""

    code: str
    roles: frozenset[str]
    longest_keep_days: int
    legal_basis: str
    disputes: bool
    by_law: bool
    labels: Mapping[str, str]
    explanations: Mapping[str, str]

    def label(self, language: str) -> str:
        """A short label for a list or button; in English if there is none in the language."""
        return self.labels.get(language, self.labels["en"])

    def explanation(self, language: str) -> str:
        """One plain sentence that explains the purpose; in English if there is none in the language."""
        return self.explanations.get(language, self.explanations["en"])


@cache
def standard() -> Mapping[str, StandardPurpose]:
    """The standard purposes by code, in the order of the file (the default one first)."""
    return load_purposes(Path(__file__).with_name("purposes.toml"))


def load_purposes(path: Path) -> Mapping[str, StandardPurpose]:
    """Read a file of purposes. Raises :class:`ConfigError` naming what is missing or unknown."""
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
        return MappingProxyType({code: _purpose(code, entry) for code, entry in body.items()})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "purposes.broken",
            f"{path} cannot be used: {error}",
            "compare it with the file that was installed",
        ) from error


def _purpose(code: str, entry: dict[str, Any]) -> StandardPurpose:
    known = {"roles", "longest_keep_days", "legal_basis", "disputes", "by_law", "label", "explanation"}
    if set(entry) != known:
        raise ValueError(f"purpose {code!r}: {sorted(set(entry) ^ known)} missing or unknown")
    roles = frozenset(entry["roles"])
    known_roles = {*ROLES, *GUESTS, *THIRD_PARTIES}
    if not roles or not roles <= known_roles:
        raise ValueError(f"purpose {code!r}: roles must be some of {sorted(known_roles)}")
    if type(entry["longest_keep_days"]) is not int or entry["longest_keep_days"] < 1:
        raise ValueError(f"purpose {code!r}: longest_keep_days must be a number of days")
    if not all(isinstance(entry[name], bool) for name in ("disputes", "by_law")):
        raise ValueError(f"purpose {code!r}: disputes and by_law are true or false")
    for words in (entry["label"], entry["explanation"]):
        missing = [language for language in LANGUAGES if not words.get(language)]
        if missing:
            raise ValueError(f"purpose {code!r}: no words in {missing}")
    return StandardPurpose(
        code=code,
        roles=roles,
        longest_keep_days=entry["longest_keep_days"],
        legal_basis=entry["legal_basis"],
        disputes=entry["disputes"],
        by_law=entry["by_law"],
        labels=MappingProxyType(dict(entry["label"])),
        explanations=MappingProxyType(dict(entry["explanation"])),
    )
