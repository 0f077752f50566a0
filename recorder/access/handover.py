"""What a customer who leaves is handed: one tar archive, whose layout is fixed when the handing over begins,
so that it can be fetched from any byte on, again and again.

Its bytes are made as they are asked for.  A recording is in it where it may be used for something: it leaves
through the gate's checks, each block compared with the seal, and after a leaf that says so.  One that is gone
since, or not to be used any more, reads as zeros; nothing else moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from recorder.access import papers, tar
from recorder.access.sealed import Sealed, Seals
from recorder.catalogue import handing, leaving
from recorder.catalogue.countries import pack_of
from recorder.catalogue.database import connected
from recorder.catalogue.handing import HandedRow
from recorder.catalogue.leaving import LeavingRow
from recorder.catalogue.limits import limits_of
from recorder.catalogue.rows import RecordingRow
from recorder.errors import AccessError, SealError
from recorder.ledger.prove import signed_before
from recorder.seal.amendment import name as amendment_name
from recorder.seal.body import decrypt_parties
from recorder.seal.files import read_document
from recorder.seal.manifest import MAX_BYTES, NAME
from recorder.seal.terms import terms
from recorder.store.base import NotFound, Store

FOLDER = "accord/"
PIECE = 64 * 1024

ABOUT, LOG = "about.json", "log.jsonl"
NOT_HANDED = frozenset({"peaks"})

Part = Callable[[int, int], Iterator[bytes]]
"""Gives a file's bytes from one offset up to another."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Span:
    """A file: ``at`` is where its header begins."""

    name: str
    length: int
    at: int
    read: Part


def why_not(sealed: Sealed, now: datetime) -> str | None:
    """Why a recording is not handed over: the id of the reason, ``None`` where it is.  The customer answers
    for its recordings and is handed them; but what nobody of theirs may hear any more is over."""
    row, manifest = sealed.row, sealed.manifest
    told = terms(manifest, sealed.chain.amendments, limits_of(row.tenant), pack_of(row.tenant))
    if manifest.brought_in is not None and not told.purposes:
        return "access.brought_in"
    if manifest.announced is None and manifest.brought_in is None:
        return "access.not_announced"
    if told.holds:
        return None
    if told.deleted_at is not None and told.deleted_at <= now:
        return "access.destroyed"
    living = [each.code for each in told.purposes if now < min(each.use_until, row.keep_until)]
    if not living:
        return "access.expired"
    if not (set(living) & set(row.purposes)) - set(row.restricted):
        return "access.purpose_restricted"
    return None


def files_of(sealed: Sealed, store: Store, log_size: int) -> tuple[tuple[str, int], ...]:
    """What of a recording is handed over: names and lengths.  Raises :class:`StoreError`."""
    row, manifest = sealed.row, sealed.manifest
    names = [NAME, *(amendment_name(each.number) for each in sealed.chain.amendments)]
    found = [(name, store.size(row.prefix + name)) for name in names]
    found.append((ABOUT, len(papers.about(manifest, decrypt_parties(manifest, sealed.key)))))
    found.append((LOG, len(papers.leaves_about(row.tenant, row.id, log_size))))
    found += [(each.name, each.plain_length) for each in manifest.objects if each.name not in NOT_HANDED]
    return tuple(found)


def prepare(
    tenant: str,
    seals: Seals,
    store: Store,
    root_pem: bytes,
    *,
    anew: bool,
    now: datetime,
    entropy: Callable[[int], bytes],
    tell: Callable[[int], None] = lambda _done: None,
) -> LeavingRow:
    """Fix what a customer is handed; broken off, it goes on where it was.  ``tell`` hears of each recording
    that was looked at.  Raises :class:`CatalogueError` (``leaving.not_announced``, ``leaving.erasing``,
    ``leaving.changed``), :class:`StoreError`."""
    row = handing.begin(tenant, anew=anew, now=now, entropy=entropy)
    if row.handed_at is not None:
        return row
    handover = row.handover or ""
    done = handing.last(tenant)
    number, at = (0, tar.taken(len(_readme()))) if done is None else (done.number + 1, done.at + done.length)
    after = "" if done is None else done.recording
    tell(number)
    while page := leaving.recordings_of(tenant, after):
        rows = []
        for each in page:
            rows.append(_look(each, number, at, seals, store, row.log_size, now))
            number, at = number + 1, at + rows[-1].length
        handing.add(tenant, handover, rows)
        after = page[-1].id
        tell(number)
    last = _last_papers(tenant, row, store, root_pem, now)
    length = at + sum(tar.taken(size) for _, size, _, _ in last) + tar.END
    handing.whole(tenant, handover, {"papers": last, "at": at}, length, now=now, entropy=entropy)
    return leaving.standing(tenant)


