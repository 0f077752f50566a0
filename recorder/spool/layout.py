"""The spool is the queue: one folder a call, and the files in it say how far it got.

Written by the daemon, in this order::

    <recording id>/
      call.json       what is known when the call arrives (frozen: CallStart)
      audio.wav       written by the switch: left what the external party said, right what they heard
      events.jsonl    what happened, a line each, appended, fsynced (frozen: Mark)
      take.json       written once, at the end; a folder that has it belongs to the worker (CallEnd)

Then by the worker, a stage each (see ``pipeline.py``).  Every file but ``audio.wav`` and
``events.jsonl`` appears whole or not at all: temp, fsync, rename, fsync of the folder.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field

from recorder.clock import Uptime, to_iso
from recorder.domain.call_plan import MODES, NOTICE
from recorder.domain.line_policy import (
    BEEPS,
    Announcement,
    Delete,
    Keep,
    PromptSound,
    TransferNotice,
)
from recorder.domain.parties import Party
from recorder.errors import TakeError
from recorder.spool.atomic_files import append_line, sync_folder, write_file
from recorder.strict_json import STRICT, FileTime, Form, is_empty, is_none, one_of, parse

Value = TypeVar("Value")

FORMAT = 1

CALL = "call.json"
EVENTS = "events.jsonl"
END = "take.json"
AUDIO = "audio.wav"

QUARANTINE = "quarantine"
"""Folder beside the takes for those that are set aside; never looked at by the pipeline."""

WHY = "quarantine.json"
"""Why a take was set aside, since when, and until when."""


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call as it arrived.  ``channel`` is the switch's own id of the external leg; ``started_at``
    the daemon's clock when the recording was ordered, ``uptime`` the machine's then (``None`` where nobody
    noted it).  ``announcement``, ``tenant`` and ``line`` are ``None`` for a call that has no line.
    ``mode`` is the line's; ``question`` what was asked in opt-in, or would be said in opt-out after a key
    that means nothing; ``at_pickup``: told once somebody answered.  ``delete`` is what is said where
    colleagues may have it destroyed, ``beep`` who hears one (``policy.BEEPS``, or empty), ``transfer_notice``
    what is said to a colleague who joins later. ``refused``: why it was not even begun to be recorded (one of
    :data:`REASONS`). ``import_keep_until``: it is a recording from elsewhere, of which nothing was announced,
    and until when it is kept without a purpose; ``channel`` is then the SHA-256 of its file."""

    __pydantic_config__ = STRICT

    recording: str
    tenant: str | None
    line: str | None
    number: str
    direction: str
    node: str
    channel: str
    external_party: Party
    started_at: FileTime
    formats: tuple[str, ...]
    announcement: Announcement | None
    uptime: Uptime | None = None
    refused: Annotated[str | None, Field(exclude_if=is_empty)] = None
    mode: Annotated[str, one_of(MODES)] = NOTICE
    question: PromptSound | None = None
    keep: Keep | None = None
    at_pickup: bool = False
    delete: Annotated[Delete | None, Field(exclude_if=is_none)] = None
    beep: Annotated[str, one_of(("", *BEEPS)), Field(exclude_if=is_empty)] = ""
    transfer_notice: Annotated[TransferNotice | None, Field(exclude_if=is_none)] = None
    import_keep_until: Annotated[FileTime | None, Field(exclude_if=is_none)] = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a time.  ``kind`` is one of :data:`MARKS`; ``data`` small and flat."""

    __pydantic_config__ = STRICT

    at: FileTime
    kind: str
    data: Mapping[str, str]


MARKS = frozenset(
    {
        "recording_started",
        # data: fax (t38), where a telephone had offered to go on as a fax; full (disk), where the daemon had
        # it stopped for want of room, and the call went on
        "recording_stopped",
        "question_finished",  # the question was heard whole.  data: question (language, recording)
        # data: question, answer (yes, no, none, unclear; of a language key, none, unclear), key
        "question_answered",
        "keep_question_asked",  # the question whether to keep it.  data: how (question, own_words)
        "keep_question_heard",  # whole, by both
        "keep_question_interrupted",  # it was not, or nobody could answer: nothing came of it
        # A colleague said that they had said yes, and nothing was heard of them: no answer, asked once more.
        "keep_answer_unheard",
        # data: answer (yes, no, none), by (external, internal), how (key, aloud, own_words); of a colleague's
        # yes voice_from_ms, voice_to_ms: where they were heard before it, in milliseconds of audio
        "keep_question_answered",
        "keep_answer_confirmed",  # both heard what came of it.  data: answer
        "keep_answer_unconfirmed",  # they did not, or not whole
        # A colleague's code: the switch masks the recording.  data: seconds until it ends that by itself; or
        # seen ("later"), where nobody watched: the time is then when the switch was asked.  Here and at other
        # commands by (panel, api) names where it was given, unless a key in the call was pressed.
        "paused",
        "resumed",  # by a colleague's code, or seen later
        "moment_marked",  # a colleague marked the moment
        "deletion_question_asked",  # the colleague is asked whether to stop it and have it destroyed
        "deletion_cancelled",  # nothing came of it
        "deleted",  # it was confirmed
        "announcement_started",
        "announcement_interrupted",  # data: reason (hold, stopped, failed)
        # Its playback ended by itself, no hold in it.  data: seen ("later"), where nobody watched: the time
        # is then when the switch was asked.
        "announcement_finished",
        # data: party (its kind), value: the internal party; leg: the switch's id of theirs; seen ("later"),
        # where the switch was asked who is there.  Of "unbridged" party and value are who left.
        "bridged",
        "unbridged",
        # data of both: party, value, leg as above; who (internal, external), where the switch could be asked;
        # how (conference, third); seen ("later").  Somebody came into the conversation, or left it.
        "participant_joined",
        "participant_left",
        # Somebody listens to the conversation, unheard, or does no more.  data of all three: party, value,
        # leg as above, seen ("later").
        "supervisor_joined",
        "supervisor_left",
        # data: heard_by (external, internal, both, nobody), and channel (left, right) where they are in the
        # recording from then on, which makes them one of those above (third).
        "supervisor_heard",
        # Who joined is being told that it is recorded.  data: how (alone, both), asks (opt-out, opt-in) where
        # they are asked too; of somebody in a conference, here and below, also in ("conference") and their
        # leg.
        "transfer_notice_started",
        "transfer_notice_finished",  # whole
        "transfer_notice_interrupted",  # not, or not whole.  data: reason (left, hold, stopped, unobserved)
        "transfer_question_finished",  # they heard the question whole
        "transfer_question_answered",  # and it goes on.  data: answer (yes; none, silence in opt-out), key
        # The take ends there.  data: answer (no; none, silence in opt-in; unclear, keys that mean nothing;
        # left, before they had answered; unasked, the question could not be played; unobserved), key
        "transfer_question_refused",
        "transferred_outside",  # to somebody who is no colleague: the take ends there
        "hold",
        "unhold",
        "internal_hold",  # theirs; where the colleague leaves in it, there may be no unhold
        "internal_unhold",
        "conference_left",  # the external party was in one until now
        "hangup",  # data: cause
        "unobserved_from",  # the daemon was away
        "unobserved_to",
        "imported",  # it comes from elsewhere.  data: sha256 (of the file), channels (1 or 2)
    }
)


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call ended.  ``outcome`` is ``recorded`` (there is a take to work on) or
    ``not_recorded`` with a ``reason`` (one of :data:`REASONS`)."""

    __pydantic_config__ = STRICT

    outcome: str
    reason: str | None
    ended_at: FileTime
    internal_party: Party | None


