"""Changing keys without touching a sound: tenants' keys are wrapped by another key-encryption key,
recordings' keys by their tenant's new one.

Every key of every tenant is looked at first: that it is the tenant's own, that it opens, and to the key that
it names.  Nothing is written while one of them is another.  Then for a tenant, in this order; broken off
anywhere, it is done again and ends the same:

======================  ===============================================================================
``tenant-<id>.json``    each key that the tenant has had lies in the bucket by its id, the new one too:
                        from then on whatever either of them wraps opens
``tenant.json``         the bucket's present key
the tenant's row        the commit: what is sealed from now on is wrapped by the new one
``<recording>.json``    each recording's key, wrapped anew: in the bucket first, then in its row
``tenant-next.json``    goes: it said which key is to come
======================  ===============================================================================

Somebody may destroy a recording meanwhile.  Whoever destroys makes the row forget the key before they look
whether it is gone, and this puts the key before it looks at the row: one of the two sees the other.
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
from recorder.spool.atomic_files import in_memory
from recorder.store.contract import NotFound, Store

CLAIM = "keys"
PAGE = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Keys:
    """A tenant's keys, each the tenant's own, and each opens: ``text`` is what the row has, ``row`` the key
    in it (``None`` where that is not the tenant's), ``mine`` the present one, ``there`` the bucket's,
    ``to_come`` the next one, ``stored`` all others of the bucket by place; ``spoiled`` are places that hold
    something else than the key that belongs there, ``foreign`` those of others' keys."""

    text: str
    row: WrappedKey | None
    mine: WrappedKey
    there: WrappedKey | None
    to_come: WrappedKey | None
    stored: Mapping[str, WrappedKey]
    spoiled: Mapping[str, WrappedKey]
    foreign: tuple[str, ...]

    def at(self, place: str) -> WrappedKey | None:
        if place == next_tenant_key_path(self.mine.tenant):
            return self.to_come
        return self.stored.get(place)


def _raise(error: SealError) -> NoReturn:
    raise error


def _claimed_id(text: str) -> str:
    """The id that a row's key names, whosever it is; empty for what is none."""
    try:
        return WrappedKey.from_bytes(text.encode()).key_id
    except SealError:
        return ""


@dataclass(frozen=True, slots=True)
class Rewrapping:
    """What it works with; ``keyring`` wraps by the key-encryption key that is to be the only one, ``owner``
    names this process among others, ``boundary`` is told each point that was reached, ``refused`` of each
    recording whose key was left as it is, with why.

    Everything raises :class:`SealError` (``keys.busy`` where somebody else is at it on another machine; what
    does not open), :class:`recorder.errors.StoreError`, ``CatalogueError``."""

    store: Store
    keyring: Keyring
    now: Now
    entropy: Entropy
    owner: str
    boundary: Callable[[str], None] = field(default=lambda _boundary: None)
    refused: Callable[[SealError], None] = field(default=_raise)

    def begin(self, tenant: str) -> str:
        """Say that a tenant is to have a new key, which :meth:`all` gives it; the key's id.  One that was
        said before stays, unless it is not the tenant's or does not open."""
        self._claim()
        try:
            self._look(tenant, coming=False)
            try:
                there = self._look(tenant).to_come
            except SealError as error:
                if error.error_id == "seal.kek_missing":
                    raise
                log.warning("tenant_key.replaced", tenant=tenant, key=NEXT, error=error.message)
                there = None
            if there is None:
                there = self.keyring.new_tenant_key(tenant, self.entropy)
                self._replace(next_tenant_key_path(tenant), there)
        finally:
            self._give_back()
        return there.key_id

    def all(self) -> tuple[int, int]:
        """Wrap every tenant's keys by the keyring's, and finish each change of a tenant's key; of how many
        recordings keys were wrapped anew, and how many could not be just now."""
        done = left = 0
        try:
            for tenant in self._tenants():
                self._claim()
                self._look(tenant)
            for tenant in self._tenants():
                self._claim()
                self._put_back(tenant)
                self._by_kek(tenant)
                some, others = self._tenant(tenant)
                done, left = done + some, left + others
        finally:
            self._give_back()
        return done, left

    def put_back(self, recordings: Iterable[tuple[str, str]]) -> int:
        """Put the wrapped keys of some recordings (each with its tenant), which are missing in the bucket or
        are others there, back from their rows; how many."""
        done = 0
        try:
            for tenant, recording in recordings:
                self._claim()
                text = wrapped_key_rows.recording_key(tenant, recording)
                mine = self._look(tenant).mine
                if text is not None:
                    done += self._recording(tenant, recording, text, mine, {mine.key_id: mine})
        finally:
            self._give_back()
        return done

    @staticmethod
    def _tenants() -> list[str]:
        """Those who have a key: of one who left it was destroyed."""
        return [
            row.id
            for row in tenant_queries.all_tenants()
            if tenant_queries.tenant_wrapped_key(row.id) is not None
        ]

    def _look(self, tenant: str, *, coming: bool = True) -> _Keys:
        """A tenant's keys, each checked; with ``coming`` the one to come as well.  Writes nothing.  Raises
        :class:`SealError` for one that is not what it must be and that nothing good can replace."""
        good: dict[str, WrappedKey] = {}
        wrong: dict[str, SealError] = {}
        former = wrapped_key_rows.former_keys(tenant)
        present = (tenant_key_path(tenant), next_tenant_key_path(tenant))
        # What is called otherwise is read nowhere, and an audit names it (object.unknown).
        for place in filter(kind_of, self.store.list(f"keys/{tenant}/{TENANT}")):
            try:
                if (key := self._read(place)) is None:
                    continue
                if place in present and key.key_id in former:
                    what = f"{place} is key {key.key_id}, which was changed for another"
                    raise SealError("seal.key_former", what, RESTORE)
                good[place] = key
            except SealError as error:
                wrong[place] = error
        next_at = next_tenant_key_path(tenant)
        if coming and next_at in wrong:
            raise SealError(
                wrong[next_at].error_id,
                f"{next_at} cannot be changed to: {wrong[next_at].message}",
                f"`accord keys next --tenant {tenant}` makes another in its place; nothing was written",
            )
        to_come = good.pop(next_at, None)
        text = self._text(tenant)
        row = None
        try:
            row = tenant_queries.tenant_key(tenant)
            assert row is not None  # so is its text
            self.keyring.open_tenant_key(row)
            mine = row
        except SealError as error:
            if error.error_id == "seal.kek_missing" or (best := self._best(tenant, good)) is None:
                raise
            row, mine = None, best
        there = good.get(tenant_key_path(tenant))
        known = {
            every_tenant_key_path(tenant, each.key_id): each
            for each in (mine, there, to_come)
            if each is not None
        }
        spoiled = {}
        foreign = []
        for place, problem in wrong.items():
            if problem.error_id == "seal.kek_missing":
                raise problem  # a newer one, perhaps
            if place in known:
                spoiled[place] = known[place]
            elif self._is_foreign(tenant, place):
                foreign.append(place)
            elif place not in (tenant_key_path(tenant), next_at):
                raise problem
        return _Keys(text, row, mine, there, to_come, good, spoiled, tuple(foreign))

    def _best(self, tenant: str, good: Mapping[str, WrappedKey]) -> WrappedKey | None:
        """Of the bucket's good keys of a tenant whose row has none: the present one, or else the one that
        wrapped the newest recording's."""
        if (there := good.get(tenant_key_path(tenant))) is not None:
            return there
        newest = {wrapped_key_rows.newest_wrapped_by(tenant, each.key_id): each for each in good.values()}
        return newest[max(newest)] if newest else None

    def _is_foreign(self, tenant: str, place: str) -> bool:
        """Whether somebody else's key lies in a tenant's folder under its own id: no key of the tenant's was
        ever called so."""
        try:
            key = WrappedKey.from_bytes(read_document(self.store, place, WrappedKey.MAX_BYTES))
            return key.tenant != tenant and place == every_tenant_key_path(tenant, key.key_id)
        except (NotFound, SealError):
            return False

    def _put_back(self, tenant: str) -> None:
        """A row that holds another key than its tenant's gets the tenant's own again, from the bucket, and a
        damaged copy in the bucket that of the row; copies of others' keys in the tenant's folder go."""
        keys = self._look(tenant)
        if keys.row is None:
            said: dict[str, object] = {"key": keys.mine.key_id, "key_was": _claimed_id(keys.text)}
            now, content = self.now(), keys.mine.to_bytes().decode()
            kind = "tenant.key_changed"
            wrapped_key_rows.set_tenant_key(tenant, keys.text, content, kind, said, now, self.entropy)
            log.warning("tenant_key.restored", tenant=tenant, key=keys.mine.key_id)
        for place, key in keys.spoiled.items():
            self._replace(place, key)
            log.warning("tenant_key.restored", tenant=tenant, place=place)
        for place in keys.foreign:
            self.store.delete(place)
            log.warning("tenant_key.foreign_removed", tenant=tenant, place=place)

    def _by_kek(self, tenant: str) -> None:
        """Every key of a tenant, in catalogue and bucket, is wrapped by the current key-encryption key."""
        keys = self._look(tenant)
        mine, there = keys.mine, keys.there
        if mine.wrapped_by != self.keyring.current:
            fresh = self.keyring.rewrap_tenant_key(mine, self.entropy)
            # The bucket first, unless it has another key by now: then that one is wrapped anew below.
            if there is None or there.key_id == mine.key_id:
                if there is not None and there.wrapped_by == self.keyring.current:
                    fresh = there  # an earlier run came so far
                self._replace(tenant_key_path(tenant), fresh)
                self.boundary("tenant key put")
            said: dict[str, object] = {"key": mine.key_id, "by": fresh.wrapped_by, "by_was": mine.wrapped_by}
            now, content = self.now(), fresh.to_bytes().decode()
            kind = "tenant.key_wrapped"
            wrapped_key_rows.set_tenant_key(tenant, keys.text, content, kind, said, now, self.entropy)
            self.boundary("tenant key catalogued")
        for place in list(self.store.list(f"keys/{tenant}/{TENANT}")):
            each = self._look(tenant).at(place)
            if each is not None and each.wrapped_by != self.keyring.current:
                self._replace(place, self.keyring.rewrap_tenant_key(each, self.entropy))
                self.boundary("older key put")

    def _tenant(self, tenant: str) -> tuple[int, int]:
        """Finish the change of a tenant's key, and wrap what another of its keys still wraps."""
        keys = self._look(tenant)
        mine, there = keys.mine, keys.there
        # A catalogue that was restored may not know of a change that the bucket had.
        key = keys.to_come or there or mine
        for each in {each.key_id: each for each in (mine, there, key) if each is not None}.values():
            place = every_tenant_key_path(tenant, each.key_id)
            if key.key_id != mine.key_id and keys.at(place) is None:
                self._replace(place, each)
                self.boundary("kept by its id")
        if there is None or there.key_id != key.key_id:
            self._replace(tenant_key_path(tenant), key)
            self.boundary("tenant key put")
        if key.key_id != mine.key_id:
            said: dict[str, object] = {"key": key.key_id, "key_was": mine.key_id}
            now, content = self.now(), key.to_bytes().decode()
            kind = "tenant.key_changed"
            wrapped_key_rows.set_tenant_key(tenant, keys.text, content, kind, said, now, self.entropy)
            self.boundary("tenant key catalogued")
        counted = self._recordings(tenant, key)
        if keys.to_come is not None:
            self.store.delete(next_tenant_key_path(tenant))
            self.boundary("next key deleted")
        return counted

    def _recordings(self, tenant: str, key: WrappedKey) -> tuple[int, int]:
        done, left, after = 0, 0, ""
        known = {key.key_id: key}
        while rows := wrapped_key_rows.wrapped_by_others(tenant, key.key_id, after, PAGE):
            self._claim()
            for recording, text in rows:
                try:
                    if self._recording(tenant, recording, text, key, known):
                        done += 1
                    else:
                        left += 1
                except SealError as error:
                    if error.error_id == "seal.kek_missing":
                        raise
                    self.refused(error)
            after = rows[-1][0]
        return done, left

    def _recording(
        self, tenant: str, recording: str, text: str, key: WrappedKey, known: dict[str, WrappedKey]
    ) -> bool:
        """Wrap a recording's key by ``key``, in bucket and row; false where somebody else is at it, who
        destroys it for instance.  ``known`` are keys of the tenant, by id.  Raises :class:`SealError` where
        neither row nor bucket have the recording's own key, or each another; then nothing is written."""
        claim = f"recording:{recording}"
        if not lease.take(claim, self.owner, self.now()):
            return False
        try:
            if wrapped_key_rows.recording_key(tenant, recording) != text:
                return False
            place = data_key_path(tenant, recording)
            good = self._own(tenant, recording, text, place, known)
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
            lease.give_back(claim, self.owner)

    def _own(
        self, tenant: str, recording: str, text: str, place: str, known: dict[str, WrappedKey]
    ) -> list[WrappedKey]:
        """A recording's own key as row and bucket have it, as far as they do.  Raises :class:`SealError`."""
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
                        f"{where} is wrapped by {wrapped.wrapped_by}, which is nowhere",
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
            raise SealError("seal.key_differs", f"{row} and {place} hold two keys", RESTORE)
        return good

    def _text(self, tenant: str) -> str:
        found = tenant_queries.tenant_wrapped_key(tenant)
        if found is None:
            raise SealError(
                "seal.key_missing",
                f"the catalogue has no key of tenant {tenant}",
                "of a customer who left it was destroyed; of any other `accord rebuild` brings the bucket's",
            )
        return found

    def _read(self, place: str) -> WrappedKey | None:
        """A tenant's key in the bucket: it is that tenant's, and opens."""
        try:
            found = read_wrapped(self.store, place)
        except NotFound:
            return None
        self.keyring.open_tenant_key(found)
        return found

    def _replace(self, place: str, key: WrappedKey) -> None:
        content = key.to_bytes()
        with in_memory(content) as path:
            self.store.replace(place, path, hashlib.sha256(content).hexdigest())

    def _claim(self) -> None:
        if not lease.take(CLAIM, self.owner, self.now()):
            raise SealError(
                "keys.busy",
                "keys are being changed from another machine, or were until a moment ago",
                "wait until that is done; where it died, five minutes",
            )

    def _give_back(self) -> None:
        lease.give_back(CLAIM, self.owner)


@dataclass(frozen=True, slots=True)
class RotationStatus:
    """What wraps what: ids of key-encryption keys and how many tenants' keys each wraps, in catalogue and
    bucket; how many recordings' keys are wrapped by another than their tenant's present one (``rows``,
    ``objects``); tenants whose change is not finished; recordings (tenant and id) whose key the row has, and
    the bucket not, or another in its place."""

    by_kek: dict[str, int]
    rows: int
    objects: int
    unfinished: tuple[str, ...]
    lacking: tuple[tuple[str, str], ...]


def standing(store: Store) -> RotationStatus:
    """Look at every wrapped key in catalogue and bucket.  Raises :class:`SealError` for a tenant's that is
    none, :class:`recorder.errors.StoreError`."""
    by_kek: dict[str, int] = {}
    rows = objects = 0
    unfinished, lacking = [], []
    for row in tenant_queries.all_tenants():
        if (mine := tenant_queries.tenant_key(row.id)) is None:
            continue  # destroyed: it has left
        by_kek[mine.wrapped_by] = by_kek.get(mine.wrapped_by, 0) + 1
        rows += sum(1 for _ in _others(row.id, mine.key_id))
        good = []
        for place, content in _stored(store, row.id):
            try:
                each = wrapped_key_at(place, content)
            except SealError:
                if recording_of_path(place) is None:
                    raise
                continue
            if each.recording is not None:
                objects += each.wrapped_by != mine.key_id
                good.append(each.recording)
                continue
            by_kek[each.wrapped_by] = by_kek.get(each.wrapped_by, 0) + 1
            if place == next_tenant_key_path(row.id):
                unfinished.append(row.id)
        lacking += [(row.id, each) for each in _lacking(row.id, good)]
    return RotationStatus(by_kek, rows, objects, tuple(unfinished), tuple(lacking))


def _lacking(tenant: str, there: Iterable[str]) -> Iterator[str]:
    """Recordings whose key the catalogue has, and which are not among those ``there``."""
    have = set(there)
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
