"""``accord rebuild``: restores recordings, amendments and tombstones from the bucket alone.

Four phases, each of which resumes where it was interrupted:

========  ==========================================================================================
``list``  each place in the bucket is queued, with the names of its objects
``read``  each place is read and verified, many at a time; a batch of rows is one transaction
``keys``  wrapped keys whose recording is missing, or erased, are reported
``rows``  rows whose recording is not in the bucket are reported
========  ==========================================================================================

On an intact catalogue it changes nothing. If it changes anything, expiry is suspended until the holds are
confirmed.

It erases nothing. Erasures that were signed since (departed customers, unrecorded calls) are proposed
(:mod:`recorder.lifecycle.bucket_statements`); of departed customers only the lines are ended.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import groupby, islice

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import offboarding_progress, queries
from recorder.clock import Now
from recorder.features.recovery import rebuild_queue
from recorder.features.recovery.prefix_verification import PLACE, PrefixReader, TenantKeys
from recorder.features.recovery.reader_pool import PlaceBatch, ReaderPool, results
from recorder.features.recovery.rebuild_queue import (
    KEY_ALONE,
    PHASES,
    ROW_ALONE,
    STATEMENT,
    UNPLACED,
    QueuedPlace,
)
from recorder.features.recovery.recording_rows import (
    CHANGES,
    RowRestorer,
    destroyed_among,
    prefixes_after,
    tenant_keys,
)
from recorder.ids import Entropy
from recorder.lifecycle import bucket_statements, retention_limits, search_index
from recorder.lifecycle.bucket_statements import SignedDeparture
from recorder.lifecycle.departure import note_departure
from recorder.lifecycle.limits import limits_by_tenant
from recorder.lifecycle.retention_limits import LimitRecovery
from recorder.seal.call_erasure import NOTES
from recorder.seal.dispute_copy import FOLDER as DISPUTES
from recorder.seal.keyring import Keyring, recording_of_path
from recorder.seal.offboarding import FOLDER as OFFBOARDING_FOLDER
from recorder.seal.retention_limit import FOLDER as RETENTION
from recorder.seal.revocation import Revoked, Trust, none_revoked
from recorder.seal.sealing import NAME as MANIFEST
from recorder.store.contract import NotFound, Store

LISTED = 1000
"""Places queued in one transaction."""

BATCH = 500
"""Recordings in one transaction."""

AHEAD = 3
"""Batches that are read ahead of the one that is written: each process has always something to read."""

PROCESSES_FROM = 2000
"""Places from which on other processes read: each takes a second to start."""

STRANGE = 100
"""Foreign objects that are named per place: whoever can write there could put millions."""

_OURS = re.compile(r"manifest\.json|peaks|note|audio\.[a-z]+|amendment-[0-9]{4}\.json")

THREADS = 8

Tell = Callable[[str, int, int | None], None]
"""Called with the progress of a phase: its name, how many are done, and of how many (``None`` if unknown)."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """The result of a rebuild: how many places had each outcome, and how long this run took (seconds).
    ``withheld`` are departed customers whose lines were ended, each with how many. To erase ``leavers`` and
    ``calls`` (how many, by customer) again is only proposed. ``limits`` are the restored retention limits."""

    outcomes: dict[str, int]
    seconds: float
    resumed: bool
    withheld: dict[str, int]
    leavers: tuple[SignedDeparture, ...]
    calls: dict[str, int]
    limits: LimitRecovery

    @property
    def changed(self) -> int:
        return sum(self.outcomes.get(each, 0) for each in CHANGES) + len(self.withheld) + self.limits.count


@dataclass(frozen=True, slots=True)
class Rebuild:
    """``threads`` read from the bucket concurrently, in each of ``processes``, where ``make_again`` makes
    this rebuild (it must be picklable); without it, all is read in this process. ``tell`` reports progress.
    Documents by a ``revoked`` key are followed as :class:`PrefixReader` says; with ``believe_dates`` an
    operator vouches for dates before the revocation."""

    store: Store
    keyring: Keyring
    root: Ed25519PublicKey
    now: Now
    entropy: Entropy = os.urandom
    threads: int = THREADS
    correct: bool = False
    tell: Tell = lambda _phase, _count, _total: None
    revoked: Callable[[], Revoked] = none_revoked
    believe_dates: bool = False
    processes: int = 1
    make_again: Callable[[], Rebuild] | None = None

    @property
    def _trust(self) -> Trust:
        return Trust(self.root, self.revoked)

    def run(self) -> RebuildReport:
        """Run all phases, or resume. Problems are in
        :func:`recorder.features.recovery.rebuild_queue.problems` until
        :func:`recorder.features.recovery.rebuild_queue.finish` is called.

        Raises :class:`recorder.errors.StoreError`, ``CatalogueError``, ``SealError`` (the wrong
        key-encryption key); the next run resumes."""
        start = time.monotonic()
        resumed = rebuild_queue.interrupted() is not None
        at = rebuild_queue.begin(self.now())
        for phase in PHASES[PHASES.index(at.phase) :]:
            after = at.after if phase == at.phase else ""
            log.info("rebuild.phase", phase=phase, after=after)
            _DO[phase](self, after)
            next_phase = PHASES[min(PHASES.index(phase) + 1, len(PHASES) - 1)]
            if next_phase != phase:
                rebuild_queue.add([], next_phase, "")
        if not search_index.is_complete():
            log.info("rebuild.search_index", calls=search_index.rebuild())
        return self._report(start, resumed)

    def _report(self, start: float, resumed: bool) -> RebuildReport:
        limits = retention_limits.restore_limits(
            self.store, self._trust, self.now(), self.entropy, believe_dates=self.believe_dates
        )
        for place, code, message in limits.left_out:
            log.error("rebuild.limit_skipped", place=place, error_id=code, error=message)
        found = bucket_statements.read_statements(
            self.store, self.root, self.revoked(), believe_dates=self.believe_dates
        )
        wrong = [
            QueuedPlace(each.place, (), "", STATEMENT, each.code, each.message)
            for each in {each.place: each for each in found.troubles}.values()
        ]
        rebuild_queue.add(wrong, PHASES[-1], "~")
        lines_by_tenant = {}
        for each in found.leavers:
            lines = withhold(each, self.now(), self.entropy)
            if lines is not None:
                lines_by_tenant[each.tenant] = lines
                log.warning(
                    "rebuild.skipped", tenant=each.tenant, lines=lines, hint="their numbers are not recorded"
                )
        calls = Counter[str]()
        for note in found.notes:
            if queries.tenant(note.note.tenant) is not None:
                calls[note.note.tenant] += len(note.calls)
        leavers = tuple(each for each in found.leavers if bucket_statements.is_open(each))
        outcomes = rebuild_queue.outcomes()
        return RebuildReport(
            outcomes, time.monotonic() - start, resumed, lines_by_tenant, leavers, dict(calls), limits
        )

    def _list(self, after: str) -> None:
        count = rebuild_queue.progress()[0]
        found = _places(self.store.list("", after))
        while some := list(islice(found, LISTED)):
            rebuild_queue.add([each for each, _ in some], "list", some[-1][1])
            count += sum(1 for each, _ in some if each.recording)
            self.tell("list", count, None)

    def _read(self, _after: str) -> None:
        total, count = rebuild_queue.progress()
        self.tell("read", count, total)
        erased, stored_keys = self._erased(self.revoked()), dict[str, str]()
        with self._open_pool(total - count) as pool:
            for batch in _read_ahead(pool):
                stored_keys.update(batch.tenant_keys)
                options = (stored_keys, self.now(), self.entropy, self.correct, erased)
                RowRestorer(*options).restore(batch.readings)
                count += len(batch.readings)
                self.tell("read", count, total)

    def _open_pool(self, count: int) -> ReaderPool:
        if self.make_again is None or self.processes == 1 or count < PROCESSES_FROM:
            return ReaderPool(self.open_reader, self.threads)
        return ReaderPool(partial(_open_reader, self.make_again), self.threads, self.processes)

    def open_reader(self) -> PrefixReader:
        """Return a reader of places, by what the catalogue knows now. Raises as :meth:`run`."""
        return PrefixReader(
            self.store,
            self.keyring,
            self.root,
            TenantKeys(self.store, tenant_keys(), self.keyring),
            limits_by_tenant(self._trust),
            self.revoked(),
            self.believe_dates,
        )

    def _erased(self, revoked: Revoked) -> frozenset[str]:
        """Customers whose erasure was signed: their keys are not restored."""
        found = bucket_statements.read_statements(
            self.store, self.root, revoked, believe_dates=self.believe_dates
        )
        return frozenset(each.tenant for each in found.leavers if each.erased)

    def _keys(self, after: str) -> None:
        """A worker puts a key before its recording, so a key alone may belong to one in progress."""
        listed, count = self.store.list("keys/", after), 0
        while some := list(islice(listed, LISTED)):
            recordings_by_key = {key: recording_of_path(key) for key in some}
            known = rebuild_queue.places_of([name for name in recordings_by_key.values() if name])
            erased = destroyed_among(list(known))
            alone = []
            for key, recording in recordings_by_key.items():
                if recording is None:
                    continue
                place = known.get(recording)
                if place is None:
                    alone.append(
                        QueuedPlace(key, (), "", KEY_ALONE, "key.alone", "the key's recording is missing")
                    )
                elif recording in erased:
                    rebuild_queue.add_problem(
                        place.place, "key.not_erased", "the recording was erased, but its key exists"
                    )
            rebuild_queue.add(alone, "keys", some[-1])
            count += len(some)
            self.tell("keys", count, None)

    def _rows(self, after: str) -> None:
        count = 0
        while prefixes := prefixes_after(after, LISTED):
            places = rebuild_queue.places_of([*prefixes])
            alone = []
            for recording, prefix in prefixes.items():
                place = places.get(recording)
                if (place is None or MANIFEST not in place.names) and not self._is_there(prefix):
                    what = "nothing of the row's recording is in the bucket"
                    alone.append(QueuedPlace(f"{prefix}*", (), "", ROW_ALONE, "row.alone", what))
            after = next(reversed(prefixes))  # the last one by the order of the database
            rebuild_queue.add(alone, "rows", after)
            count += len(prefixes)
            self.tell("rows", count, None)

    def _is_there(self, prefix: str) -> bool:
        """Whether the recording has arrived since the bucket was listed."""
        try:
            self.store.size(prefix + MANIFEST)
        except NotFound:
            return False
        return True


def _read_ahead(pool: ReaderPool) -> Iterator[PlaceBatch]:
    """The places that are queued, in batches."""
    ahead: deque[list[Future[PlaceBatch]]] = deque()
    last = ""
    while True:
        while len(ahead) < AHEAD and (todo := rebuild_queue.pending_places(last, BATCH)):
            ahead.append(pool.submit(todo))
            last = todo[-1].place
        if not ahead:
            return
        yield results(ahead.popleft())


def _open_reader(make_again: Callable[[], Rebuild]) -> PrefixReader:
    return make_again().open_reader()


_DO: dict[str, Callable[[Rebuild, str], None]] = {
    "list": Rebuild._list,
    "read": Rebuild._read,
    "keys": Rebuild._keys,
    "rows": Rebuild._rows,
}


def _places(keys: Iterator[str]) -> Iterator[tuple[QueuedPlace, str]]:
    """The places of the bucket, each with its last key; wrapped keys, checkpoints, receipts, notes and probes
    are left out."""
    others = ("keys/", "probe/", "checkpoints/", OFFBOARDING_FOLDER, NOTES, RETENTION, DISPUTES)
    own_keys = (key for key in keys if not key.startswith(others))
    for place, members in groupby(own_keys, _place_of):
        names: list[str] = []
        strange, last = 0, ""
        for last in members:
            name = last.removeprefix(place)
            strange += (foreign := not _OURS.fullmatch(name))
            if not foreign or strange <= STRANGE:
                names.append(name)
        if (match := PLACE.fullmatch(place)) is not None:
            yield QueuedPlace(place, tuple(names), match[2]), last
        else:
            what = f"objects that are not Accord's: {', '.join(names[:5])}"
            yield QueuedPlace(place or "/", (), "", UNPLACED, "object.unplaced", what), last


def _place_of(key: str) -> str:
    """A recording's place with everything below it, or the folder of any other object."""
    match = PLACE.match(key)
    return match[0] if match else key[: key.rfind("/") + 1]


def withhold(leaver: SignedDeparture, now: datetime, entropy: Entropy) -> int | None:
    """Record a departure that was signed and that the catalogue does not know, and end the customer's lines;
    returns how many ended, ``None`` if the catalogue knew. Nothing is erased."""
    if (
        queries.tenant(leaver.tenant) is None
        or offboarding_progress.find_offboarding(leaver.tenant) is not None
    ):
        return None
    departure = leaver.statement or leaver.receipt
    assert departure is not None
    return note_departure(departure, now=now, entropy=entropy)
