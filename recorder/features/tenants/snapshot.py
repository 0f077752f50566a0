"""Writes the node's configuration snapshot, which :mod:`recorder.spool.snapshot` reads.

Prompts are written first, then the lines, each file atomically: a reader never sees a line whose prompt is
missing. An unused prompt stays while a take in the spool refers to it, and for a day after that, for a daemon
that still has the previous snapshot. The info prompts are beside them (``features/tenants/info_prompts.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from recorder.catalogue.prompt_files import has_prompt, put_prompt
from recorder.domain.line_policy import LinePolicy
from recorder.errors import ConfigError, TakeError
from recorder.fault_log import FaultLog
from recorder.features.tenants import info_prompts
from recorder.features.tenants.announcements import sound_missing
from recorder.features.tenants.line_policies import UNREADABLE, FaultyLine, NodePolicies, policies
from recorder.isolation import isolate_object
from recorder.prompts.composer import SHIPPED
from recorder.prompts.sound_sources import Sources
from recorder.spool.layout import finished_takes, open_takes, read_start
from recorder.spool.snapshot import PROMPTS, is_snapshot_of, read_snapshot, write_snapshot

KEEP_PROMPT = timedelta(days=1)
"""How long an unused prompt is kept."""

SOUND_MISSING: Final = "line.sound_missing"
"""The fault of a line for which the catalogue lacks a sound; that of another faulty line is
:data:`recorder.features.tenants.line_policies.UNREADABLE`."""

log = structlog.get_logger()


def write(
    folder: Path,
    spool: Path,
    never_record: Iterable[str],
    now: datetime,
    sources: Sources = SHIPPED,
    read: Callable[[], NodePolicies] = policies,
    faults: FaultLog | None = None,
) -> bool:
    """Write the snapshot of every active line, and its prompts; true if anything changed. A line that no node
    can handle is left out and logged. One without a sound, or whose rows cannot be read, is reported to
    ``faults``; it stays as it was in the snapshot before, or is not recorded.

    ``spool`` has takes that may still need an old prompt; ``never_record`` are numbers that are neither
    announced nor recorded; ``sources`` provide the sound of sentences; ``read`` reads the lines.
    Raises ``OSError`` (a full disk, for instance), with the previous snapshot intact."""
    found = read()
    prompts = folder / PROMPTS
    prompts.mkdir(parents=True, exist_ok=True)
    choice = _choose_lines(folder, found, lambda sha256: put_prompt(folder, sha256, now) is not None)
    _report(choice.faulty, faults or FaultLog())
    changed = write_snapshot(folder, choice.every(), never_record, now)
    if changed:
        for row in found.unfit:
            log.warning("line.unfit", line=row.id, tenant=row.tenant, number=row.number, mode=row.mode)
        for row in found.unlogged:
            details = {"line": row.id, "tenant": row.tenant, "number": row.number}
            log.error(
                "line.not_in_log",
                **details,
                hint="its rows were changed outside Accord: run `accord audit run`",
            )
    spoken_lines = [line for line in choice.audible if not line.suspended]
    info_prompts.write_info_prompts(folder, replace(found, lines=spoken_lines), prompts, sources)
    sounds = {sound for line in choice.every() for sound in line.sounds}
    _drop_old(prompts, sounds | _needed(spool), now)
    return changed


def is_intact(folder: Path) -> bool:
    """Whether the snapshot is readable and every prompt unchanged; does not use the catalogue."""
    try:
        return not read_snapshot(folder).damaged
    except ConfigError:
        return False


def is_current(folder: Path, never_record: Iterable[str]) -> bool:
    """Whether the snapshot equals the catalogue."""
    choice = _choose_lines(folder, policies(), partial(has_prompt, folder))
    return is_snapshot_of(folder, choice.every(), never_record)


@dataclass(frozen=True, slots=True)
class _LineChoice:
    """The lines of a snapshot. The node has every sound of the ``audible`` ones. Of the ``faulty`` lines,
    those with their last version are audible, too; the calls of the ``unheard`` ones are listed as not
    recorded, which needs their policies."""

    audible: list[LinePolicy]
    unheard: list[LinePolicy]
    faulty: list[FaultyLine]

    def every(self) -> list[LinePolicy]:
        return sorted([*self.audible, *self.unheard], key=lambda line: line.number.removeprefix("+"))


def _choose_lines(folder: Path, found: NodePolicies, has: Callable[[str], bool]) -> _LineChoice:
    """Choose what each line does. ``has`` returns whether the node has a sound, or can have it."""
    missing = {
        sha256 for sha256 in sorted({each for line in found.lines for each in line.sounds}) if not has(sha256)
    }
    if not missing and not found.faulty:
        return _LineChoice(found.lines, [], [])
    soundless = {line.line: line for line in found.lines if line.sounds & missing}
    faulty = [
        *found.faulty,
        *(
            FaultyLine(
                line.tenant,
                line.line,
                line.number,
                line.mode,
                sound_missing(min(line.sounds & missing)),
                line.suspended,
            )
            for line in soundless.values()
        ),
    ]
    last = _last_versions(folder, faulty)
    return _LineChoice(
        [*(line for line in found.lines if line.line not in soundless), *last.values()],
        [line for name, line in soundless.items() if name not in last],
        faulty,
    )


def _last_versions(folder: Path, faulty: Iterable[FaultyLine]) -> dict[str, LinePolicy]:
    """The policies of the present snapshot for these lines, by line, as far as it has all their sounds. One
    for another mode is none of the line's: whoever has to be asked is not merely told."""
    try:
        present = read_snapshot(folder)
    except ConfigError:
        return {}
    versions: dict[str, LinePolicy] = {}
    for each in faulty:
        last = present.lines.get(each.number.removeprefix("+"))
        if (
            last is not None
            and (last.tenant, last.line, last.mode) == (each.tenant, each.line, each.mode)
            and last.sounds <= present.intact.keys()
        ):
            versions[each.line] = replace(last, suspended=each.suspended)
    return versions


def _report(faulty: Iterable[FaultyLine], faults: FaultLog) -> None:
    """Report the faulty lines; the fault of every other one has ended."""
    reported: dict[str, set[str]] = {SOUND_MISSING: set(), UNREADABLE: set()}
    for each in faulty:
        event = UNREADABLE if each.error.error_id == UNREADABLE else SOUND_MISSING
        reported[event].add(each.line)
        with isolate_object(
            faults, event, each.line,
            line=each.line, tenant=each.tenant, number=each.number, hint=each.error.hint,
        ):  # fmt: skip
            raise each.error
    for event, lines in reported.items():
        faults.recover_others(event, lines)


def _needed(spool: Path) -> set[str]:
    """Hashes of the prompts of takes in the spool: the pipeline searches for them in the audio."""
    needed = set()
    for folder in (*open_takes(spool), *finished_takes(spool)):
        try:
            start = read_start(folder)
        except TakeError:
            continue  # the pipeline sets it aside, with its reason
        needed |= {each.sha256 for each in (start.announcement, start.question) if each is not None}
        needed = needed.union(*(each.sounds for each in (start.keep, start.delete) if each is not None))
        needed |= frozenset() if start.transfer_notice is None else start.transfer_notice.sounds
    return needed


def _drop_old(prompts: Path, used_names: set[str], now: datetime) -> None:
    for path in prompts.glob("*.wav"):
        old = path.stat().st_mtime < (now - KEEP_PROMPT).timestamp()
        if path.stem not in used_names and old:
            path.unlink()