REASONS = frozenset(
    {
        "no_line",  # no tenant has this number
        "no_snapshot",
        "never_record",  # emergency numbers and the operator's list
        "prompt_damaged",
        "never_connected",  # nobody answered
        "forwarded_outside",  # to somebody who is no colleague, who was not told
        "hung_up_in_announcement",
        "hung_up_in_question",
        "declined",  # they pressed the key for it
        "no_answer",  # nobody agreed, in opt-in
        "unclear",  # keys that mean nothing, twice
        "not_kept",  # they said no to keeping it, on a line that then destroys it
        "deleted",  # a colleague had it destroyed in the call
        "announcement_failed",
        "recording_failed",  # the switch could not write
        "daemon_away",  # the switch went on by itself
        "daemon_late",  # the switch's bound ended the wait
        "dialplan_did_not_ask",  # it was routed ahead of Accord
        "full_disk",
        "channel_gone",
    }
)


_START: Final = Form[CallStart](CallStart)
_MARK: Final = Form[Mark](Mark)
_END: Final = Form[CallEnd](CallEnd)


@dataclass(frozen=True, slots=True)
class Take:
    """A finished call in the spool, read whole."""

    folder: Path
    start: CallStart
    marks: tuple[Mark, ...]
    end: CallEnd

    @property
    def audio(self) -> Path:
        return self.folder / AUDIO

    def first(self, kind: str) -> datetime | None:
        """When a mark of this kind first happened."""
        return next((mark.at for mark in self.marks if mark.kind == kind), None)

    def last(self, kind: str) -> datetime | None:
        """When a mark of this kind last happened."""
        return next((mark.at for mark in reversed(self.marks) if mark.kind == kind), None)


