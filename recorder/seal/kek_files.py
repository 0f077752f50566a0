"""The key-encryption keys in the keys' folder: the one that wraps, the next one, and those of before.

===============  ================================================================================
``kek``          wraps the tenants' keys
``kek.next``     is to wrap them: everybody who opens recordings needs it before anything is
<id>``.kek``     wrapped them before; needed while anything is wrapped by it, and for backups of then
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
from recorder.spool.atomic_files import sync_folder

NEXT = "kek.next"
BEFORE = ".kek"


def keyring(folder: Path, given: str = "") -> Keyring:
    """What opens recordings: the key-encryption key of a folder, or the ``given`` one (base64), with the
    folder's others.  Raises :class:`recorder.errors.ConfigError`."""
    current = parse_kek(given, "[keys] kek") if given else load_kek(folder / KEK)
    look = partial(others, folder, current.id if given else "")
    return Keyring(current, *look(), look=look)


def rotating(folder: Path, given: str = "") -> Keyring:
    """The same for whoever wraps tenants' keys anew: the next key wraps, where there is one.  Raises as
    :func:`keyring`."""
    ring = keyring(folder, given)
    if not (folder / NEXT).exists():
        return ring
    current = parse_kek(given, "[keys] kek") if given else load_kek(folder / KEK)
    return Keyring(load_kek(folder / NEXT), current, *others(folder, current.id if given else ""))


def others(folder: Path, given: str = "") -> list[Secret]:
    """Every key of a folder, as far as this process may read them: one that it cannot read is missed where it
    is needed.  The present one too: it may have been the next one when this process began.  But not in place
    of a ``given`` one (its id) that never wrapped anything here: that is a mistake, and is to be told."""
    found = []
    present = [folder / KEK] if not given or (folder / f"{given}{BEFORE}").exists() else []
    for path in [*present, folder / NEXT, *sorted(folder.glob(f"*{BEFORE}"))]:
        with suppress(OSError):
            content = path.read_text("ascii", "replace")
            found.append(parse_kek(content, str(path)))
    return found


def make_next(folder: Path, entropy: Entropy = os.urandom) -> Secret:
    """The key-encryption key that is to come, made where there is none.  Raises ``ConfigError``."""
    path = folder / NEXT
    if not path.exists():
        write_private(path, canonical_json.b64_line(entropy(KEY)))
        sync_folder(folder)
    return load_kek(path)


def promote(folder: Path, reached: Callable[[str], None]) -> None:
    """The next key becomes the one that wraps; the one of before is kept under its id.  Broken off anywhere,
    it is done again.  Raises ``ConfigError``, ``OSError``."""
    old = load_kek(folder / KEK)
    kept = folder / f"{old.id}{BEFORE}"
    if old.id != load_kek(folder / NEXT).id and not kept.exists():
        os.link(folder / KEK, kept)
        sync_folder(folder)
        reached("kek kept")
    os.replace(folder / NEXT, folder / KEK)
    sync_folder(folder)
    reached("kek promoted")
