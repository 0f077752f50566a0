"""Prompts for internal parties who call the info number: that a number is recorded, for which purposes and
how long.

Each number's sound, in every language of its line, is ``info_prompts/<digits>.wav`` in the node's folder. The
dialplan plays it (``accord_info``) without the daemon, so it works while the daemon is down. If a sentence
has no sound, the announcement for external parties is played.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from recorder.domain.line_policy import LinePolicy
from recorder.errors import ConfigError
from recorder.features.tenants.line_policies import NodePolicies
from recorder.prompts.composer import line_sentence
from recorder.prompts.sound_sources import Sources
from recorder.spool.atomic_files import write_file
from recorder.spool.snapshot import INFO_PROMPTS

SOUNDS = "sounds"
"""Within it, the sounds, named by their content; numbers with the same prompt share one."""

log = structlog.get_logger()


def write_info_prompts(folder: Path, found: NodePolicies, prompts: Path, sources: Sources) -> None:
    """Write the prompts of the lines, and remove all others. ``prompts`` has the announcements' sounds.
    Raises ``OSError``."""
    place = folder / INFO_PROMPTS
    (place / SOUNDS).mkdir(parents=True, exist_ok=True)
    links: dict[str, str] = {}
    for line in found.lines:
        sentences = [
            (each.announcement.language, found.own_sentences.get(each.announcement.id, {}))
            for each in line.languages
        ]
        announcement = line.announcement
        key = _key(announcement.sha256, announcement.purposes, announcement.keep_days, sentences)
        path = place / SOUNDS / f"{key}.wav"
        if not path.exists():
            write_file(path, _sound(line, sentences, prompts, sources))
        links[f"{line.number.removeprefix('+')}.wav"] = f"{SOUNDS}/{path.name}"
    for name, target in links.items():
        _link(place / name, target)
    for path in place.glob("*.wav"):
        if path.name not in links:
            path.unlink()
    targets = {*links.values()}
    for path in (place / SOUNDS).glob("*.wav"):
        if f"{SOUNDS}/{path.name}" not in targets:
            path.unlink()


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _sound(
    line: LinePolicy, sentences: Sequence[tuple[str, Mapping[str, str]]], prompts: Path, sources: Sources
) -> bytes:
    announcement = line.announcement
    try:
        return line_sentence(
            sentences, purposes=announcement.purposes, keep_days=announcement.keep_days, sources=sources
        ).wav
    except ConfigError as error:
        log.warning("line.notice_failed", number=line.number, error=error.message, hint=error.hint)
        return (prompts / f"{announcement.sha256}.wav").read_bytes()


def _link(path: Path, target: str) -> None:
    if path.is_symlink() and os.readlink(path) == target:
        return
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.rename(path)