def open_take(spool: Path, start: CallStart) -> Path:
    """Make the folder of a call and write ``call.json``; returns the folder.  Raises ``OSError``."""
    folder = spool / start.recording
    folder.mkdir(mode=0o770, parents=True, exist_ok=True)
    write_file(folder / CALL, _dump(start_body(start)))
    sync_folder(spool)
    return folder


def append_mark(folder: Path, mark: Mark) -> None:
    """Add a line to ``events.jsonl`` and fsync it.  Raises ``OSError`` (a full disk, say) with nothing
    added, ``ValueError`` (unknown kind)."""
    if mark.kind not in MARKS or {"at", "kind"} & set(mark.data):
        raise ValueError(f"unknown mark {mark.kind!r}, or data named at or kind")
    line = json.dumps({"at": to_iso(mark.at), "kind": mark.kind, **mark.data}, ensure_ascii=False)
    append_line(folder / EVENTS, line.encode())


def close_take(folder: Path, end: CallEnd) -> None:
    """Write ``take.json``: from now on the folder is the worker's.  Writing it again changes nothing."""
    if (folder / END).exists():
        return
    write_file(folder / END, _dump(end_body(end)))


def start_body(start: CallStart) -> dict[str, Any]:
    """What ``call.json`` holds."""
    return {"format": FORMAT, **_START.write(start)}


def end_body(end: CallEnd) -> dict[str, Any]:
    """What ``take.json`` holds."""
    return {"format": FORMAT, **_END.write(end)}


def open_takes(spool: Path) -> Iterator[Path]:
    """Folders of calls that have not ended (no ``take.json``), oldest first."""
    return (folder for folder in _folders(spool) if not (folder / END).exists())


def finished_takes(spool: Path) -> Iterator[Path]:
    """Folders that belong to the worker, oldest first (ids are UUIDv7, so names sort by time)."""
    return (folder for folder in _folders(spool) if (folder / END).exists())


def read_start(folder: Path) -> CallStart:
    """``call.json`` of a folder.  Raises :class:`TakeError` where it is missing or broken."""
    return _read(folder / CALL, start_of)


def start_of(body: Mapping[str, Any]) -> CallStart:
    """What :func:`start_body` wrote.  Raises ``ValueError`` for anything else."""
    return _START.read(_fields(body))


def read_marks(folder: Path) -> tuple[Mark, ...]:
    """The marks of a folder in the order they were written; a last line cut by a crash is left out."""
    try:
        lines = (folder / EVENTS).read_bytes().split(b"\n")
    except FileNotFoundError:
        return ()
    marks = []
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            marks.append(_mark_of(parse(line)))
        except ValueError as error:
            if number == len(lines) - 1:
                break
            raise _broken(folder / EVENTS, error) from error
    return tuple(marks)


def read_end(folder: Path) -> CallEnd:
    """``take.json`` of a folder.  Raises :class:`TakeError` where it is missing or broken."""
    return _read(folder / END, end_of)


