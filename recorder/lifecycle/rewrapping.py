"""Changing keys without touching a sound: tenants' keys are wrapped by another key-encryption key,
recordings' keys by their tenant's new one.

For a tenant, in this order; broken off anywhere, it is done again and ends the same:

======================  ===============================================================================
``tenant-<id>.json``    each key that the tenant has had lies in the bucket by its id, the new one too:
                        from then on whatever either of them wraps opens
the tenant's row        what is sealed from now on is wrapped by the new one
``tenant.json``         the bucket says so too
``<recording>.json``    each recording's key, wrapped anew: in the bucket first, then in its row
``tenant-next.json``    goes: it said which key is to come
======================  ===============================================================================

Somebody may destroy a recording meanwhile.  Whoever destroys makes the row forget the key before they look
whether it is gone, and this puts the key before it looks at the row: one of the two sees the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from recorder.catalogue import claims, customers, rewrapping
from recorder.clock import Now
from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.seal.files import read_document
from recorder.seal.keys import (
    TENANT,
    Keyring,
    WrappedKey,
    data_key_path,
    every_tenant_key_path,
    next_tenant_key_path,
    tenant_key_path,
)
from recorder.seal.opening import tenant_key_of
from recorder.store.base import NotFound, Store
from recorder.take.files import in_memory

CLAIM = "keys"
PAGE = 500


@dataclass(frozen=True, slots=True)
class Rewrapping:
    """What it works with; ``keyring`` wraps by the key-encryption key that is to be the only one, ``owner``
    names this process among others, ``boundary`` is told each point that was reached.

    Everything raises :class:`SealError` (``keys.busy`` where somebody else is at it on another machine; what
    does not open), :class:`recorder.errors.StoreError`, ``CatalogueError``."""

    store: Store
    keyring: Keyring
    now: Now
    entropy: Entropy
    owner: str
    boundary: Callable[[str], None] = field(default=lambda _boundary: None)

    def begin(self, tenant: str) -> str:
        """Say that a tenant is to have a new key, which :meth:`tenant` gives it; the key's id.  One that was
        said before stays."""
        self._claim()
        self._text(tenant)
        if (there := self._read(next_tenant_key_path(tenant))) is None:
            there = self.keyring.new_tenant_key(tenant, self.entropy)
            self._replace(next_tenant_key_path(tenant), there)
        self._give_back()
        return there.key_id

    def all(self) -> tuple[int, int]:
        """Wrap every tenant's keys by the keyring's, and finish each change of a tenant's key; of how many
        recordings keys were wrapped anew, and how many could not be just now."""
        done = left = 0
        try:
            for row in customers.tenants():
                self._claim()
                if customers.tenant_wrapped_key(row.id) is None:
                    continue  # destroyed: it has left
                self._by_kek(row.id)
                some, others = self._tenant(row.id)
                done, left = done + some, left + others
        finally:
            self._give_back()
        return done, left

    def _by_kek(self, tenant: str) -> None:
        """Every key of a tenant, in catalogue and bucket, is wrapped by the current key-encryption key."""
        text = self._text(tenant)
        mine = WrappedKey.from_bytes(text.encode())
        there = self._read(tenant_key_path(tenant))
        if mine.wrapped_by != self.keyring.current:
            fresh = self.keyring.wrap_again(mine, self.entropy)
            # The bucket first, unless it has another key by now: then that one is wrapped anew below.
            if there is None or there.key_id == mine.key_id:
                if there is not None and there.wrapped_by == self.keyring.current:
                    fresh = there  # an earlier run came so far
                self._replace(tenant_key_path(tenant), fresh)
                self.boundary("tenant key put")
            said: dict[str, object] = {"key": mine.key_id, "by": fresh.wrapped_by, "by_was": mine.wrapped_by}
            now = self.now()
            content = fresh.to_bytes().decode()
            rewrapping.set_tenant_key(tenant, text, content, "tenant.key_wrapped", said, now, self.entropy)
            self.boundary("tenant key catalogued")
        for place in list(self.store.list(f"keys/{tenant}/{TENANT}")):
            each = self._read(place)
            if each is not None and each.wrapped_by != self.keyring.current:
                self._replace(place, self.keyring.wrap_again(each, self.entropy))
                self.boundary("older key put")

    def _tenant(self, tenant: str) -> tuple[int, int]:
        """Finish the change of a tenant's key, and wrap what another of its keys still wraps."""
        text = self._text(tenant)
        mine = WrappedKey.from_bytes(text.encode())
        there = self._read(tenant_key_path(tenant))
        to_come = self._read(next_tenant_key_path(tenant))
        # A catalogue that was restored may not know of a change that the bucket had.
        key = to_come or there or mine
        for each in {each.key_id: each for each in (mine, there, key) if each is not None}.values():
            if key.key_id != mine.key_id and self._read(every_tenant_key_path(tenant, each.key_id)) is None:
                self._replace(every_tenant_key_path(tenant, each.key_id), each)
                self.boundary("kept by its id")
        if key.key_id != mine.key_id:
            self.keyring.open_tenant_key(key)
            said: dict[str, object] = {"key": key.key_id, "key_was": mine.key_id}
            now, content = self.now(), key.to_bytes().decode()
            rewrapping.set_tenant_key(tenant, text, content, "tenant.key_changed", said, now, self.entropy)
            self.boundary("tenant key catalogued")
        if there is None or there.key_id != key.key_id:
            self._replace(tenant_key_path(tenant), key)
            self.boundary("tenant key put")
        counted = self._recordings(tenant, key)
        if to_come is not None:
            self.store.delete(next_tenant_key_path(tenant))
            self.boundary("next key deleted")
        return counted

    def _recordings(self, tenant: str, key: WrappedKey) -> tuple[int, int]:
        done, left, after = 0, 0, ""
        older: dict[str, WrappedKey] = {}
        while rows := rewrapping.wrapped_by_others(tenant, key.key_id, after, PAGE):
            self._claim()
            for recording, text in rows:
                wrapped = WrappedKey.from_bytes(text.encode())
                by = older.get(wrapped.wrapped_by) or tenant_key_of(self.store, tenant, wrapped.wrapped_by)
                if by is None:
                    raise SealError(
                        "seal.key_foreign",
                        f"recording {recording}'s key is wrapped by {wrapped.wrapped_by}, which is nowhere",
                        f"bring {every_tenant_key_path(tenant, wrapped.wrapped_by)} back from a mirror",
                    )
                older[by.key_id] = by
                if self._recording(tenant, recording, text, by, key):
                    done += 1
                else:
                    left += 1
            after = rows[-1][0]
        return done, left

    def _recording(self, tenant: str, recording: str, text: str, by: WrappedKey, key: WrappedKey) -> bool:
        """False where somebody else is at it, who destroys it for instance."""
        claim = f"recording:{recording}"
        if not claims.take(claim, self.owner, self.now()):
            return False
        try:
            place = data_key_path(tenant, recording)
            wrapped = WrappedKey.from_bytes(text.encode())
            if rewrapping.recording_key(tenant, recording) != text:
                return False
            fresh = self._read(place)
            if fresh is None or (fresh.key_id, fresh.wrapped_by) != (wrapped.key_id, key.key_id):
                fresh = self.keyring.wrap_data_key_again(by, key, wrapped, self.entropy)
            self.keyring.open_data_key(key, fresh)
            self._replace(place, fresh)
            self.boundary("data key put")
            if rewrapping.set_recording_key(tenant, recording, text, fresh.to_bytes().decode()):
                self.boundary("data key catalogued")
                return True
            if rewrapping.recording_key(tenant, recording) is None:
                self.store.delete(place)
            return False
        finally:
            claims.give_back(claim, self.owner)

    def _text(self, tenant: str) -> str:
        found = customers.tenant_wrapped_key(tenant)
        if found is None:
            raise SealError(
                "seal.key_missing",
                f"the catalogue has no key of tenant {tenant}",
                "of a customer who left it was destroyed; of any other `accord rebuild` brings the bucket's",
            )
        return found

    def _read(self, place: str) -> WrappedKey | None:
        try:
            return WrappedKey.from_bytes(read_document(self.store, place, WrappedKey.MAX_BYTES))
        except NotFound:
            return None

    def _replace(self, place: str, key: WrappedKey) -> None:
        content = key.to_bytes()
        with in_memory(content) as path:
            self.store.replace(place, path, hashlib.sha256(content).hexdigest())

    def _claim(self) -> None:
        if not claims.take(CLAIM, self.owner, self.now()):
            raise SealError(
                "keys.busy",
                "keys are being changed from another machine, or were until a moment ago",
                "wait until that is done; where it died, five minutes",
            )

    def _give_back(self) -> None:
        claims.give_back(CLAIM, self.owner)


