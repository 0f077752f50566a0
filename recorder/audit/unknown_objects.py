"""Finds objects in the bucket that are not Accord's.

Customers' folders are listed by the audit of each customer. Here, a known folder is skipped, however large,
so only foreign objects are listed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from recorder.audit.findings import AuditFinding
from recorder.auditlog import object_kinds
from recorder.auditlog.checkpoint import ENDORSEMENTS, FOLDER
from recorder.store.contract import Store


def find_unknown(store: Store, tenants: Collection[str]) -> Iterator[AuditFinding]:
    """Objects that are not Accord's, outside the folders of known customers. Those folders, and customers'
    wrapped keys and checkpoints, are checked with each customer. Raises ``StoreError``."""
    yield from _folders(store, "", {*tenants, *(each.rstrip("/") for each in object_kinds.FOLDERS)})
    yield from _folders(store, object_kinds.KEYS, tenants)
    # A lost customer with checkpoints is reported separately.
    yield from _stray(store, FOLDER, {ENDORSEMENTS.removeprefix(FOLDER).rstrip("/")})
    yield from _folders(store, object_kinds.DISPUTES, tenants)
    for folder in (object_kinds.OFFBOARDING, object_kinds.CALL_ERASURES, ENDORSEMENTS):
        for key in store.list(folder):
            if object_kinds.kind_of(key) is None or (
                folder != ENDORSEMENTS and key.split("/")[1] not in tenants
            ):
                yield AuditFinding("object.unknown", key, object_kinds.NOT_ACCORDS)
    yield from _probes(store)


def _folders(store: Store, below: str, known: Collection[str]) -> Iterator[AuditFinding]:
    """Objects directly in a folder, and unknown folders in it: one finding each."""
    after = ""
    while (key := next(iter(store.list(below, after)), None)) is not None:
        name, slash, _ = key.removeprefix(below).partition("/")
        if not slash:
            yield AuditFinding("object.unknown", key, object_kinds.NOT_ACCORDS)
            after = key
            continue
        if name not in known:
            what = f"the catalogue has no such customer, and Accord puts nothing below {below}{name}/"
            yield AuditFinding("object.unknown", key, what)
        after = f"{below}{name}/~"


def _stray(store: Store, below: str, others: Collection[str]) -> Iterator[AuditFinding]:
    """Objects directly in a folder that has only customers' folders."""
    after = ""
    while (key := next(iter(store.list(below, after)), None)) is not None:
        name, slash, _ = key.removeprefix(below).partition("/")
        if not slash or (name not in others and re.fullmatch(object_kinds.ID_PATTERN, name) is None):
            yield AuditFinding("object.unknown", key, object_kinds.NOT_ACCORDS)
        after = f"{below}{name}/~" if slash else key


def _probes(store: Store) -> Iterator[AuditFinding]:
    """Probe objects that stay: they should be deleted at once."""
    probes = list(store.list(object_kinds.PROBE))
    still = set(store.list(object_kinds.PROBE)) if probes else set()
    for key in probes:
        if object_kinds.kind_of(key) is None or (key in still and key != f"{object_kinds.PROBE}ready"):
            yield AuditFinding("object.unknown", key, "a probe object was left behind")