def _look(
    row: RecordingRow, number: int, at: int, seals: Seals, store: Store, log_size: int, now: datetime
) -> HandedRow:
    files: tuple[tuple[str, int], ...] = ()
    try:
        with connected():
            sealed = seals.open(row, now)
            why = why_not(sealed, now)
            if why is None:
                files = files_of(sealed, store, log_size)
    except (SealError, AccessError) as error:
        why = error.error_id
        log.error("handover.left_out", recording=row.id, error_id=why, error=error.message)
    length = sum(tar.taken(size) for _, size in files)
    return HandedRow(number, row.id, why, len(papers.line_of(row, why)), at, length, files, None)


def _last_papers(
    tenant: str, row: LeavingRow, store: Store, root_pem: bytes, now: datetime
) -> list[tuple[str, int, str, Any]]:
    """What comes after the recordings: each file's name, length, kind, and what it is made of."""
    found: list[tuple[str, int, str, Any]] = []
    first = 0
    while rows := handing.handed(tenant, first, papers.ROWS):
        length = len(papers.HEAD) + sum(each.row_length for each in rows)
        found.append((f"tables/recordings-{len(found) + 1:05}.csv", length, "table", first))
        first = rows[-1].number + 1
    said, sounds = papers.announcements(tenant, now)
    found.append(("announcements/announcements.json", len(said), "text", said.decode()))
    found += [(f"announcements/{each}.wav", len(papers.sound(each)), "sound", each) for each in sounds]
    for begin in range(0, row.log_size, papers.ROWS):
        end = min(begin + papers.ROWS, row.log_size)
        content = papers.leaves(tenant, begin, end)
        found.append((f"log/leaves-{begin:010}.jsonl", len(content), "leaves", [begin, end]))
    texts = {"log/root.pub": root_pem.decode()}
    if (signed := signed_before(tenant, row.log_size, store)) is not None:
        texts["log/checkpoint.note"], texts["log/checkpoint.endorsement.json"] = signed
    found += [(name, len(text.encode()), "text", text) for name, text in sorted(texts.items())]
    return found


def _readme() -> bytes:
    return papers.README.encode()


