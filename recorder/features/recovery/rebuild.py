"""``accord rebuild``: recordings, amendments and tombstones again, from the bucket alone.

Four phases, each of which goes on where it was broken off:

========  ==========================================================================================
``list``  every place in the bucket is written down, with the names of the objects there
``read``  each place is read and verified, many at a time; a batch of rows is one transaction
``keys``  wrapped keys whose recording is nowhere, or should be gone, are named
``rows``  rows whose recording is not in the bucket are named
========  ==========================================================================================

On an intact catalogue it changes nothing.  Wherever it changes something, nothing expires until somebody
has confirmed the holds.

It destroys nothing.  What signed statements say was erased since (customers who left, calls without a
recording) it proposes (:mod:`recorder.lifecycle.bucket_statements`); of customers who left it only ends the
lines.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import departures, queries
from recorder.clock import Now
from recorder.features.recovery import rebuild_queue
from recorder.features.recovery.prefix_verification import PLACE, Reading, TenantKeys
from recorder.features.recovery.rebuild_queue import KEY_ALONE, ROW_ALONE, STATEMENT, UNPLACED, QueuedPlace
from recorder.features.recovery.recordings import (
    CHANGES,
    Recovering,
    SeenPlace,
    destroyed_among,
    rows_after,
    tenant_keys,
)
from recorder.ids import Entropy
from recorder.lifecycle import bucket_statements, retention_limits
from recorder.lifecycle.bucket_statements import Leaver
from recorder.lifecycle.departure import note_departure
from recorder.lifecycle.limits import limits
from recorder.lifecycle.retention_limits import BroughtBack
from recorder.seal.call_erasure import NOTES
from recorder.seal.keyring import Keyring, recording_of_path
from recorder.seal.offboarding import FOLDER as LEAVING
from recorder.seal.retention_limit import FOLDER as RETENTION
from recorder.seal.revocation import Revoked, Trust, none_revoked
from recorder.seal.sealing import NAME as MANIFEST
from recorder.store.contract import NotFound, Store

PHASES = ("list", "read", "keys", "rows")
LISTED = 1000
"""Places that are written down at a time."""

BATCH = 200
"""Recordings in one transaction; at most two batches are in memory."""

STRANGE = 100
"""Objects that are not Accord's and are named of one place: whoever can write there could put millions."""

_OURS = re.compile(r"manifest\.json|peaks|note|audio\.[a-z]+|amendment-[0-9]{4}\.json")

THREADS = 8

Tell = Callable[[str, int, int | None], None]
"""Hears how far a phase is: its name, how many are done, and of how many (``None`` where nobody knows)."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What a rebuild did: how many places had each outcome, and how long this run took (seconds).
    ``withheld`` are customers who leave or left, of whom nothing more is recorded since, each with how many
    lines ended.  Proposed, and not done, is to erase again ``leavers`` and ``calls`` (how many, by
    customer).  ``limits`` are the retention limits that it took in."""

    outcomes: dict[str, int]
    seconds: float
    resumed: bool
    withheld: dict[str, int]
    leavers: tuple[Leaver, ...]
    calls: dict[str, int]
    limits: BroughtBack

    @property
    def changed(self) -> int:
        return sum(self.outcomes.get(each, 0) for each in CHANGES) + len(self.withheld) + self.limits.taken


