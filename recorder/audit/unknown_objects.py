"""An audit's look for objects in the bucket that are none of Accord's.

A large bucket is listed once, below its customers' own folders; beside those only what does not belong there
is listed: a known folder is stepped over, however much lies in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from recorder.audit.findings import AuditFinding
from recorder.auditlog.checkpoint import ENDORSEMENTS, PLACE
from recorder.auditlog.object_kinds import _ID, FOLDERS, FORGOTTEN, KEYS, LEAVING, NOTHING, PROBE, kind_of
from recorder.store.contract import Store


def find_unknown(store: Store, tenants: Collection[str]) -> Iterator[AuditFinding]:
    """What lies beside the folders of the customers that the catalogue knows, and is none of Accord's.  What
    lies within those, and their wrapped keys and checkpoints, is looked at with each of them.  Raises
    ``StoreError``."""
    yield from _folders(store, "", {*tenants, *(each.rstrip("/") for each in FOLDERS)})
    yield from _folders(store, KEYS, tenants)
    # A customer whose checkpoints are there and whom the catalogue lost is told of by itself.
    yield from _stray(store, PLACE, {ENDORSEMENTS.removeprefix(PLACE).rstrip("/")})
    for folder in (LEAVING, FORGOTTEN, ENDORSEMENTS):
        for key in store.list(folder):
            if kind_of(key) is None or (folder != ENDORSEMENTS and key.split("/")[1] not in tenants):
                yield AuditFinding("object.unknown", key, NOTHING)
    yield from _probes(store)


def _folders(store: Store, below: str, known: Collection[str]) -> Iterator[AuditFinding]:
    """Objects right in a folder, and folders in it that are not known: one finding each."""
    after = ""
    while (key := next(iter(store.list(below, after)), None)) is not None:
        name, slash, _ = key.removeprefix(below).partition("/")
        if not slash:
            yield AuditFinding("object.unknown", key, NOTHING)
            after = key
            continue
        if name not in known:
            what = f"the catalogue knows no such customer, and nothing of Accord's is below {below}{name}/"
            yield AuditFinding("object.unknown", key, what)
        after = f"{below}{name}/~"


def _stray(store: Store, below: str, others: Collection[str]) -> Iterator[AuditFinding]:
    """Objects right in a folder of customers' folders."""
    after = ""
    while (key := next(iter(store.list(below, after)), None)) is not None:
        name, slash, _ = key.removeprefix(below).partition("/")
        if not slash or (name not in others and re.fullmatch(_ID, name) is None):
            yield AuditFinding("object.unknown", key, NOTHING)
        after = f"{below}{name}/~" if slash else key


def _probes(store: Store) -> Iterator[AuditFinding]:
    """What is tried with a server is gone a moment later."""
    seen = list(store.list(PROBE))
    still = set(store.list(PROBE)) if seen else set()
    for key in seen:
        if kind_of(key) is None or (key in still and key != f"{PROBE}ready"):
            yield AuditFinding("object.unknown", key, "something that was only to be tried lies there still")
