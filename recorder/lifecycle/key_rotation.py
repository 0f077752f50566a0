"""Rotates keys without touching audio: tenants' keys are wrapped by another key-encryption key, recordings'
keys by their tenant's new key.

First, every key of every tenant is checked: it must be the tenant's own, it must open, and it must open to
the key that it names. Nothing is written if one does not. Then, for each tenant, in this order; after an
interruption everything is repeated, with the same result:

======================  ===============================================================================
``tenant-<id>.json``    each of the tenant's keys is in the bucket under its id, the new one included:
                        from here on, everything wrapped by any of them opens
``tenant.json``         the current key in the bucket
the tenant's row        the commit: from here on, the new key wraps new recordings
``<recording>.json``    each recording's key, wrapped again: first in the bucket, then in its row
``tenant-next.json``    is deleted: it named the key to come
======================  ===============================================================================

A recording may be erased meanwhile. An eraser drops the row's key before it checks that the objects are gone,
and rotation puts the key before it checks the row: so one of the two notices the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

import structlog

from recorder.auditlog.object_kinds import kind_of
from recorder.catalogue import tenant_queries
from recorder.catalogue.tables import lease
from recorder.clock import Now
from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.lifecycle import wrapped_key_rows
from recorder.seal.data_key import read_wrapped, tenant_key_of
from recorder.seal.document_source import read_document
from recorder.seal.keyring import (
    NEXT,
    RESTORE,
    TENANT,
    Keyring,
    WrappedKey,
    data_key_path,
    every_tenant_key_path,
    next_tenant_key_path,
    recording_of_path,
    tenant_key_path,
    wrapped_key,
    wrapped_key_at,
)
from recorder.spool.atomic_files import memory_file
from recorder.store.contract import NotFound, Store

CLAIM = "keys"
PAGE = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Keys:
    """A tenant's keys, all of them valid and the tenant's own: ``text`` is the row's content, ``row`` the key
    in it (``None`` if invalid), ``current`` the current key, ``in_bucket`` the bucket's copy, ``next_key``
    the announced one, ``stored`` the bucket's other keys by place. ``spoiled`` maps places with invalid
    content to the key that belongs there; ``foreign`` are places of other tenants' keys."""

    text: str
    row: WrappedKey | None
    current: WrappedKey
    in_bucket: WrappedKey | None
    next_key: WrappedKey | None
    stored: Mapping[str, WrappedKey]
    spoiled: Mapping[str, WrappedKey]
    foreign: tuple[str, ...]

    def at(self, place: str) -> WrappedKey | None:
        if place == next_tenant_key_path(self.current.tenant):
            return self.next_key
        return self.stored.get(place)


def _raise(error: SealError) -> NoReturn:
    raise error


