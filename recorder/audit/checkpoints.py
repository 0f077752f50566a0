"""Audits checkpoints in bucket and catalogue: their signatures, keys and order, and whether the leaves match
them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.audit.findings import AuditFinding
from recorder.auditlog import signed_note, timestamping
from recorder.auditlog.checkpoint import ENDORSEMENTS, highest_mailed, place_of, read_at
from recorder.auditlog.signed_note import Head, SignedNote
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import CheckpointTable
from recorder.clock import SLACK, to_iso
from recorder.errors import AuditLogError, SealError
from recorder.seal import canonical_json, hints, signing
from recorder.seal.document_source import DocumentSource
from recorder.seal.signing import CHECKPOINT, Endorsement

LATE = timedelta(hours=3)
"""Time without a checkpoint after which a log that grew is reported."""


@dataclass(slots=True)
class CheckpointAudit:
    """One tenant's checkpoints. ``heads`` are those that verified, in order."""

    tenant: str
    root: Ed25519PublicKey
    now: datetime
    revoked: Mapping[str, datetime] = field(default_factory=dict)
    certificates: bytes | None = None
    """Root certificates for verifying timestamps; without them, only missing timestamps are noticed."""
    external_notes: Sequence[SignedNote] = ()
    """Checkpoints received another way, such as by mail: they count like the bucket's."""
    heads: list[Head] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)
    findings: list[AuditFinding] = field(default_factory=list)
    newest: int = 0
    """The highest number of any checkpoint, valid or not."""
    stamps: dict[int, bytes] = field(default_factory=dict)
    _keys: dict[str, list[Endorsement]] = field(default_factory=dict)
    _catalogued: dict[int, CheckpointTable] = field(default_factory=dict)

    def read(self, source: DocumentSource) -> None:
        """Read bucket and catalogue. Raises :class:`recorder.errors.StoreError`."""
        # The catalogue first: a checkpoint that is signed meanwhile then appears only in the bucket.
        with connected():
            ids = CheckpointTable.select(CheckpointTable.id).where(CheckpointTable.tenant_id == self.tenant)
            for row in list(ids.order_by(CheckpointTable.number)):
                self._row(row.id)
        self._read_keys(source)
        stored = self._stored(source)
        self.newest = max([0, *self._catalogued, *stored])
        for number in sorted({*self._catalogued, *stored}):
            self._one(number, stored.get(number))
        self._order()
        self._check_stamps()
        if (number := highest_mailed(self.tenant)) > self.newest:
            self._blame("checkpoint.missing", number, "it was mailed, but bucket and catalogue lack it")
        for each in self.external_notes:
            self._take_given(each)

    def compare(
        self, roots: Mapping[int, bytes], count: int, first_heads: Mapping[int, int], since: datetime
    ) -> Iterator[AuditFinding]:
        """Compare the checkpoints with the leaves: the ``roots`` at the signed sizes, and the ``count`` of
        leaves. ``first_heads``: the epochs that leaves declare, each with its first checkpoint's number;
        ``since``: when the log began."""
        newest = max([1, *first_heads, *(head.epoch for head in self.heads)])
        for epoch, number in first_heads.items():
            yield self._found(
                "log.begun_again",
                number,
                f"epoch {epoch} of the log begins here: earlier leaves may be lost",
            )
        # Of an epoch that was followed by another one, only the common beginning still exists.
        ours = [head for head in self.heads if head.epoch == newest or head.epoch + 1 not in first_heads]
        last_good = max((head.size for head in ours if roots.get(head.size) == head.root), default=0)
        reported = False
        for head in ours:
            if head.size > count:
                what = f"{head.size} leaves were signed at {to_iso(head.at)}, but there are {count}"
                yield self._found("log.behind", head.number, what)
            elif head.size in roots and roots[head.size] != head.root:
                if head.size < last_good:
                    what = "it is of another log, but a later one is of this log: two logs were signed"
                    yield self._found("checkpoint.fork", head.number, what)
                elif not reported:
                    reported = True
                    before = max(
                        (h.size for h in ours if h.size < head.size and roots.get(h.size) == h.root),
                        default=0,
                    )
                    what = f"leaves {before} to {head.size - 1} differ from those that were signed"
                    yield self._found("log.rewritten", head.number, what)
        yield from self._late(count, since)

    def _late(self, count: int, since: datetime) -> Iterator[AuditFinding]:
        size, at = (self.heads[-1].size, self.heads[-1].at) if self.heads else (0, since)
        if count > size and self.now - at > LATE:
            what = f"the log grew and was not signed since {to_iso(at)}: later leaves are unprotected"
            yield AuditFinding("log.not_signed", self.tenant, what)

    def _row(self, identity: str) -> None:
        try:
            row = CheckpointTable.get_by_id(identity)
        except (ValueError, TypeError):
            what = "its row contains a value that Accord never writes"
            self.findings.append(AuditFinding("checkpoint.row_differs", identity, what))
        else:
            self._catalogued[row.number] = row

    def _read_keys(self, source: DocumentSource) -> None:
        for key in source.list(ENDORSEMENTS):
            try:
                body = canonical_json.load(read_at(source, key), "endorsement")
                endorsement = Endorsement.read(body)
                # Kept even if invalid: a checkpoint by that key is then refused for the actual reason.
                self._keys.setdefault(endorsement.key_id, []).append(endorsement)
                endorsement.check_root(self.root)
            except SealError as error:
                self.findings.append(AuditFinding("endorsement.form", key, error.message))

    def _stored(self, source: DocumentSource) -> dict[int, bytes]:
        found = {}
        prefix = place_of(self.tenant, 0).rpartition("/")[0] + "/"
        for key in source.list(prefix):
            stem, _, kind = key.removeprefix(prefix).partition(".")
            if not stem.isdecimal() or len(stem) != 10 or kind not in ("note", "tsr"):
                self.findings.append(
                    AuditFinding("checkpoint.foreign", key, "Accord gives no object this name")
                )
            elif kind == "note":
                found[int(stem)] = read_at(source, key)
            else:
                self.stamps[int(stem)] = read_at(source, key)
        return found

    def _one(self, number: int, stored: bytes | None) -> None:
        row = self._catalogued.get(number)
        catalogued = None if row is None else row.note.encode()
        if stored is None and row is not None and row.stored_at is not None:
            self._blame(
                "checkpoint.missing", number, f"it was put into the bucket at {to_iso(row.stored_at)}"
            )
        if catalogued is None and (number < max(self._catalogued, default=0) or self._old(stored)):
            self._blame("checkpoint.unlisted", number, "it is in the bucket, but not in the catalogue")
        if stored is not None and catalogued is not None and stored != catalogued:
            mine, theirs = self._read_note(number, catalogued), self._read_note(number, stored)
            if mine is not None and theirs is not None and mine.alone() == theirs.alone():
                pass  # they differ only in witnesses' signatures
            elif mine is not None and theirs is not None:
                self._blame("checkpoint.fork", number, "bucket and catalogue have two different ones")
            else:
                self._blame("checkpoint.differs", number, "bucket and catalogue differ")
            self._take(number, theirs or mine)
            if row is not None and mine is not None:
                self._compare_row(row, mine.head)
            return
        content = stored if stored is not None else catalogued
        if content is None:
            return
        read = self._read_note(number, content, report=True)
        self._take(number, read)
        if row is not None and read is not None:
            self._compare_row(row, read.head)

    def _old(self, stored: bytes | None) -> bool:
        """Whether a checkpoint was signed too long ago to be still in progress."""
        try:
            return stored is None or self.now - signed_note.read(stored).head.at > timedelta(minutes=5)
        except AuditLogError:
            return True

    def _take(self, number: int, read: SignedNote | None) -> None:
        if read is not None:
            self.heads.append(read.head)
            self.notes[number] = read.alone()

    def _take_given(self, note: SignedNote) -> None:
        """Add a checkpoint that was received another way."""
        head = note.head
        try:
            self._check(note, head.number)
        except (AuditLogError, SealError) as error:
            self._blame(error.error_id, head.number, f"the given one: {error.message}")
            return
        if head in self.heads:
            return
        if head.number in self.notes:
            self._blame("checkpoint.fork", head.number, "the given one is another one of this number")
        else:
            what = "it was given, but bucket and catalogue lack it"
            self._blame("checkpoint.missing", head.number, what)
        self.heads = sorted([*self.heads, head], key=lambda each: each.number)

    def _compare_row(self, row: CheckpointTable, head: Head) -> None:
        signed = {"size": head.size, "root": head.root.hex(), "at": head.at, "epoch": head.epoch}
        others = [name for name, value in signed.items() if getattr(row, name) != value]
        if row.place != place_of(self.tenant, row.number):
            others.append("place")
        if row.id != f"{self.tenant}/{row.number}":
            others.append("id")
        if others:
            self._blame("checkpoint.row_differs", row.number, f"the row differs: {', '.join(others)}")

    def _read_note(self, number: int, content: bytes, report: bool = False) -> SignedNote | None:
        """A checkpoint if it verifies; otherwise ``None``, and with ``report`` a finding."""
        try:
            read = signed_note.read(content)
            self._check(read, number)
        except (AuditLogError, SealError) as error:
            if report:
                self._blame(error.error_id, number, error.message)
            return None
        return read

    def _check(self, read: SignedNote, number: int) -> None:
        head = read.head
        if (head.tenant, head.installation) != (self.tenant, signing.key_id(self.root)):
            raise AuditLogError("checkpoint.foreign", f"it belongs to {head.origin}", hints.OBJECT)
        if head.number != number:
            raise AuditLogError(
                "checkpoint.foreign", f"it is checkpoint {head.number}, under a wrong number", hints.OBJECT
            )
        if head.at > self.now + SLACK:
            raise AuditLogError(
                "checkpoint.from_the_future",
                f"its time is {to_iso(head.at)}",
                "correct this machine's clock, or find out which machine signed it",
            )
        endorsements = self._keys.get(head.key)
        if not endorsements:
            raise AuditLogError(
                "checkpoint.key_unknown",
                f"no endorsement of key {head.key} is in the bucket",
                "look for an older version of its endorsement in the bucket",
            )
        public = _endorsed(endorsements, self.root, head.at)
        if not read.signed_by(public):
            raise AuditLogError("checkpoint.signature", f"it is not signed by key {head.key}", hints.OBJECT)
        since = self.revoked.get(head.key)
        if since is not None and head.at >= since:
            raise AuditLogError(
                "checkpoint.key_revoked",
                f"key {head.key} was revoked from {to_iso(since)} on",
                "treat it as unverified, and find out who had the key",
            )

    def _order(self) -> None:
        """Check that each names its predecessor, is later, and within an epoch is not smaller."""
        self.heads.sort(key=lambda head: head.number)
        before: Head | None = None
        for head in self.heads:
            expected = 1 if before is None else before.number + 1
            for number in range(expected, min(head.number, expected + 20)):
                if number not in self._catalogued or self._catalogued[number].stored_at is None:
                    self._blame(
                        "checkpoint.missing", number, "bucket and catalogue lack it, but have later ones"
                    )
            known = self.notes.get(head.number - 1)
            if known is not None and head.before != hashlib.sha256(known.encode()).hexdigest():
                self._blame("checkpoint.predecessor", head.number, "it names another predecessor")
            if before is not None and (
                head.at <= before.at
                or head.epoch < before.epoch
                or (head.epoch == before.epoch and head.size < before.size)
            ):
                self._blame("checkpoint.order", head.number, "it is earlier or smaller than its predecessor")
            before = head

    def _check_stamps(self) -> None:
        for number, row in self._catalogued.items():
            if row.stamped_at is not None and number not in self.stamps:
                self._blame("timestamp.missing", number, f"it was timestamped at {to_iso(row.stamped_at)}")
        at = {head.number: head.at for head in self.heads}
        for number, token in self.stamps.items():
            if number not in self.notes:
                self._blame("object.unknown", number, "it is a timestamp without its checkpoint")
            if self.certificates is None or number not in at:
                continue
            try:
                timestamping.verify_checkpoint_token(token, self.notes[number], at[number], self.certificates)
            except AuditLogError as error:
                self._blame(error.error_id, number, error.message)

    def _blame(self, code: str, number: int, message: str) -> None:
        self.findings.append(self._found(code, number, message))

    def _found(self, code: str, number: int, message: str) -> AuditFinding:
        return AuditFinding(code, f"{self.tenant}: checkpoint {number}", message)


def _endorsed(endorsements: list[Endorsement], root: Ed25519PublicKey, at: datetime) -> Ed25519PublicKey:
    """The key, by any valid endorsement of it. Raises :class:`SealError` of the last one if none is valid."""
    for endorsement in endorsements[:-1]:
        try:
            return endorsement.check(root, CHECKPOINT, at)
        except SealError:
            continue
    return endorsements[-1].check(root, CHECKPOINT, at)