@dataclass(frozen=True, slots=True)
class Standing:
    """What wraps what: ids of key-encryption keys and how many tenants' keys each wraps, in catalogue and
    bucket; how many recordings' keys are wrapped by another than their tenant's present one (``rows``,
    ``objects``); tenants whose change is not finished."""

    by_kek: dict[str, int]
    rows: int
    objects: int
    unfinished: tuple[str, ...]


def standing(store: Store) -> Standing:
    """Look at every wrapped key in catalogue and bucket.  Raises :class:`SealError` for one that is none,
    :class:`recorder.errors.StoreError`."""
    by_kek: dict[str, int] = {}
    rows = objects = 0
    unfinished = []
    for row in customers.tenants():
        if (text := customers.tenant_wrapped_key(row.id)) is None:
            continue  # destroyed: it has left
        mine = WrappedKey.from_bytes(text.encode())
        by_kek[mine.wrapped_by] = by_kek.get(mine.wrapped_by, 0) + 1
        rows += sum(1 for _ in _others(row.id, mine.key_id))
        for place, each in _keys(store, row.id):
            if each.kind == TENANT:
                by_kek[each.wrapped_by] = by_kek.get(each.wrapped_by, 0) + 1
                if place == next_tenant_key_path(row.id):
                    unfinished.append(row.id)
            elif each.wrapped_by != mine.key_id:
                objects += 1
    return Standing(by_kek, rows, objects, tuple(unfinished))


def _others(tenant: str, key_id: str) -> Iterator[tuple[str, str]]:
    after = ""
    while some := rewrapping.wrapped_by_others(tenant, key_id, after, PAGE):
        yield from some
        after = some[-1][0]


def _keys(store: Store, tenant: str) -> Iterator[tuple[str, WrappedKey]]:
    for place in store.list(f"keys/{tenant}/"):
        try:
            yield place, WrappedKey.from_bytes(read_document(store, place, WrappedKey.MAX_BYTES))
        except NotFound:
            continue  # destroyed meanwhile
