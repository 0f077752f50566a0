"""The layout of the spool, which is the queue: one folder for each call, whose files show its progress.

The daemon writes, in this order::

    <recording id>/
      call.json       what is known when the call arrives (:class:`CallStart`)
      audio.wav       written by the switch: left what the external party said, right what they heard
      events.jsonl    what happened, one line each, appended and fsynced (:class:`Marker`), each with the
                      length of audio.wav at that time (:class:`AudioLength`)
      take.json       how the call ended (:class:`CallEnd`); from then on the folder is the worker's

The worker adds a file for each stage (``pipeline/stages.py``). Every file except ``audio.wav`` and
``events.jsonl`` is written atomically (``atomic_files.py``).
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

from recorder.clock import Now, Uptime, to_iso
from recorder.domain.call_plan import MODES, NOTICE
from recorder.domain.line_policy import BEEPS, Announcement, Delete, Keep, TransferNotice
from recorder.domain.markers import DATA_NAMES, MARKER_KINDS, Marker
from recorder.domain.parties import Party
from recorder.domain.sentences import TimedSentence
from recorder.errors import TakeError
from recorder.spool.atomic_files import append_line, sync_folder, write_file
from recorder.strict_json import FileTime, Form, Natural, Strict, is_empty, is_none, one_of, parse
from recorder.verified_state import VerifiedState

Value = TypeVar("Value")

FORMAT = 1

CALL = "call.json"
EVENTS = "events.jsonl"
END = "take.json"
AUDIO = "audio.wav"
MANIFEST = "manifest.json"
STORED = "stored.json"

QUARANTINE = "quarantine"
"""The folder beside the takes for those in quarantine; the pipeline ignores it."""

QUARANTINE_REASON = "quarantine.json"
"""In the folder of a take in quarantine: the reason, since when, and until when."""


DELAY = "delay.json"
"""In the folder of a take whose last step failed: the reason, and since when."""


@dataclass(frozen=True, slots=True)
class CallStart(Strict):
    """A call as it arrived.

    ``channel`` is the switch's id of the external party's leg. ``started_at`` is the daemon's clock when it
    ordered the recording (UTC), ``uptime`` the machine's uptime then, ``None`` if it was not noted.
    ``announcement``, ``tenant`` and ``line`` are ``None`` for a call without a line. ``mode`` is the line's;
    ``question`` is the opt-in question, or in opt-out the reminder after a meaningless key. ``at_pickup``:
    the announcement plays to both parties, once somebody answers. ``delete``: the sentences with which a
    colleague may delete the recording; ``beep``: who hears a tone (one of
    :data:`~recorder.domain.line_policy.BEEPS`, or empty). ``refused``: why the recording was not even started
    (one of :data:`REASONS`). ``caller_name`` is what the caller states about themselves, cleaned, and no more
    than that: a suggestion.

    ``import_keep_until``: an imported recording, without an announcement, and until when it is kept without a
    purpose; ``channel`` is then the SHA-256 of its file, in hex.
    """

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
    question: TimedSentence | None = None
    keep: Keep | None = None
    at_pickup: bool = False
    delete: Annotated[Delete | None, Field(exclude_if=is_none)] = None
    beep: Annotated[str, one_of(("", *BEEPS)), Field(exclude_if=is_empty)] = ""
    transfer_notice: Annotated[TransferNotice | None, Field(exclude_if=is_none)] = None
    import_keep_until: Annotated[FileTime | None, Field(exclude_if=is_none)] = None
    caller_name: Annotated[str, Field(exclude_if=is_empty)] = ""


@dataclass(frozen=True, slots=True)
class CallEnd(Strict):
    """How a call ended, at ``ended_at`` (UTC). ``outcome`` is ``recorded`` (the worker processes the take) or
    ``not_recorded``, with a ``reason`` (one of :data:`REASONS`)."""

    outcome: str
    reason: str | None
    ended_at: FileTime
    internal_party: Party | None


REASONS = frozenset(
    {
        "no_line",  # the number belongs to no tenant
        "no_snapshot",
        "suspended",  # by the provider
        "never_record",  # an emergency number, or on the operator's list
        "prompt_damaged",
        "never_connected",  # nobody answered
        "forwarded_externally",  # to an external party, to whom it was not announced
        "hung_up_in_announcement",
        "hung_up_in_question",
        "declined",  # the external party pressed the key that refuses
        "no_answer",  # silence, in opt-in
        "unclear",  # meaningless keys, twice
        "not_kept",  # the keep answer was no, on a line that then deletes the recording
        "deleted",  # by a colleague, during the call
        "announcement_failed",
        "recording_failed",  # the switch could not write the file
        "daemon_away",  # the switch continued by itself
        "daemon_late",  # the switch's time limit ended the wait
        "dialplan_did_not_ask",  # the dialplan routed the call before it reached Accord
        "full_disk",
        "channel_gone",
    }
)


_START: Final = Form[CallStart](CallStart)
_MARKER: Final = Form[Marker](Marker)
_LINE_FIELDS: Final = frozenset({"at", "kind", "audio"})
_END: Final = Form[CallEnd](CallEnd)


@dataclass(frozen=True, slots=True)
class AudioLength(Strict):
    """The length of ``audio.wav`` in bytes at a time (UTC): by then the switch had written so much audio."""

    at: FileTime
    bytes: Natural


_LENGTH: Final = Form[AudioLength](AudioLength)


@dataclass(frozen=True, slots=True)
class Take:
    """A finished call in the spool, as read from its files. ``lengths`` are the audio's at the markers, in
    their order; empty in the takes of older daemons."""

    folder: Path
    start: CallStart
    markers: tuple[Marker, ...]
    end: CallEnd
    lengths: tuple[AudioLength, ...] = ()

    @property
    def audio(self) -> Path:
        return self.folder / AUDIO

    def first(self, kind: str) -> datetime | None:
        """The time of the first marker of this kind; ``None`` if there is none."""
        return next((marker.at for marker in self.markers if marker.kind == kind), None)

    def last(self, kind: str) -> datetime | None:
        """The time of the last marker of this kind; ``None`` if there is none."""
        return next((marker.at for marker in reversed(self.markers) if marker.kind == kind), None)


def open_take(spool: Path, start: CallStart) -> Path:
    """Make the folder of a call and write ``call.json``. Returns the folder. Raises ``OSError``."""
    folder = spool / start.recording
    folder.mkdir(mode=0o770, parents=True, exist_ok=True)
    write_file(folder / CALL, _to_bytes(start_body(start)))
    sync_folder(spool)
    return folder


def measure_audio(folder: Path, now: Now) -> AudioLength | None:
    """The present length of a call's audio; ``None`` if there is no file yet. Raises ``OSError``."""
    try:
        length = (folder / AUDIO).stat().st_size
    except FileNotFoundError:
        return None
    return AudioLength(now(), length)


