"""Writes the node's configuration snapshot, which :mod:`recorder.spool.snapshot` reads.

Prompts are written first, then the lines, each file atomically: a reader never sees a line whose prompt is
missing. An unused prompt stays while a take in the spool refers to it, and for a day after that, for a daemon
that still has the previous snapshot. The info prompts are beside them (``features/tenants/info_prompts.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from recorder.catalogue.prompt_files import put_prompt
from recorder.errors import ConfigError, TakeError
from recorder.features.tenants import info_prompts
from recorder.features.tenants.line_policies import NodePolicies, policies
from recorder.prompts.composer import SHIPPED
from recorder.prompts.sound_sources import Sources
from recorder.spool.layout import finished_takes, open_takes, read_start
from recorder.spool.snapshot import PROMPTS, is_snapshot_of, read_snapshot, write_snapshot

KEEP_PROMPT = timedelta(days=1)
"""How long an unused prompt is kept."""

log = structlog.get_logger()


def write(
    folder: Path,
    spool: Path,
    never_record: Iterable[str],
    now: datetime,
    sources: Sources = SHIPPED,
    read: Callable[[], NodePolicies] = policies,
) -> bool:
    """Write the snapshot of every active line, and its prompts; true if anything changed. A line that no node
    can handle is left out and logged.

    ``spool`` has takes that may still need an old prompt; ``never_record`` are numbers that are neither
    announced nor recorded; ``sources`` provide the sound of sentences; ``read`` reads the lines.
    Raises ``OSError`` (a full disk, for instance), with the previous snapshot intact."""
    found = read()
    lines = found.lines
    sounds = {sound for line in lines for sound in line.sounds}
    prompts = folder / PROMPTS
    prompts.mkdir(parents=True, exist_ok=True)
    for sha256 in sorted(sounds):
        put_prompt(folder, sha256, now)
    changed = write_snapshot(folder, lines, never_record, now)
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
    info_prompts.write_info_prompts(folder, found, prompts, sources)
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
    return is_snapshot_of(folder, policies().lines, never_record)


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
