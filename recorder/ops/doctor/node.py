"""The node's disk: spool, takes, free space, configuration snapshot.

`accord status` looks at the disk alone, so what only the catalogue needs is imported where it is used."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recorder.clock import from_iso, to_iso
from recorder.errors import ConfigError, TakeError
from recorder.ops.doctor.findings import (
    OK,
    WARNING,
    WRONG,
    DoctorFinding,
    NotChecked,
    Patient,
    ok,
    warning,
    wrong,
)
from recorder.processes.spool_holders import WORKER, account, holder
from recorder.spool.disk_space import (
    DEFAULT_RATE,
    HEADROOM_SECONDS,
    DiskLevel,
    GrowingFile,
    bytes_needed,
    measure_disk,
)
from recorder.spool.layout import (
    AUDIO,
    END,
    QUARANTINE,
    QUARANTINE_REASON,
    finished_takes,
    open_takes,
    read_delay,
    read_start,
    unreadable_folders,
)
from recorder.spool.snapshot import INDEX, read_snapshot

WAITS_LONG = timedelta(minutes=10)
"""After which a finished call that is still in the spool is worth a look."""

MAX_NAMES = 5
"""How many takes are named in one line."""

GROUP = (
    "put switch, daemon and worker into one group: `chgrp -R accord` and `chmod -R g+rwXs` on the spool, "
    "and UMask=0007 for each"
)


def spool(patient: Patient) -> Iterator[DoctorFinding]:
    """A folder can be created, renamed and removed in the spool, and none in it is closed to us."""
    folder = patient.settings.node.spool_folder
    if not folder.is_dir():
        raise ConfigError(
            "spool.missing", f"there is no folder {folder}", "start the daemon or the worker: they make it"
        )
    probe = folder / f".doctor-{uuid.uuid4()}"
    probe.mkdir(mode=0o770)
    moved = probe.with_name(f"{probe.name}.moved")
    try:
        (probe / AUDIO).write_bytes(b"accord")
        os.rename(probe, moved)
    finally:
        for each in (probe, moved):
            (each / AUDIO).unlink(missing_ok=True)
            if each.is_dir():
                each.rmdir()
    aside = folder / QUARANTINE
    if aside.is_dir() and aside.stat().st_dev != folder.stat().st_dev:
        yield wrong(
            f"spool: {aside} is on another file system, so nothing can be moved there",
            "keep the quarantine on the spool's file system",
        )
    shut = _closed_folders(folder)
    if shut:
        yield wrong(f"spool: {len(shut)} folders cannot be read or emptied", GROUP)
    yield from quarantine(patient)
    if not shut:
        yield ok(f"spool: folders can be made, renamed and removed in {folder}")


def _closed_folders(spool: Path) -> list[Path]:
    """The folders of the spool that its user may not read or empty. Root may do all of it, so for root the
    mode bits are compared with the owner of the spool, as whom Accord's processes run."""
    owner = spool.stat().st_uid
    if os.geteuid() != 0 or owner == 0:
        shut = unreadable_folders(spool)
        return shut + [each for each in finished_takes(spool) if not os.access(each, os.W_OK)]
    user = account(owner)
    return [] if user is None else [each for each in (spool, *finished_takes(spool)) if not user.may(each, 7)]


def quarantine(patient: Patient) -> Iterator[DoctorFinding]:
    """No take is in quarantine."""
    aside = patient.settings.node.spool_folder / QUARANTINE
    takes = list(aside.iterdir()) if aside.is_dir() else []
    if not takes:
        return
    notes = []
    for take in takes:
        with suppress(OSError, ValueError, KeyError, TypeError):
            note = json.loads((take / QUARANTINE_REASON).read_bytes())
            notes.append((str(note["since"]), str(note["reason"])))
    last = ", the last at {}: {}".format(*max(notes)) if notes else ""
    yield warning(
        f"spool: {len(takes)} takes in quarantine{last}",
        f"`cat {aside}/*/{QUARANTINE_REASON}` shows why and until when; `accord take retry` retries one",
    )