@dataclass(frozen=True, slots=True)
class Archive:
    """What a customer is handed, whole.  ``open`` opens one of its recordings as the gate trusts it, after a
    leaf that it leaves, or says that it does not (``None``); ``broken`` hears of a file that is not what was
    sealed."""

    row: LeavingRow
    store: Store
    open: Callable[[HandedRow], Sealed | None]
    broken: Callable[[HandedRow, str, SealError], None]

    @property
    def tenant(self) -> str:
        return self.row.tenant

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Its bytes from ``start`` up to, not including, ``end``, in pieces of at most 64 KiB.  Raises
        :class:`StoreError`, :class:`CatalogueError`; :class:`AccessError` (``access.handover_changed``)
        where something is not what it was."""
        assert self.row.handed_at is not None
        made = int(self.row.handed_at.timestamp())
        at = start
        for span in self._spans(start):
            if span.at >= end:
                break
            head = tar.header(FOLDER + span.name, span.length, made)
            body, whole = span.at + tar.BLOCK, span.at + tar.taken(span.length)
            if at < body:
                piece = head[at - span.at : end - span.at]
                yield piece
                at += len(piece)
            content_end = body + span.length
            if body <= at < min(content_end, end):
                for piece in span.read(at - body, min(content_end, end) - body):
                    yield piece
                    at += len(piece)
            if content_end <= at < min(whole, end):
                yield bytes(min(whole, end) - at)
                at = min(whole, end)
            if at >= end:
                return
        while at < end:
            piece = bytes(min(PIECE, end - at))
            yield piece
            at += len(piece)

    def _spans(self, start: int) -> Iterator[Span]:
        """The files from the one that ``start`` lies in."""
        readme, layout = _readme(), self.row.layout
        if start < tar.taken(len(readme)):
            yield Span("README.txt", len(readme), 0, _of(lambda: readme, len(readme)))
        at = start
        while at < layout["at"] and (rows := handing.handed_at(self.tenant, at)):
            for row in rows:
                yield from self._recording(row, start)
            at = rows[-1].at + rows[-1].length
        at = layout["at"]
        for name, length, kind, what in layout["papers"]:
            if at + tar.taken(length) > start:
                yield Span(name, length, at, _of(partial(self._paper, kind, what), length))
            at += tar.taken(length)

    def _recording(self, row: HandedRow, start: int) -> Iterator[Span]:
        at, opened = row.at, _Once(lambda: self.open(row))
        for name, length in row.files:
            if at + tar.taken(length) > start:
                read = _part(self, row, name, length, opened)
                yield Span(f"recordings/{row.recording}/{name}", length, at, read)
            at += tar.taken(length)

    def file(self, sealed: Sealed, name: str, length: int) -> Part:
        """A file of a recording that is there.  Raises :class:`SealError`, :class:`StoreError`."""
        row, manifest = sealed.row, sealed.manifest
        if manifest.object(name) is not None:
            key = manifest.prefix + name
            return manifest.reader(name, sealed.key, lambda start, end: self.store.read(key, start, end)).read
        if name == ABOUT:
            return _of(lambda: papers.about(manifest, decrypt_parties(manifest, sealed.key)), length)
        if name == LOG:
            return _of(lambda: papers.leaves_about(row.tenant, row.id, self.row.log_size), length)
        return _of(lambda: read_document(self.store, row.prefix + name, MAX_BYTES), length)

    def _paper(self, kind: str, what: Any) -> bytes:
        if kind == "table":
            return papers.table(self.tenant, handing.handed(self.tenant, what, papers.ROWS))
        if kind == "sound":
            return papers.sound(what)
        if kind == "leaves":
            return papers.leaves(self.tenant, *what)
        return str(what).encode()


class _Once:
    """Opens a recording when the first of its files is read, once for all of them."""

    def __init__(self, open_: Callable[[], Sealed | None]) -> None:
        self._open = open_
        self._found: Sealed | None = None
        self._asked = False

    def __call__(self) -> Sealed | None:
        if not self._asked:
            self._found, self._asked = self._open(), True
        return self._found


def _part(archive: Archive, row: HandedRow, name: str, length: int, opened: _Once) -> Part:
    def read(start: int, end: int) -> Iterator[bytes]:
        at = start
        sealed = opened()
        if sealed is not None:
            try:
                for piece in archive.file(sealed, name, length)(start, end):
                    yield piece
                    at += len(piece)
            except SealError as error:
                archive.broken(row, name, error)
            except (AccessError, NotFound) as error:  # erased while it was being read
                log.warning("handover.zeros", recording=row.recording, object=name, error_id=error.error_id)
        while at < end:
            piece = bytes(min(PIECE, end - at))
            yield piece
            at += len(piece)

    return read


def _of(make: Callable[[], bytes], length: int) -> Part:
    """A file that is made when it is read."""

    def read(start: int, end: int) -> Iterator[bytes]:
        content = make()
        if len(content) != length:
            raise AccessError(
                "access.handover_changed",
                f"a paper of the handing over has {len(content)} bytes, and had {length}",
                "hand over anew: `accord tenant leave hand-over --anew`",
            )
        for at in range(start, end, PIECE):
            yield content[at : min(at + PIECE, end)]

    return read
