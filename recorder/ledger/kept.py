"""An audit's look at recordings: what lies in the bucket is what was sealed, and the row says so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import amending
from recorder.catalogue.described import recording_of
from recorder.catalogue.limits import limits_of
from recorder.catalogue.models import Amendment, Recording, Tenant, connected
from recorder.catalogue.reading import recording_row
from recorder.catalogue.recovering import compare
from recorder.catalogue.rows import RecordingRow
from recorder.errors import SealError
from recorder.ledger.findings import Finding
from recorder.seal import verify as seals
from recorder.seal.amendment import Erased
from recorder.seal.body import decrypt_parties
from recorder.seal.chain import Chain
from recorder.seal.contents import Manifest, Parties
from recorder.seal.files import read_document
from recorder.seal.keys import Keyring, WrappedKey
from recorder.seal.manifest import MAX_BYTES, NAME, open_manifest
from recorder.seal.opening import open_data_key
from recorder.seal.revocation import Trust, signed_since
from recorder.seal.terms import Limit
from recorder.store.base import NotFound, Store

PAGE = 200
ON_ITS_WAY = timedelta(minutes=15)
"""From sealing to listing, where nothing is wrong."""

_MANIFEST = re.compile(r"[^/]+/[0-9]{4}/[0-9]{2}/[0-9]{2}/([^/]+)/manifest\.json")


@dataclass(frozen=True, slots=True)
class Kept:
    """One tenant's recordings.  With a ``keyring`` the parties are compared too."""

    tenant: str
    store: Store
    root: Ed25519PublicKey
    now: datetime
    keyring: Keyring | None = None
    revoked: Mapping[str, datetime] = field(default_factory=dict)

    def read(self, tell: Callable[[int], None]) -> Iterator[Finding]:
        """Every recording, each stored byte once; then what lies in the bucket and is not listed.  Raises
        :class:`recorder.errors.StoreError`."""
        done, last = 0, ""
        while ids := self._ids(last):
            for identity in ids:
                yield from self._one(identity)
                done += 1
                tell(done)
            last = ids[-1]
        yield from self._unlisted()

    def _ids(self, last: str) -> list[str]:
        mine = (Recording.tenant == self.tenant) & (Recording.id > last)
        with connected():
            query = Recording.select(Recording.id).where(mine).order_by(Recording.id).limit(PAGE)
            return [row.id for row in query]

    def _one(self, identity: str) -> Iterator[Finding]:
        try:
            row = self._now_row(identity)
        except (ValueError, TypeError, LookupError):
            yield self._found("row.changed", identity, "it holds something that was never written so")
        else:
            yield from () if row is None else self._recording(row)

    def _recording(self, row: RecordingRow) -> Iterator[Finding]:
        before = amending.known(row.tenant, row.id)
        report = seals.verify(self.store, row.prefix, self.root, None, self.now, self.revoked)
        manifest = report.manifest
        wrong = [Finding(each.code, each.where, _with_blocks(each)) for each in report.findings]
        if manifest is not None and (manifest.tenant, manifest.recording) != (row.tenant, row.id):
            wrong.append(
                self._found("row.changed", row.id, f"its place is that of recording {manifest.recording}")
            )
        elif manifest is not None and report.chain is not None:
            content = read_document(self.store, row.prefix + NAME, MAX_BYTES)
            wrong += self._compare(row, manifest, content, report.chain)
            wrong += self._amendments(row, report.chain)
            wrong += self._dated_back(row, report.chain, {each.where for each in wrong})
            if row.destroyed_at is not None and report.chain.erased is None:
                what = "its row is a tombstone, and the bucket has none"
                wrong.append(self._found("row.destroyed", row.id, what))
        # Destroyed, or amended, while it was read: it is looked at anew, once.
        if wrong and (self._now_row(row.id) != row or amending.known(row.tenant, row.id) != before):
            again = self._now_row(row.id)
            return (yield from () if again is None else self._recording(again))
        yield from wrong

    def _now_row(self, recording: str) -> RecordingRow | None:
        with connected():
            row = Recording.get_or_none(Recording.id == recording)
        return None if row is None else recording_row(row)

    def _compare(
        self, row: RecordingRow, manifest: Manifest, content: bytes, chain: Chain
    ) -> Iterator[Finding]:
        key, parties = None, None
        if self.keyring is not None and row.wrapped_key is not None:
            try:
                key, parties = self._parties(row, manifest, self.keyring)
            except SealError as error:
                yield self._found(error.error_id, row.id, error.message)
        outside, inside = (parties.outside, parties.inside) if parties else (None, None)
        sealed = recording_of(manifest, content, outside, inside, key, chain.amendments, self._limits())
        gone = chain.erased
        if gone is not None and isinstance(gone.data, Erased):
            sealed = replace(sealed, destroyed_at=gone.at, destroyed_why=gone.data.why)
        elif row.destroyed_at is not None:  # which is found by itself
            sealed = replace(sealed, destroyed_at=row.destroyed_at, destroyed_why=row.destroyed_why)
        lacking, others = compare(row, sealed)
        if names := sorted({*others, *lacking}):
            yield self._found("row.changed", row.id, f"it was sealed otherwise: {', '.join(names)}")

    def _limits(self) -> tuple[Limit, ...]:
        try:
            return limits_of(self.tenant, Trust(self.root, lambda: self.revoked))
        except (ValueError, TypeError):  # a limit's row that cannot be read: it is named by itself
            return ()

    def _parties(self, row: RecordingRow, manifest: Manifest, keyring: Keyring) -> tuple[WrappedKey, Parties]:
        key = WrappedKey.from_bytes((row.wrapped_key or "").encode())
        with connected():
            wrapped = Tenant.select(Tenant.wrapped_key).where(Tenant.id == self.tenant).scalar()
        data_key = open_data_key(self.store, keyring, WrappedKey.from_bytes(wrapped.encode()), key)
        return key, decrypt_parties(manifest, data_key)

    def _amendments(self, row: RecordingRow, chain: Chain) -> Iterator[Finding]:
        sealed = {each["number"]: each for each in amending.columns_of(chain)}
        listed = self._listed(row.id)
        for number in sorted({*listed, *sealed}):
            there, said = listed.get(number), sealed.get(number)
            if there is None or said is None:
                what = f"amendment {number} is not in the catalogue as it is in the bucket"
                yield self._found("amendment.row_differs", row.id, what)
            elif others := sorted(name for name, value in said.items() if there.get(name) != value):
                what = f"amendment {number} was sealed otherwise: {', '.join(others)}"
                yield self._found("amendment.row_differs", row.id, what)

    def _dated_back(self, row: RecordingRow, chain: Chain, named: set[str]) -> Iterator[Finding]:
        """What a revoked key signed and dated back: the log shows when it was there."""
        for name, what in signed_since(chain, self.revoked, lambda: amending.seen(row.tenant, row.id)):
            if row.prefix + name not in named:
                yield Finding("seal.key_revoked", row.prefix + name, what)

    def _listed(self, recording: str) -> dict[int, dict[str, Any]]:
        """A recording's amendments as the catalogue has them, by number; of one that cannot be read nothing
        but that."""
        found: dict[int, dict[str, Any]] = {}
        with connected():
            mine = Amendment.select(Amendment.id, Amendment.number).where(Amendment.recording == recording)
            for row in list(mine):
                try:
                    found[row.number] = dict(*Amendment.select().where(Amendment.id == row.id).dicts())
                except (ValueError, TypeError):
                    found[row.number] = {}
        return found

    def _unlisted(self) -> Iterator[Finding]:
        waiting: list[tuple[str, str]] = []
        for key in self.store.list(f"{self.tenant}/"):
            if (match := _MANIFEST.fullmatch(key)) is not None:
                waiting.append((match[1], key))
            if len(waiting) == PAGE:
                yield from self._without_row(waiting)
                waiting = []
        yield from self._without_row(waiting)

    def _without_row(self, found: list[tuple[str, str]]) -> Iterator[Finding]:
        with connected():
            ids = [identity for identity, _ in found]
            known = {row.id for row in Recording.select(Recording.id).where(Recording.id.in_(ids))}
        for identity, key in found:
            if identity not in known and not self._is_new(key):
                yield Finding("row.deleted", key, "a recording that the catalogue does not list")

    def _is_new(self, key: str) -> bool:
        try:
            manifest = open_manifest(read_document(self.store, key, MAX_BYTES), self.root, self.now)
        except (SealError, NotFound):
            return False
        return manifest.sealed_at > self.now - ON_ITS_WAY

    def _found(self, code: str, recording: str, message: str) -> Finding:
        return Finding(code, f"{self.tenant}: recording {recording}", message)


def _with_blocks(found: seals.Finding) -> str:
    blocks = f", blocks {', '.join(map(str, found.blocks))}" if found.blocks else ""
    return f"{found.message}{blocks}"