def append_marker(folder: Path, marker: Marker, length: AudioLength | None = None) -> None:
    """Append a line to ``events.jsonl``, and fsync it. Raises ``OSError`` (for example, a full disk) and then
    adds nothing; ``ValueError`` for an unknown kind, or data with an unknown name."""
    if marker.kind not in MARKER_KINDS or not set(marker.data) <= DATA_NAMES:
        raise ValueError(f"unknown marker {marker.kind!r} with {sorted(marker.data)}: see domain/markers.py")
    audio = {} if length is None else {"audio": _LENGTH.write(length)}
    line = json.dumps(
        {"at": to_iso(marker.at), "kind": marker.kind, **audio, **marker.data}, ensure_ascii=False
    )
    append_line(folder / EVENTS, line.encode())


def close_take(folder: Path, end: CallEnd) -> None:
    """Write ``take.json``: the folder is the worker's from now on. Idempotent. Raises ``OSError``."""
    if (folder / END).exists():
        return
    write_file(folder / END, _to_bytes(end_body(end)))


def start_body(start: CallStart) -> dict[str, Any]:
    """The content of ``call.json``."""
    return {"format": FORMAT, **_START.write(start)}


def end_body(end: CallEnd) -> dict[str, Any]:
    """The content of ``take.json``."""
    return {"format": FORMAT, **_END.write(end)}


