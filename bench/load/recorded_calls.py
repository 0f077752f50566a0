"""Checks after a run that every call was recorded once, completely and with its announcement."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.load.phones import CALLER
from bench.load.sound import RATE, Speech, read_channels
from recorder.catalogue import database, queries, tenant_queries
from recorder.catalogue.records import NotRecordedRow, RecordingRow
from recorder.clock import from_iso
from recorder.processes.services import Context
from recorder.spool import layout

SETTLED: Final = RATE // 2
"""Samples after the callee's first word from which on both count as connected."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One recording's sound, ``seconds`` long. Frames of both telephones are counted as in
    :class:`bench.load.sound.Counted`: during their conversation, and ``before_lost`` of the caller's until
    then (a switch drops some when a playback ends and when it bridges two legs, recorded by Accord or not).
    ``ended``: when it was closed (Unix time); ``breaks``: when frames were lost during the conversation, and
    how many. ``write_delay``: seconds from the switch's last event until Accord had noted
    it; ``None`` without Accord."""

    name: str
    seconds: float
    caller_frames: int
    caller_lost: int
    callee_frames: int
    callee_lost: int
    before_lost: int
    ended: float
    breaks: tuple[tuple[float, int], ...] = field(repr=False)
    write_delay: float | None


@dataclass(frozen=True, slots=True)
class LookUp:
    """All calls of a run by the catalogue and the sealed manifests.

    ``missing`` are callers without a recording, ``twice`` those with more than one, ``strange`` the callers
    of recordings that no call made. The lists are of all recordings, sorted.
    """

    recordings: int
    missing: tuple[str, ...]
    twice: tuple[str, ...]
    strange: tuple[str, ...]
    not_announced: int
    not_recorded: dict[str, int]
    drift_ms: list[int] = field(repr=False)
    announcement_ms: list[int] = field(repr=False)


def listen(folder: Path, sounds: Path) -> list[RecordedCall]:
    """Analyse every WAV in a folder, on all cores; ``sounds`` has the speech of the telephones."""
    paths = sorted(folder.glob("*.wav"))
    with ProcessPoolExecutor(initializer=_learn, initargs=(sounds,)) as pool:
        return list(pool.map(_listen, paths, chunksize=8))


_KNOWN: dict[str, Speech] = {}


def _learn(sounds: Path) -> None:
    for name in ("caller", "callee"):
        _KNOWN[name] = Speech(sounds / f"{name}.ulaw")


def _listen(path: Path) -> RecordedCall:
    left, right = read_channels(path)
    callee = _KNOWN["callee"].count(right)
    connected = len(left) if callee.first is None else callee.first + SETTLED
    before, caller = _KNOWN["caller"].count(left[:connected]), _KNOWN["caller"].count(left[connected:])
    callee = _KNOWN["callee"].count(right[connected:])
    closed_at = path.stat().st_mtime
    speech_start = closed_at - (len(left) - connected) / RATE
    return RecordedCall(
        name=path.name.partition(".")[0],
        seconds=len(left) / RATE,
        caller_frames=caller.frames,
        caller_lost=caller.lost_frames,
        callee_frames=callee.frames,
        callee_lost=callee.lost_frames,
        before_lost=before.lost_frames,
        ended=closed_at,
        breaks=tuple((speech_start + at / RATE, loss) for at, loss in caller.breaks + callee.breaks),
        write_delay=_write_delay(path),
    )


def _write_delay(path: Path) -> float | None:
    markers = path.with_name(path.name.removesuffix(layout.AUDIO) + layout.EVENTS)
    if not markers.exists():
        return None
    last = json.loads(markers.read_text("utf-8").splitlines()[-1])
    return markers.stat().st_mtime - from_iso(last["at"]).timestamp()


def look_up(context: Context, customer: str, callers: int) -> LookUp:
    """Compare the catalogue with the calls that sipp made: ``callers`` of them, counted from 0."""
    opened = database.open_catalogue(context.settings.catalogue_url)
    try:
        tenant = next(row.id for row in tenant_queries.all_tenants() if row.name == customer)
        rows = list(_recordings(tenant))
        reasons = Counter(row.reason for row in _not_recorded(tenant))
    finally:
        opened.close()
    store = context.store()
    bodies = [json.loads(store.read(f"{row.prefix}manifest.json"))["body"] for row in rows]
    callers_of_plan = {CALLER.format(number) for number in range(callers)}
    found = Counter(row.external_party.value if row.external_party else "" for row in rows)
    return LookUp(
        recordings=len(rows),
        missing=tuple(sorted(callers_of_plan - set(found))),
        twice=tuple(sorted(number for number, times in found.items() if times > 1)),
        strange=tuple(sorted(set(found) - callers_of_plan)),
        not_announced=sum(not row.announced for row in rows),
        not_recorded=dict(reasons),
        drift_ms=sorted(body["drift_ms"] for body in bodies),
        announcement_ms=sorted(body["announcement"]["offset_ms"] for body in bodies if body["announcement"]),
    )


def _recordings(tenant: str) -> Iterator[RecordingRow]:
    after = None
    while True:
        page = queries.recordings(tenant, after=after, limit=500)
        yield from page.rows
        after = page.more
        if after is None:
            return


def _not_recorded(tenant: str) -> Iterator[NotRecordedRow]:
    after = None
    while True:
        page = queries.not_recorded(tenant, after=after, limit=500)
        yield from page.rows
        after = page.more
        if after is None:
            return