def disk(patient: Patient) -> Iterator[DoctorFinding]:
    """The spool's disk has room, and for how long at the present rate of recording."""
    node = patient.settings.node
    found = measure_disk(node.spool_folder)
    until = f"no new recordings from {node.full_at:.0%}"
    left = found.free - round(found.size * (1 - node.full_at))
    yield DoctorFinding(
        {DiskLevel.OK: OK, DiskLevel.WARN: WARNING, DiskLevel.FULL: WRONG}[
            found.level(node.warn_at, node.full_at)
        ],
        f"disk: {found.share_used:.0%} in use, warning at {node.warn_at:.0%}, {until}; "
        + _hours(left, *_growth(node.spool_folder)),
        "" if found.share_used < node.warn_at else f"make room, but delete nothing in the spool: {until}",
    )
    files = [GrowingFile(size, DEFAULT_RATE, ("opus",)) for size in _sounds(node.spool_folder)]
    if found.free < bytes_needed(
        found.size, [*files, GrowingFile(0, DEFAULT_RATE, ("opus",))], 0, HEADROOM_SECONDS
    ):
        yield wrong(
            f"disk: no room for one more recording beside the {len(files)} in progress: new calls are "
            "listed as not recorded (full_disk)",
            "recording resumes once the worker has stored enough; more calls at a time need a larger disk",
        )
    if node.warn_at >= node.full_at:
        yield warning(
            f"disk: warn_at ({node.warn_at:g}) is not below full_at ({node.full_at:g}): nothing warns you",
            "set [node] warn_at below full_at",
        )


def _growth(folder: Path) -> tuple[int, float]:
    """How many recordings are growing, and their total rate in bytes a second, each averaged since its
    start."""
    count, rate = 0, 0.0
    for take in open_takes(folder):
        try:
            status = (take / AUDIO).stat()
        except OSError:
            continue
        age = datetime.now(UTC).timestamp() - _start_of(take)
        if age > 1:
            count += 1
            rate += status.st_size / age
    return count, rate


def _sounds(folder: Path) -> Iterator[int]:
    """The sizes in bytes of the recordings of calls that have not ended."""
    for take in open_takes(folder):
        with suppress(OSError):
            yield (take / AUDIO).stat().st_size


def _start_of(take: Path) -> float:
    try:
        return read_start(take).started_at.timestamp()
    except TakeError:
        return take.stat().st_mtime


def _hours(left: int, count: int, rate: float) -> str:
    room = f"{max(0, left) / 1e9:.1f} GB left until then"
    if rate <= 0:
        return f"{room}, no recording is growing"
    return f"{room}: {max(0, left) / rate / 3600:.1f} hours of the {count} recordings that are growing"


