"""Carries out attacks, and keeps the list of exceptions: ``python -m tests.attacks.examination [group …]``.

It writes what it sees into ``exceptions.toml``. Reasons that are there stay; a missing one is empty, and the
tests fail until somebody has mended the cause or written why it is harmless.
"""

from __future__ import annotations

import json
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from recorder.catalogue.database import database
from tests.attacks.generator import Attack, Impossible, every_attack
from tests.attacks.installation import Installation
from tests.catalogue_template import make_catalogue, open_catalogue

FILE: Final = Path(__file__).with_name("exceptions.toml")


@dataclass
class Exceptions:
    """Attacks that nothing notices, and what attacks stop, destroy or disclose; each with its reason.
    ``unexamined`` are groups of attacks that nobody has looked at yet."""

    unnoticed: dict[str, str] = field(default_factory=dict)
    troubles: dict[str, tuple[frozenset[str], str]] = field(default_factory=dict)
    unexamined: set[str] = field(default_factory=set)

    def of(self, names: Iterable[str]) -> tuple[set[str], dict[str, set[str]]]:
        """Those of some attacks: the unnoticed ones, and the effects of the others."""
        listed = set(names)
        effects = {name: set(found) for name, (found, _) in self.troubles.items() if name in listed}
        return set(self.unnoticed) & listed, effects


@contextmanager
def open_installation(folder: Path) -> Iterator[Installation]:
    """An installation in an empty folder."""
    before, url = database.obj, f"sqlite:///{folder / 'catalogue.db'}"
    make_catalogue(url)
    opened = open_catalogue(url)
    installation = Installation(folder)
    try:
        yield installation
    finally:
        installation.close()
        opened.close()
        database.initialize(before)


def examine(installation: Installation, attacks: Iterable[Attack]) -> tuple[set[str], dict[str, set[str]]]:
    """Carry out some attacks; returns those that nothing noticed, and what others stopped, destroyed or
    disclosed. Attacks that the database does not let happen are in neither."""
    silent, harmful = set[str](), dict[str, set[str]]()
    for attack in attacks:
        try:
            effects = installation.go_on(lambda attack=attack: attack.run(installation))  # type: ignore[misc]
        except Impossible:
            continue
        if effects.troubles:
            harmful[attack.name] = effects.troubles
        if not effects.names:
            silent.add(attack.name)
    return silent, harmful


def read() -> Exceptions:
    """The list."""
    found = tomllib.loads(FILE.read_text("utf-8"))
    exceptions = Exceptions(unexamined=set(found["unexamined"]))
    for entry in found["unnoticed"]:
        exceptions.unnoticed |= dict.fromkeys(entry["attacks"], entry["reason"])
    for entry in found["trouble"]:
        value = (frozenset(entry["effects"]), entry["reason"])
        exceptions.troubles |= dict.fromkeys(entry["attacks"], value)
    return exceptions


def write(exceptions: Exceptions) -> None:
    """Write the list, entries with the same effects and reason together."""
    lines = ["# Written by `python -m tests.attacks.examination`; the reasons by hand.", ""]
    lines += [f"unexamined = {_array(exceptions.unexamined)}", ""]
    by_reason = _grouped(exceptions.unnoticed)
    for reason, attacks in sorted(by_reason.items()):
        lines += ["[[unnoticed]]", f"reason = {json.dumps(reason)}", f"attacks = {_array(attacks)}", ""]
    by_effects = _grouped({name: (*sorted(found), why) for name, (found, why) in exceptions.troubles.items()})
    for (*effects, reason), attacks in sorted(by_effects.items()):
        lines += ["[[trouble]]", f"reason = {json.dumps(reason)}", f"effects = {_array(effects)}"]
        lines += [f"attacks = {_array(attacks)}", ""]
    FILE.write_text("\n".join(lines), "utf-8")


def _grouped(values: Mapping[str, Any]) -> dict[Any, list[str]]:
    found: dict[Any, list[str]] = defaultdict(list)
    for name, value in values.items():
        found[value].append(name)
    return found


def _array(values: Iterable[str]) -> str:
    inner = "".join(f"    {json.dumps(each, ensure_ascii=False)},\n" for each in sorted(values))
    return f"[\n{inner}]" if inner else "[]"


def main(groups: Iterable[str]) -> None:
    """Examine some groups of attacks, by default those that nobody has looked at yet, or else all."""
    every, exceptions = every_attack(), read()
    choice = list(groups) or sorted(exceptions.unexamined) or list(every)
    with tempfile.TemporaryDirectory() as folder, open_installation(Path(folder)) as installation:
        for group in choice:
            names = {attack.name for attack in every[group]}
            silent, harmful = examine(installation, every[group])
            reasons, known = exceptions.unnoticed, exceptions.troubles
            exceptions.unnoticed = {name: why for name, why in reasons.items() if name not in names}
            exceptions.unnoticed |= {name: reasons.get(name, "") for name in silent}
            exceptions.troubles = {name: value for name, value in known.items() if name not in names}
            for name, effects in harmful.items():
                before, why = known.get(name, (frozenset(), ""))
                exceptions.troubles[name] = (frozenset(effects), why if before == effects else "")
            exceptions.unexamined.discard(group)
            write(exceptions)
            print(f"{group}: {len(silent)} unnoticed, {len(harmful)} with effects")


if __name__ == "__main__":
    main(sys.argv[1:])