def end_of(body: Mapping[str, Any]) -> CallEnd:
    """What :func:`end_body` wrote.  Raises ``ValueError`` for anything else."""
    return _END.read(_fields(body))


def read_take(folder: Path) -> Take:
    """A finished call, whole.  Raises :class:`TakeError`."""
    return Take(folder, read_start(folder), read_marks(folder), read_end(folder))


def unreadable(error: TakeError) -> OSError | None:
    """What kept a take's files from being read just now, where that is no fault of theirs."""
    cause = error.__cause__
    return cause if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError) else None


def quarantine(folder: Path, reason: str, now: datetime, until: datetime | None) -> Path:
    """Set a take aside with its reason and the day it will be destroyed (``None``: never by itself); returns
    where it went.  Nothing in it is deleted."""
    target = folder.parent / QUARANTINE / folder.name
    target.parent.mkdir(mode=0o770, exist_ok=True)
    body = {"reason": reason, "since": to_iso(now), "until": None if until is None else to_iso(until)}
    write_file(folder / WHY, _dump(body))
    os.rename(folder, target)
    sync_folder(target.parent)
    sync_folder(folder.parent)
    return target


def bring_back(spool: Path, name: str) -> Path:
    """Put a take that was set aside among those that wait for the worker again; returns its folder.

    Raises :class:`TakeError` (``take.not_aside``, ``take.not_ended``, ``take.there``), ``OSError``."""
    aside, folder = spool / QUARANTINE / name, spool / name
    if not name or name.startswith(".") or Path(name).name != name or not aside.is_dir():
        raise TakeError(
            "take.not_aside", f"no take {name!r} is in {spool / QUARANTINE}", "name a folder that is in it"
        )
    if not (aside / END).exists():
        raise TakeError(
            "take.not_ended",
            f"{aside} has no {END}: its call never ended",
            "it can only be looked at by hand",
        )
    if folder.exists():
        raise TakeError("take.there", f"{folder} is there already", "one of the two is a copy: which one?")
    os.rename(aside, folder)
    (folder / WHY).unlink(missing_ok=True)
    for changed in (folder, folder.parent, aside.parent):
        sync_folder(changed)
    return folder


def remove_take(folder: Path) -> None:
    """Remove a folder whose content is kept elsewhere.  The name goes first, so that a removal that is
    broken off is never taken for a take (``purge`` finishes it)."""
    doomed = folder.parent / f".gone-{folder.name}"
    os.rename(folder, doomed)
    sync_folder(folder.parent)
    shutil.rmtree(doomed)


def purge(spool: Path) -> None:
    """Finish removals that a crash broke off."""
    for doomed in spool.glob(".gone-*"):
        shutil.rmtree(doomed)


def closed_folders(spool: Path) -> list[Path]:
    """Folders of calls that this user may not look into: they wait, and keep no other from being found."""
    return _folders(spool, ours=False)


def _folders(spool: Path, ours: bool = True) -> list[Path]:
    return sorted(
        folder
        for folder in (spool.iterdir() if spool.is_dir() else ())
        if folder.is_dir() and not folder.name.startswith(".") and folder.name != QUARANTINE
        if os.access(folder, os.R_OK | os.X_OK) == ours
    )


def _dump(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, sort_keys=True, indent=1).encode()


def _read(path: Path, of: Callable[[Mapping[str, Any]], Value]) -> Value:
    try:
        return of(parse(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise _broken(path, error) from error


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """A file's fields, without its format."""
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise ValueError(f"not format {FORMAT}")
    return {name: value for name, value in body.items() if name != "format"}


def _mark_of(line: Any) -> Mark:
    """A line of ``events.jsonl``: time, kind, and the data beside them."""
    if not isinstance(line, dict):
        raise ValueError("not an object")
    head = {name: line.pop(name) for name in ("at", "kind") if name in line}
    return _MARK.read({**head, "data": line})


def _broken(path: Path, error: Exception) -> TakeError:
    return TakeError(
        "spool.broken",
        f"{path} cannot be read: {error}",
        "the take is set aside in the spool's quarantine folder; nothing in it is deleted",
    )