def open_takes(spool: Path) -> Iterator[Path]:
    """The folders of calls that have not ended (without ``take.json``), oldest first."""
    return (folder for folder in _folders(spool) if not (folder / END).exists())


def finished_takes(spool: Path) -> Iterator[Path]:
    """The folders that are the worker's, oldest first (ids are UUIDv7, so names sort by time)."""
    return (folder for folder in _folders(spool) if (folder / END).exists())


def read_start(folder: Path) -> CallStart:
    """Read ``call.json``. Raises :class:`TakeError` (``spool.broken``) if it is missing or damaged."""
    return _read(folder / CALL, parse_start)


def parse_start(body: Mapping[str, Any]) -> CallStart:
    """Parse what :func:`start_body` returned. Raises ``ValueError`` for anything else."""
    return _START.read(_fields(body))


def read_markers(folder: Path) -> tuple[Marker, ...]:
    """The markers of a folder in the order in which they were written, without a last line that a crash cut.
    Raises :class:`TakeError` (``spool.broken``)."""
    return tuple(marker for marker, _ in _read_events(folder))


def _read_events(folder: Path) -> Iterator[tuple[Marker, AudioLength | None]]:
    try:
        lines = (folder / EVENTS).read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            event = _event_of(parse(line))
        except ValueError as error:
            if number == len(lines) - 1:
                break
            raise _broken_file(folder / EVENTS, error) from error
        yield event


def read_end(folder: Path) -> CallEnd:
    """Read ``take.json``. Raises :class:`TakeError` (``spool.broken``) if it is missing or damaged."""
    return _read(folder / END, parse_end)


def parse_end(body: Mapping[str, Any]) -> CallEnd:
    """Parse what :func:`end_body` returned. Raises ``ValueError`` for anything else."""
    return _END.read(_fields(body))


def read_take(folder: Path) -> Take:
    """Read a finished call. Raises :class:`TakeError` (``spool.broken``)."""
    events = tuple(_read_events(folder))
    lengths = tuple(length for _, length in events if length is not None)
    return Take(folder, read_start(folder), tuple(marker for marker, _ in events), read_end(folder), lengths)


def read_failure(error: TakeError) -> OSError | None:
    """The I/O error behind a :class:`TakeError`, if the files themselves are not at fault and can perhaps be
    read later; otherwise ``None``."""
    cause = error.__cause__
    return cause if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError) else None


def quarantine(folder: Path, reason: str, now: datetime, until: datetime | None) -> Path:
    """Move a take into quarantine with the reason and the time of its deletion (``None``: it is never deleted
    automatically). Returns its new folder. Nothing in it is deleted. Raises ``OSError``."""
    target = folder.parent / QUARANTINE / folder.name
    target.parent.mkdir(mode=0o770, exist_ok=True)
    body = {"reason": reason, "since": to_iso(now), "until": None if until is None else to_iso(until)}
    write_file(folder / QUARANTINE_REASON, _to_bytes(body))
    os.rename(folder, target)
    sync_folder(target.parent)
    sync_folder(folder.parent)
    return target


def quarantined_takes(spool: Path) -> list[Path]:
    """The folders in quarantine, oldest first."""
    aside = spool / QUARANTINE
    return sorted(folder for folder in aside.iterdir() if folder.is_dir()) if aside.is_dir() else []


def read_quarantine(folder: Path) -> Mapping[str, Any]:
    """The content of ``quarantine.json``: ``reason``, ``since`` and ``until``; empty if it is missing or
    damaged."""
    return _read_note(folder / QUARANTINE_REASON)


