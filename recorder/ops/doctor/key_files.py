"""The keys on this machine: all that its processes need, closed to other users, the same as elsewhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from recorder.errors import ConfigError
from recorder.features.fleet.service import node_reports
from recorder.ops.doctor.findings import DoctorFinding, Patient, ok, warning, wrong
from recorder.processes.spool_holders import account
from recorder.seal import signing
from recorder.seal.kek_files import BEFORE, NEXT

PAGE: Final = "bring the keys again as docs/keys.md says"

NODE_KEYS: Final = (signing.ROOT_PUBLIC, signing.SIGNING_KEY, signing.ENDORSEMENT)
"""The files in the keys folder that a worker needs, beside the key-encryption key."""
PANEL_KEYS: Final = (signing.ROOT_PUBLIC, signing.PANEL_KEY, signing.PANEL_ENDORSEMENT)
"""And a panel."""
PRIVATE: Final = frozenset({signing.KEK, signing.SIGNING_KEY, signing.PANEL_KEY})


def node_key_files(patient: Patient) -> Iterator[DoctorFinding]:
    """The keys of a node's worker are here, for Accord's user alone."""
    _check_files(patient, NODE_KEYS)
    yield ok(f"node key files: {_all(NODE_KEYS)}, closed to other users")


def panel_key_files(patient: Patient) -> Iterator[DoctorFinding]:
    """The keys of a panel are here, for Accord's user alone, and none that seals recordings."""
    _check_files(patient, PANEL_KEYS)
    yield ok(f"panel key files: {_all(PANEL_KEYS)}, closed to other users")
    foreign = patient.settings.keys_folder / signing.SIGNING_KEY
    if foreign.exists():
        yield warning(
            f"panel key files: {foreign} is the workers' key, and of no use to a panel",
            f"`rm {foreign}`: an intruder in the panel could seal and erase recordings with it",
        )


def _check_files(patient: Patient, names: tuple[str, ...]) -> None:
    """Raises :class:`ConfigError` with every file of the first kind of fault."""
    folder = patient.settings.keys_folder
    in_folder = names if patient.settings.keys.kek.get_secret_value() else (*names, signing.KEK)
    paths = [folder / name for name in in_folder]
    rotation = [path for path in (folder / NEXT, *sorted(folder.glob(f"*{BEFORE}"))) if path.exists()]
    if missing := [path for path in paths if not path.exists()]:
        new = " (a new installation makes them: `accord init`)" if len(missing) == len(paths) else ""
        raise ConfigError(
            "keys.missing", f"there is no {_list(missing)}", f"{PAGE}{new}; `accord key restore` from a copy"
        )
    paths += rotation
    private = [path for path in paths if path.name in PRIVATE or path in rotation]
    if secret := os.environ.get("ACCORD_KEYS_KEK_FILE"):
        private.append(Path(secret))  # of root, where systemd hands it on
    if is_open := [path for path in private if _mode(path) & 0o027]:
        raise ConfigError(
            "keys.open_to_others",
            f"other users can read or write {_list(is_open)} (mode {_mode(is_open[0]):04o})",
            f"`chmod 600 {' '.join(map(str, is_open))}`",
        )
    user = account(folder.stat().st_uid)
    if user is not None and (closed := [path for path in paths if not user.may(path, 4)]):
        raise ConfigError(
            "keys.closed",
            f"Accord's user may not read {_list(closed)}",
            f"`chown --reference={folder} {' '.join(map(str, closed))}`",
        )


def _mode(path: Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def _all(names: tuple[str, ...]) -> str:
    return f"{', '.join(names)} and the key-encryption key"


def _list(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))


def shared_keys(patient: Patient) -> Iterator[DoctorFinding]:
    """Every node has this machine's root and key-encryption key, by the ids that the workers report."""
    patient.context.open_catalogue()
    root, kek = signing.key_id(patient.context.root()), patient.context.keyring().current
    others = [each for each in node_reports() if each.root and each.node != patient.settings.node.name]
    other_root = [each.node for each in others if each.root != root]
    without_kek = [each.node for each in others if kek not in each.keks]
    if other_root:
        yield wrong(
            f"shared keys: this machine's root is {root}, but that of {', '.join(other_root)} is another",
            f"{PAGE}, from a node whose recordings can be heard; two roots are two installations",
        )
    if without_kek:
        yield wrong(
            f"shared keys: {', '.join(without_kek)} lacks this machine's key-encryption key {kek}",
            f"{PAGE}, from a node whose recordings can be heard, to the one that lacks it",
        )
    if not other_root and not without_kek:
        nodes = f"the same on {len(others)} other nodes" if others else "no other node has reported"
        yield ok(f"shared keys: root {root}, key-encryption key {kek}; {nodes}")
