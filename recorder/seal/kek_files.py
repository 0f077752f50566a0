"""The key-encryption keys in the keys folder: the current one, the next one, and former ones.

===============  ================================================================================
``kek``          wraps the tenants' keys
``kek.next``     the next one; every process that opens recordings needs it before the rotation
<id>``.kek``     a former one; needed while a tenant's key or a backup is still encrypted under it
===============  ================================================================================
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from recorder.ids import Entropy
from recorder.seal import canonical_json
from recorder.seal.keyring import KEY, Keyring, Secret, load_kek, parse_kek, write_private
from recorder.seal.signing import KEK
from recorder.spool.atomic_files import give_to_owner, sync_folder

NEXT = "kek.next"
BEFORE = ".kek"


def keyring(folder: Path, kek_text: str = "") -> Keyring:
    """Load the keyring that opens recordings: a folder's key-encryption key, or the one of ``kek_text``
    (base64), with the folder's other ones.  Raises :class:`recorder.errors.ConfigError`."""
    current = parse_kek(kek_text, "[keys] kek") if kek_text else load_kek(folder / KEK)
    look = partial(other_keks, folder, current.id if kek_text else "")
    return Keyring(current, *look(), look=look)


def rotation_keyring(folder: Path, kek_text: str = "") -> Keyring:
    """Load the keyring of a key rotation: the next key wraps, where there is one.  Raises as
    :func:`keyring`."""
    ring = keyring(folder, kek_text)
    if not (folder / NEXT).exists():
        return ring
    current = parse_kek(kek_text, "[keys] kek") if kek_text else load_kek(folder / KEK)
    return Keyring(load_kek(folder / NEXT), current, *other_keks(folder, current.id if kek_text else ""))


def other_keks(folder: Path, foreign_id: str = "") -> list[Secret]:
    """Load every key-encryption key of a folder that this process may read; an unreadable one is reported
    when it is needed. They include the current one, which may have been the next one when this process
    started; but not if the process was given another key (``foreign_id``) that never wrapped anything here:
    that is a mistake, which must show."""
    found = []
    present = [folder / KEK] if not foreign_id or (folder / f"{foreign_id}{BEFORE}").exists() else []
    for path in [*present, folder / NEXT, *sorted(folder.glob(f"*{BEFORE}"))]:
        with suppress(OSError):
            content = path.read_text("ascii", "replace")
            found.append(parse_kek(content, str(path)))
    return found


def unreadable_files(folder: Path) -> list[Path]:
    """The files of a folder's other key-encryption keys, next and former, that this process may not read: it
    notices when one is needed, unless somebody looks."""
    return [
        path
        for path in (folder / NEXT, *sorted(folder.glob(f"*{BEFORE}")))
        if path.exists() and not os.access(path, os.R_OK, effective_ids=True)
    ]


def make_next(folder: Path, entropy: Entropy = os.urandom) -> Secret:
    """Return the next key-encryption key, and create it where there is none.  Raises ``ConfigError``."""
    path = folder / NEXT
    if not path.exists():
        write_private(path, canonical_json.b64_line(entropy(KEY)))
        give_to_owner(path)
        sync_folder(folder)
    return load_kek(path)


def promote(folder: Path, boundary: Callable[[str], None]) -> None:
    """Make the next key the current one, and keep the former one under its id.  Can be repeated after an
    interruption at any point.  Raises ``ConfigError``, ``OSError``."""
    old = load_kek(folder / KEK)
    copy = folder / f"{old.id}{BEFORE}"
    if old.id != load_kek(folder / NEXT).id and not copy.exists():
        os.link(folder / KEK, copy)
        sync_folder(folder)
        boundary("kek kept")
    os.replace(folder / NEXT, folder / KEK)
    sync_folder(folder)
    boundary("kek promoted")