@dataclass(frozen=True, slots=True)
class Rebuild:
    """``threads`` read from the bucket at once; ``tell`` hears of progress.  What a ``revoked`` key signed is
    followed as :class:`Reading` says; with ``believe_dates`` an operator answers for what such a key dated
    before its revocation."""

    store: Store
    keyring: Keyring
    root: Ed25519PublicKey
    now: Now
    entropy: Entropy = os.urandom
    threads: int = THREADS
    correct: bool = False
    tell: Tell = lambda _phase, _done, _total: None
    revoked: Callable[[], Revoked] = none_revoked
    believe_dates: bool = False

    @property
    def _trust(self) -> Trust:
        return Trust(self.root, self.revoked)

    def run(self) -> RebuildReport:
        """Do all of it, or go on.  What is wrong is in
        :func:`recorder.features.recovery.rebuild_queue.troubles` until
        :func:`recorder.features.recovery.rebuild_queue.finish` is called.

        Raises :class:`recorder.errors.StoreError`, ``CatalogueError``, ``SealError`` (another key-encryption
        key); started again, it goes on."""
        began = time.monotonic()
        resumed = rebuild_queue.standing() is not None
        at = rebuild_queue.begin(PHASES[0], self.now())
        for phase in PHASES[PHASES.index(at.phase) :]:
            after = at.after if phase == at.phase else ""
            log.info("rebuild.phase", phase=phase, after=after)
            _DO[phase](self, after)
            following = PHASES[min(PHASES.index(phase) + 1, len(PHASES) - 1)]
            if following != phase:
                rebuild_queue.add([], following, "")
        return self._report(began, resumed)

    def _report(self, began: float, resumed: bool) -> RebuildReport:
        limits = retention_limits.bring_back(
            self.store, self._trust, self.now(), self.entropy, believe_dates=self.believe_dates
        )
        for place, code, message in limits.left_out:
            log.error("rebuild.limit_skipped", place=place, error_id=code, error=message)
        found = bucket_statements.look(
            self.store, self.root, self.revoked(), believe_dates=self.believe_dates
        )
        wrong = [
            QueuedPlace(each.place, (), "", STATEMENT, each.code, each.message)
            for each in {each.place: each for each in found.troubles}.values()
        ]
        rebuild_queue.add(wrong, PHASES[-1], "~")
        withheld = {}
        for each in found.leavers:
            lines = withhold(each, self.now(), self.entropy)
            if lines is not None:
                withheld[each.tenant] = lines
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
            outcomes, time.monotonic() - began, resumed, withheld, leavers, dict(calls), limits
        )

    def _list(self, after: str) -> None:
        done = rebuild_queue.amount()[0]
        found = _places(self.store.list("", after))
        while some := list(islice(found, LISTED)):
            rebuild_queue.add([each for each, _ in some], "list", some[-1][1])
            done += sum(1 for each, _ in some if each.recording)
            self.tell("list", done, None)

    def _read(self, _after: str) -> None:
        total, done = rebuild_queue.amount()
        self.tell("read", done, total)
        keys = TenantKeys(self.store, tenant_keys(), self.keyring)
        revoked = self.revoked()
        erased = self._erased(revoked)
        reading = Reading(
            self.store, self.keyring, self.root, keys, limits(self._trust), revoked, self.believe_dates
        )
        with ThreadPoolExecutor(self.threads, thread_name_prefix="rebuild") as pool:
            waiting: list[Future[SeenPlace]] = []
            try:
                last = ""
                while True:
                    todo = rebuild_queue.to_do(last, BATCH)
                    ahead = [pool.submit(reading.read, each) for each in todo]
                    batch = [each.result() for each in waiting]
                    if batch:
                        given = (keys.stored(), self.now(), self.entropy, self.correct, erased)
                        Recovering(*given).take_in(batch)
                        done += len(batch)
                        self.tell("read", done, total)
                    if not todo:
                        return
                    waiting, last = ahead, todo[-1].place
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _erased(self, revoked: Revoked) -> frozenset[str]:
        """Customers of whom it was signed that they are erased: their keys do not come back."""
        found = bucket_statements.look(self.store, self.root, revoked, believe_dates=self.believe_dates)
        return frozenset(each.tenant for each in found.leavers if each.erased)

    def _keys(self, after: str) -> None:
        """A worker puts a key before its recording: one that is alone may be on its way."""
        listed, done = self.store.list("keys/", after), 0
        while some := list(islice(listed, LISTED)):
            named = {key: recording_of_path(key) for key in some}
            known = rebuild_queue.of_recordings([name for name in named.values() if name])
            gone = destroyed_among(list(known))
            alone = []
            for key, recording in named.items():
                if recording is None:
                    continue
                place = known.get(recording)
                if place is None:
                    alone.append(
                        QueuedPlace(key, (), "", KEY_ALONE, "key.alone", "a key without its recording")
                    )
                elif recording in gone:
                    rebuild_queue.blame(
                        place.place, "key.not_erased", "the recording was erased, and its key is there"
                    )
            rebuild_queue.add(alone, "keys", some[-1])
            done += len(some)
            self.tell("keys", done, None)

    def _rows(self, after: str) -> None:
        done = 0
        while rows := rows_after(after, LISTED):
            known = rebuild_queue.of_recordings([row.id for row in rows])
            alone = []
            for row in rows:
                place = known.get(row.id)
                if (place is None or MANIFEST not in place.names) and not self._is_there(row.prefix):
                    what = "a row, and nothing of it is in the bucket"
                    alone.append(QueuedPlace(f"{row.prefix}*", (), "", ROW_ALONE, "row.alone", what))
            after = rows[-1].id
            rebuild_queue.add(alone, "rows", after)
            done += len(rows)
            self.tell("rows", done, None)

    def _is_there(self, prefix: str) -> bool:
        """It may have come after the bucket was listed."""
        try:
            self.store.size(prefix + MANIFEST)
        except NotFound:
            return False
        return True


_DO: dict[str, Callable[[Rebuild, str], None]] = {
    "list": Rebuild._list,
    "read": Rebuild._read,
    "keys": Rebuild._keys,
    "rows": Rebuild._rows,
}


def _places(keys: Iterator[str]) -> Iterator[tuple[QueuedPlace, str]]:
    """Keys of the bucket, a place at a time, each with its last key; wrapped keys, checkpoints, receipts,
    notes and probes are left out."""
    others = ("keys/", "probe/", "checkpoints/", LEAVING, NOTES, RETENTION)
    wanted = (key for key in keys if not key.startswith(others))
    for place, members in groupby(wanted, _place_of):
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
            what = f"nothing of Accord's lies here: {', '.join(names[:5])}"
            yield QueuedPlace(place or "/", (), "", UNPLACED, "object.unplaced", what), last


def _place_of(key: str) -> str:
    """A recording's place with all that is below it, or the folder of what is no recording's."""
    match = PLACE.match(key)
    return match[0] if match else key[: key.rfind("/") + 1]


def withhold(leaver: Leaver, now: datetime, entropy: Entropy) -> int | None:
    """Record nothing more for a customer who leaves or left, as was signed, where the catalogue does not know
    that; how many lines ended, ``None`` where it knew.  Nothing of theirs is destroyed."""
    if queries.tenant(leaver.tenant) is None or departures.departure(leaver.tenant) is not None:
        return None
    said, receipt = leaver.statement, leaver.receipt
    if said is not None:
        given = (said.announced_at, said.until, said.sha256)
    else:
        assert receipt is not None
        given = (receipt.announced_at, receipt.at, receipt.sha256)
    return note_departure(leaver.tenant, *given, now=now, entropy=entropy)