def takes(patient: Patient) -> Iterator[DoctorFinding]:
    """No finished take waits for something that needs an operator."""
    from recorder.catalogue import tenant_queries
    from recorder.catalogue.prompt_files import has_prompt
    from recorder.pipeline.stages import next_stage

    node = patient.settings.node
    stages: dict[str, int] = {}
    strangers, silent, unreadable, long, total = set(), set(), 0, 0, 0
    delays = []
    oldest: datetime | None = None
    patient.context.open_catalogue()
    for folder in finished_takes(node.spool_folder):
        total += 1
        try:
            finished_at = datetime.fromtimestamp((folder / END).stat().st_mtime, UTC)
            stage = next_stage(folder) or "gone"
        except FileNotFoundError:
            continue  # the worker was faster
        stages[stage] = stages.get(stage, 0) + 1
        oldest = min(oldest or finished_at, finished_at)
        long += patient.now() - finished_at > WAITS_LONG
        if delay := read_delay(folder):
            delays.append((str(delay.get("since")), str(delay.get("reason"))))
        try:
            start = read_start(folder)
        except TakeError:
            unreadable += 1
            continue
        if start.tenant is not None and tenant_queries.tenant_wrapped_key(start.tenant) is None:
            strangers.add(start.tenant)
        announcement = start.announcement
        if announcement is not None and not has_prompt(node.snapshot_folder, announcement.sha256):
            silent.add(announcement.sha256)
    yield from _moved(node.spool_folder, node.name)
    for tenant in sorted(strangers):
        yield wrong(
            f"takes: calls wait for customer {tenant}, who is not in the catalogue",
            "set [catalogue] url to the one that the snapshot was made from; the calls wait until then",
        )
    for sha256 in sorted(silent):
        yield wrong(
            f"takes: calls wait for the sound {sha256[:12]} of their announcement, which is missing",
            f"put the WAV at {node.snapshot_folder / 'prompts' / sha256}.wav, or restore the catalogue",
        )
    if delays:
        since, reason = min(delays)
        yield warning(
            f"takes: {len(delays)} of {total} finished calls fail, since {since}: {reason}",
            "`accord take list` shows the reason of each, and the worker's log what to do (take.delayed)",
        )
    if unreadable:
        yield warning(f"takes: {unreadable} cannot be read", "the worker quarantines them")
    if long:
        yield warning(
            f"takes: {long} of {total} finished calls have waited for more than "
            f"{WAITS_LONG.seconds // 60} minutes",
            "the worker's log has the reason for each (take.delayed)",
        )
    if not (strangers or silent or delays or unreadable or long):
        each = ", ".join(f"{count} to {stage}" for stage, count in sorted(stages.items()))
        since = f", the oldest since {to_iso(oldest)}" if oldest else ""
        yield ok(f"takes: {total} finished calls in progress" + (f": {each}{since}" if each else ""))


def _moved(spool: Path, own: str) -> Iterator[DoctorFinding]:
    """Unfinished calls of other nodes whose spool was moved here."""
    takes_by_node: dict[str, list[str]] = {}
    for folder in open_takes(spool):
        try:
            start = read_start(folder)
        except TakeError:
            continue  # its call may be beginning
        if start.node != own:
            takes_by_node.setdefault(start.node, []).append(folder.name)
    for node, names in sorted(takes_by_node.items()):
        rest = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        yield warning(
            f"takes: {len(names)} unfinished calls of node {node!r} wait: "
            f"{', '.join(names[:MAX_NAMES])}{rest}",
            "the daemon ends each within a minute, once it is connected to the switch and the folder no "
            "longer changes; if it does not, its log has the reason (spool.reconcile_failed)",
        )


def snapshot(patient: Patient) -> Iterator[DoctorFinding]:
    """The node has a snapshot, and every prompt matches its hash."""
    node = patient.settings.node
    if not (node.snapshot_folder / INDEX).exists() and holder(node.spool_folder / WORKER) is None:
        raise NotChecked("there is none yet, and no worker runs, which writes it")
    read = read_snapshot(node.snapshot_folder)
    yield ok(f"snapshot: {len(read.lines)} lines, made {to_iso(from_iso(read.made_at))}")
    for sha256 in sorted(read.damaged):
        yield wrong(
            f"snapshot: prompt {sha256[:12]} is damaged",
            "check the disk; the worker writes the prompt again within a minute",
        )
    if not read.lines:
        yield warning("snapshot: no line is recorded", "add one with `accord line add`")


def snapshot_age(patient: Patient) -> Iterator[DoctorFinding]:
    """The node's snapshot says the same as the catalogue."""
    from recorder.features.tenants.snapshot import is_current

    node = patient.settings.node
    patient.context.open_catalogue()
    if is_current(node.snapshot_folder, node.never_record):
        yield ok("snapshot: the same as the catalogue says")
    else:
        yield wrong(
            "snapshot: it is older than the catalogue, so calls follow earlier settings",
            "check that the worker is running: it writes the snapshot within a second of a change",
        )