def _claimed_id(text: str) -> str:
    """The key id that a row states, whoever owns that key; empty if the row holds no key."""
    try:
        return WrappedKey.from_bytes(text.encode()).key_id
    except SealError:
        return ""


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """``keyring`` wraps by the key-encryption key that is to be the only one, ``owner`` identifies this
    process, ``boundary`` is called with each point reached, ``refused`` with the error of each recording
    whose key was left unchanged.

    Every method raises :class:`SealError` (``keys.busy`` while another machine rotates keys; for keys that do
    not open), :class:`recorder.errors.StoreError`, ``CatalogueError``."""

    store: Store
    keyring: Keyring
    now: Now
    entropy: Entropy
    owner: str
    boundary: Callable[[str], None] = field(default=lambda _boundary: None)
    refused: Callable[[SealError], None] = field(default=_raise)

    def begin(self, tenant: str) -> str:
        """Announce a new key for a tenant, which :meth:`all` then puts into use; returns the key's id. A key
        that was announced before stays, unless it is invalid."""
        self._take_lease()
        try:
            self._read_keys(tenant, with_next=False)
            try:
                announced = self._read_keys(tenant).next_key
            except SealError as error:
                if error.error_id == "seal.kek_missing":
                    raise
                log.warning("tenant_key.replaced", tenant=tenant, key=NEXT, error=error.message)
                announced = None
            if announced is None:
                announced = self.keyring.new_tenant_key(tenant, self.entropy)
                self._replace(next_tenant_key_path(tenant), announced)
        finally:
            self._return_lease()
        return announced.key_id

    def all(self) -> tuple[int, int]:
        """Wrap every tenant's keys by the keyring's key-encryption key, and complete each announced change of
        a tenant's key; returns how many recordings' keys were wrapped again, and how many could not be just
        now."""
        count = left = 0
        try:
            for tenant in self._tenants():
                self._take_lease()
                self._read_keys(tenant)
            for tenant in self._tenants():
                self._take_lease()
                self._repair(tenant)
                self._wrap_by_kek(tenant)
                some, others = self._complete_change(tenant)
                count, left = count + some, left + others
        finally:
            self._return_lease()
        return count, left

    def put_back(self, recordings: Iterable[tuple[str, str]]) -> int:
        """Restore the wrapped keys of some recordings (each with its tenant) from their rows, where the
        bucket lacks them or has others; returns how many."""
        count = 0
        try:
            for tenant, recording in recordings:
                self._take_lease()
                text = wrapped_key_rows.recording_key(tenant, recording)
                current = self._read_keys(tenant).current
                if text is not None:
                    count += self._wrap_recording(tenant, recording, text, current, {current.key_id: current})
        finally:
            self._return_lease()
        return count

    @staticmethod
    def _tenants() -> list[str]:
        """Tenants that have a key: that of a departed customer was destroyed."""
        return [
            row.id
            for row in tenant_queries.all_tenants()
            if tenant_queries.tenant_wrapped_key(row.id) is not None
        ]

    def _read_keys(self, tenant: str, *, with_next: bool = True) -> _Keys:
        """Check a tenant's keys, with ``with_next`` including the next one. Writes nothing. Raises
        :class:`SealError` for an invalid key that no valid copy can replace."""
        good: dict[str, WrappedKey] = {}
        wrong: dict[str, SealError] = {}
        former = wrapped_key_rows.former_keys(tenant)
        present = (tenant_key_path(tenant), next_tenant_key_path(tenant))
        # Objects with other names are never read, and an audit reports them (object.unknown).
        for place in filter(kind_of, self.store.list(f"keys/{tenant}/{TENANT}")):
            try:
                if (key := self._read_key(place)) is None:
                    continue
                if place in present and key.key_id in former:
                    what = f"{place} is key {key.key_id}, which was replaced"
                    raise SealError("seal.key_former", what, RESTORE)
                good[place] = key
            except SealError as error:
                wrong[place] = error
        next_at = next_tenant_key_path(tenant)
        if with_next and next_at in wrong:
            raise SealError(
                wrong[next_at].error_id,
                f"{next_at} cannot be used: {wrong[next_at].message}",
                f"nothing was written; `accord key prepare --tenant {tenant}` replaces it",
            )
        next_key = good.pop(next_at, None)
        text = self._row_text(tenant)
        row = None
        try:
            row = tenant_queries.tenant_key(tenant)
            assert row is not None  # because its text is not
            self.keyring.open_tenant_key(row)
            current = row
        except SealError as error:
            if error.error_id == "seal.kek_missing" or (best := self._best(tenant, good)) is None:
                raise
            row, current = None, best
        in_bucket = good.get(tenant_key_path(tenant))
        known = {
            every_tenant_key_path(tenant, each.key_id): each
            for each in (current, in_bucket, next_key)
            if each is not None
        }
        spoiled = {}
        foreign = []
        for place, problem in wrong.items():
            if problem.error_id == "seal.kek_missing":
                raise problem  # perhaps a newer key-encryption key wraps it
            if place in known:
                spoiled[place] = known[place]
            elif self._is_foreign(tenant, place):
                foreign.append(place)
            elif place not in (tenant_key_path(tenant), next_at):
                raise problem
        return _Keys(text, row, current, in_bucket, next_key, good, spoiled, tuple(foreign))

    def _best(self, tenant: str, good: Mapping[str, WrappedKey]) -> WrappedKey | None:
        """The bucket's valid key of a tenant whose row has none: the current one, or else the one that wraps
        the newest recording's key."""
        if (in_bucket := good.get(tenant_key_path(tenant))) is not None:
            return in_bucket
        newest = {wrapped_key_rows.newest_wrapped_by(tenant, each.key_id): each for each in good.values()}
        return newest[max(newest)] if newest else None

    def _is_foreign(self, tenant: str, place: str) -> bool:
        """Whether another tenant's key is in a tenant's folder under its own id, which no key of the tenant
        ever had."""
        try:
            key = WrappedKey.from_bytes(read_document(self.store, place, WrappedKey.MAX_BYTES))
            return key.tenant != tenant and place == every_tenant_key_path(tenant, key.key_id)
        except (NotFound, SealError):
            return False

    def _repair(self, tenant: str) -> None:
        """Restore the row's key from the bucket, damaged copies in the bucket from the row, and delete copies
        of other tenants' keys."""
        keys = self._read_keys(tenant)
        if keys.row is None:
            body: dict[str, object] = {"key": keys.current.key_id, "key_was": _claimed_id(keys.text)}
            now, content = self.now(), keys.current.to_bytes().decode()
            kind = "tenant.key_changed"
            wrapped_key_rows.set_tenant_key(tenant, keys.text, content, kind, body, now, self.entropy)
            log.warning("tenant_key.restored", tenant=tenant, key=keys.current.key_id)
        for place, key in keys.spoiled.items():
            self._replace(place, key)
            log.warning("tenant_key.restored", tenant=tenant, place=place)
        for place in keys.foreign:
            self.store.delete(place)
            log.warning("tenant_key.foreign_removed", tenant=tenant, place=place)

    def _wrap_by_kek(self, tenant: str) -> None:
        """Wrap every key of a tenant, in catalogue and bucket, by the current key-encryption key."""
        keys = self._read_keys(tenant)
        current, stored = keys.current, keys.in_bucket
        if current.wrapped_by != self.keyring.current:
            fresh = self.keyring.rewrap_tenant_key(current, self.entropy)
            # The bucket first, unless it has another key by now, which is wrapped again below.
            if stored is None or stored.key_id == current.key_id:
                if stored is not None and stored.wrapped_by == self.keyring.current:
                    fresh = stored  # an interrupted run has put it
                self._replace(tenant_key_path(tenant), fresh)
                self.boundary("tenant key put")
            body: dict[str, object] = {
                "key": current.key_id,
                "by": fresh.wrapped_by,
                "by_was": current.wrapped_by,
            }
            now, content = self.now(), fresh.to_bytes().decode()
            kind = "tenant.key_wrapped"
            wrapped_key_rows.set_tenant_key(tenant, keys.text, content, kind, body, now, self.entropy)
            self.boundary("tenant key catalogued")
        for place in list(self.store.list(f"keys/{tenant}/{TENANT}")):
            each = self._read_keys(tenant).at(place)
            if each is not None and each.wrapped_by != self.keyring.current:
                self._replace(place, self.keyring.rewrap_tenant_key(each, self.entropy))
                self.boundary("older key put")

    def _complete_change(self, tenant: str) -> tuple[int, int]:
        """Complete the change of a tenant's key, and wrap again what another of its keys still wraps."""
        keys = self._read_keys(tenant)
        current, stored = keys.current, keys.in_bucket
        # A restored catalogue may lack a change that the bucket has.
        key = keys.next_key or stored or current
        for each in {each.key_id: each for each in (current, stored, key) if each is not None}.values():
            place = every_tenant_key_path(tenant, each.key_id)
            if key.key_id != current.key_id and keys.at(place) is None:
                self._replace(place, each)
                self.boundary("kept by its id")
        if stored is None or stored.key_id != key.key_id:
            self._replace(tenant_key_path(tenant), key)
            self.boundary("tenant key put")
        if key.key_id != current.key_id:
            body: dict[str, object] = {"key": key.key_id, "key_was": current.key_id}
            now, content = self.now(), key.to_bytes().decode()
            kind = "tenant.key_changed"
            wrapped_key_rows.set_tenant_key(tenant, keys.text, content, kind, body, now, self.entropy)
            self.boundary("tenant key catalogued")
        counted = self._wrap_recordings(tenant, key)
        if keys.next_key is not None:
            self.store.delete(next_tenant_key_path(tenant))
            self.boundary("next key deleted")
        return counted

    def _wrap_recordings(self, tenant: str, key: WrappedKey) -> tuple[int, int]:
        count, left, after = 0, 0, ""
        known = {key.key_id: key}
        while rows := wrapped_key_rows.wrapped_by_others(tenant, key.key_id, after, PAGE):
            self._take_lease()
            for recording, text in rows:
                try:
                    if self._wrap_recording(tenant, recording, text, key, known):
                        count += 1
                    else:
                        left += 1
                except SealError as error:
                    if error.error_id == "seal.kek_missing":
                        raise
                    self.refused(error)
            after = rows[-1][0]
        return count, left

    def _wrap_recording(
        self, tenant: str, recording: str, text: str, key: WrappedKey, known: dict[str, WrappedKey]
    ) -> bool:
        """Wrap a recording's key by ``key``, in bucket and row; false if another process is working on the
        recording, erasing it for instance. ``known`` are the tenant's keys, by id. Raises :class:`SealError`
        if neither row nor bucket has the recording's own key, or if they have different ones; nothing is
        written then."""
        claim = f"recording:{recording}"
        if not lease.take(claim, self.owner, self.now()):
            return False
        try:
            if wrapped_key_rows.recording_key(tenant, recording) != text:
                return False
            place = data_key_path(tenant, recording)
            good = self._valid_copies(tenant, recording, text, place, known)
            fresh = next((each for each in good if each.wrapped_by == key.key_id), None)
            if fresh is None:
                by = known[good[0].wrapped_by]
                fresh = self.keyring.rewrap_data_key(by, key, good[0], self.entropy)
            self.keyring.open_data_key(key, fresh)
            self._replace(place, fresh)
            self.boundary("data key put")
            if wrapped_key_rows.set_recording_key(tenant, recording, text, fresh.to_bytes().decode()):
                self.boundary("data key catalogued")
                return True
            if wrapped_key_rows.recording_key(tenant, recording) is None:
                self.store.delete(place)
            return False
        finally:
            lease.release(claim, self.owner)

    def _valid_copies(
        self, tenant: str, recording: str, text: str, place: str, known: dict[str, WrappedKey]
    ) -> list[WrappedKey]:
        """The valid copies, in row and bucket, of a recording's own key. Raises :class:`SealError`."""
        row = f"the row of recording {recording}"
        copies = {row: text.encode()}
        with suppress(NotFound):
            copies[place] = read_document(self.store, place, WrappedKey.MAX_BYTES)
        good, wrong = [], []
        for where, content in copies.items():
            try:
                wrapped = wrapped_key(content, where, tenant, recording)
                by = known.get(wrapped.wrapped_by) or tenant_key_of(self.store, tenant, wrapped.wrapped_by)
                if by is None:
                    raise SealError(
                        "seal.key_foreign",
                        f"{where} is wrapped by {wrapped.wrapped_by}, which is missing",
                        f"bring {every_tenant_key_path(tenant, wrapped.wrapped_by)} back from a mirror",
                    )
                self.keyring.open_data_key(by, wrapped)
                known[by.key_id] = by
                good.append(wrapped)
            except SealError as error:
                wrong.append(error)
        if not good:
            raise wrong[0]
        if len({each.key_id for each in good}) > 1:
            raise SealError("seal.key_differs", f"{row} and {place} have different keys", RESTORE)
        return good

    def _row_text(self, tenant: str) -> str:
        found = tenant_queries.tenant_wrapped_key(tenant)
        if found is None:
            raise SealError(
                "seal.key_missing",
                f"the catalogue has no key of tenant {tenant}",
                "it was destroyed if the customer has left; otherwise `accord rebuild` restores it",
            )
        return found

    def _read_key(self, place: str) -> WrappedKey | None:
        """A tenant's valid key in the bucket."""
        try:
            found = read_wrapped(self.store, place)
        except NotFound:
            return None
        self.keyring.open_tenant_key(found)
        return found

    def _replace(self, place: str, key: WrappedKey) -> None:
        content = key.to_bytes()
        with memory_file(content) as path:
            self.store.replace(place, path, hashlib.sha256(content).hexdigest())

    def _take_lease(self) -> None:
        if not lease.take(CLAIM, self.owner, self.now()):
            raise SealError(
                "keys.busy",
                "another machine rotates keys, or did until a moment ago",
                "wait until it has finished; if it died, five minutes",
            )

    def _return_lease(self) -> None:
        lease.release(CLAIM, self.owner)