def _read_note(path: Path) -> Mapping[str, Any]:
    try:
        body = parse(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


def note_delay(folder: Path, reason: str, now: datetime) -> None:
    """Note in a take's folder that a step fails, and why; since when is kept of an earlier note. Raises
    ``OSError``."""
    note = read_delay(folder)
    if note.get("reason") != reason:
        write_file(folder / DELAY, _to_bytes({"reason": reason, "since": note.get("since", to_iso(now))}))


def end_delay(folder: Path) -> None:
    """Remove the note of :func:`note_delay`, if there is one. Raises ``OSError``."""
    (folder / DELAY).unlink(missing_ok=True)


def read_delay(folder: Path) -> Mapping[str, Any]:
    """The content of ``delay.json``: ``reason`` and ``since``; empty if there is none."""
    return _read_note(folder / DELAY)


def restore_take(spool: Path, name: str) -> Path:
    """Move a take from quarantine back to the takes that wait for the worker. Returns its folder.

    Raises :class:`TakeError` (``take.not_aside``, ``take.not_ended``, ``take.there``), ``OSError``."""
    aside, folder = spool / QUARANTINE / name, spool / name
    if not name or name.startswith(".") or Path(name).name != name or not aside.is_dir():
        raise TakeError(
            "take.not_aside", f"there is no take {name!r} in {spool / QUARANTINE}", "name a folder in it"
        )
    if not (aside / END).exists():
        raise TakeError(
            "take.not_ended",
            f"{aside} has no {END}: its call never ended",
            "it can only be examined by hand",
        )
    if folder.exists():
        raise TakeError(
            "take.there", f"{folder} exists already", "one of the two is a copy: remove the wrong one"
        )
    os.rename(aside, folder)
    (folder / QUARANTINE_REASON).unlink(missing_ok=True)
    for changed in (folder, folder.parent, aside.parent):
        sync_folder(changed)
    return folder


@dataclass(frozen=True, slots=True)
class RemovableTake(VerifiedState):
    """A take whose ``folder`` may go: what is kept of it is elsewhere, or nothing of it is kept. Each reason
    has a class of its own, which its verifier makes."""

    folder: Path


def remove_take(take: RemovableTake) -> None:
    """Remove the folder of a take. It is renamed first, so that a folder left by a crash is not taken for a
    take (:func:`finish_removals`). Raises ``OSError``."""
    folder = take.folder
    doomed = folder.parent / f".gone-{folder.name}"
    os.rename(folder, doomed)
    sync_folder(folder.parent)
    shutil.rmtree(doomed)


def finish_removals(spool: Path) -> None:
    """Finish the removals that a crash interrupted. Raises ``OSError``."""
    for doomed in spool.glob(".gone-*"):
        shutil.rmtree(doomed)


def unreadable_folders(spool: Path) -> list[Path]:
    """The folders of calls that this user may not read: they wait, and do not hide the others."""
    return _folders(spool, ours=False)


def _folders(spool: Path, ours: bool = True) -> list[Path]:
    return sorted(
        folder
        for folder in (spool.iterdir() if spool.is_dir() else ())
        if folder.is_dir() and not folder.name.startswith(".") and folder.name != QUARANTINE
        if os.access(folder, os.R_OK | os.X_OK) == ours
    )


def _to_bytes(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, sort_keys=True, indent=1).encode()


def _read(path: Path, of: Callable[[Mapping[str, Any]], Value]) -> Value:
    try:
        return of(parse(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise _broken_file(path, error) from error


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a file, without its format."""
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise ValueError(f"not format {FORMAT}")
    return {name: value for name, value in body.items() if name != "format"}


def _event_of(line: Any) -> tuple[Marker, AudioLength | None]:
    """Parse a line of ``events.jsonl``: time, kind, the audio's length, and data beside them."""
    if not isinstance(line, dict):
        raise ValueError("not an object")
    head = {name: line.pop(name) for name in _LINE_FIELDS if name in line}
    audio = head.pop("audio", None)
    return _MARKER.read({**head, "data": line}), None if audio is None else _LENGTH.read(audio)


def _broken_file(path: Path, error: Exception) -> TakeError:
    return TakeError(
        "spool.broken",
        f"{path} cannot be read: {error}",
        "the take is moved to the spool's quarantine folder; nothing in it is deleted",
    )