@dataclass(frozen=True, slots=True)
class RotationStatus:
    """How many tenants' keys each key-encryption key wraps, in catalogue and bucket; how many recordings'
    keys are not wrapped by their tenant's current key (``rows``, ``objects``); tenants with an unfinished
    change; recordings (tenant and id) whose key is in the row but not in the bucket, or not the same
    there."""

    by_kek: dict[str, int]
    rows: int
    objects: int
    unfinished: tuple[str, ...]
    absent: tuple[tuple[str, str], ...]


def rotation_status(store: Store) -> RotationStatus:
    """Read every wrapped key in catalogue and bucket. Raises :class:`SealError` for an invalid key of a
    tenant, :class:`recorder.errors.StoreError`."""
    by_kek: dict[str, int] = {}
    rows = objects = 0
    unfinished, absent = [], []
    for row in tenant_queries.all_tenants():
        if (current := tenant_queries.tenant_key(row.id)) is None:
            continue  # the customer has left
        by_kek[current.wrapped_by] = by_kek.get(current.wrapped_by, 0) + 1
        rows += sum(1 for _ in _others(row.id, current.key_id))
        good = []
        for place, content in _stored(store, row.id):
            try:
                each = wrapped_key_at(place, content)
            except SealError:
                if recording_of_path(place) is None:
                    raise
                continue
            if each.recording is not None:
                objects += each.wrapped_by != current.key_id
                good.append(each.recording)
                continue
            by_kek[each.wrapped_by] = by_kek.get(each.wrapped_by, 0) + 1
            if place == next_tenant_key_path(row.id):
                unfinished.append(row.id)
        absent += [(row.id, each) for each in _absent_keys(row.id, good)]
    return RotationStatus(by_kek, rows, objects, tuple(unfinished), tuple(absent))


def _absent_keys(tenant: str, stored: Iterable[str]) -> Iterator[str]:
    """Recordings with a key in the catalogue that are not among ``stored``."""
    have = set(stored)
    return (recording for recording, _ in _others(tenant, "") if recording not in have)


def _others(tenant: str, key_id: str) -> Iterator[tuple[str, str]]:
    after = ""
    while some := wrapped_key_rows.wrapped_by_others(tenant, key_id, after, PAGE):
        yield from some
        after = some[-1][0]


def _stored(store: Store, tenant: str) -> Iterator[tuple[str, bytes]]:
    for place in filter(kind_of, store.list(f"keys/{tenant}/")):
        with suppress(NotFound):  # destroyed meanwhile
            yield place, read_document(store, place, WrappedKey.MAX_BYTES)
