"""The value between encoding and sealing: a redacted and encoded take."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import PlainSerializer

from recorder.domain.markers import LocatedMarker
from recorder.errors import TakeError
from recorder.spool.atomic_files import write_file
from recorder.spool.layout import Take, read_take
from recorder.strict_json import FileTime, Form, Natural, Strict, one_of, parse

ENCODED = "encoded.json"
"""In the take's folder: the stage *encode* is done."""

GAP_REASONS = frozenset(
    {
        "before_announcement_end",  # left redacted: the external party had not been informed yet
        "ringing",  # nobody had answered yet. Both redacted; if unobserved, left only
        "hold",  # by either side
        "waiting",  # during the call: parked, in a queue, or being transferred
        "paused",  # by a colleague: both channels are silent
        "write_error",
        "fax",  # the call continued as a fax (T.38), which has no audio
        "repair",  # the file ended before the call
        "unobserved",  # the daemon was away: no audio is missing, but nobody watched the call
        # right: a transfer target heard the transfer notice, and not the external party
        "participant_notice",
        # right, redacted: a participant had not consented yet, or refused; also while nobody watched and a
        # participant may have joined
        "no_participant_consent",
        "transferred_externally",  # the external party was connected to another one, and the take ended
        "prompt",  # right: both heard the keep question or its outcome, not each other; nothing is redacted
    }
)


@dataclass(frozen=True, slots=True)
class LocatedAnnouncement(Strict):
    """The announcement's place in milliseconds of audio, and the normalised cross-correlation there (1.0: an
    identical sound)."""

    offset_ms: Natural
    end_ms: Natural
    score: float


@dataclass(frozen=True, slots=True)
class Gap(Strict):
    """A stretch without sound, in milliseconds of audio. ``channel`` is ``left``, ``right`` or ``both``;
    ``reason`` is one of :data:`GAP_REASONS`."""

    start_ms: Natural
    end_ms: Natural
    channel: Annotated[str, one_of(("left", "right", "both"))]
    reason: str


@dataclass(frozen=True, slots=True)
class Prompt(Strict):
    """A prompt that both parties heard whole, located in the audio, in milliseconds. It belongs to keep
    question ``number`` (from 0, see ``keep_answers.py``); ``which`` is its sound: ``question``, or the
    outcome (``yes``, ``no``, ``none``). ``at`` is the time of the marker at its end."""

    number: int
    which: str
    at: FileTime
    offset_ms: int
    end_ms: int
    score: float


@dataclass(frozen=True, slots=True)
class LocatedPause:
    """A pause in the audio, in milliseconds. ``silent``: its samples are already zero."""

    start_ms: int
    end_ms: int
    silent: bool


def _name_of(path: Path) -> str:
    return path.name


@dataclass(frozen=True, slots=True)
class EncodedSound(Strict):
    """A plain file that will be encrypted and stored as an object: its ``name`` (``audio.opus``,
    ``audio.wav``, ``peaks`` or ``note``), ``length`` in bytes, and ``sha256`` of its bytes in hex."""

    name: str
    path: Annotated[Path, PlainSerializer(_name_of, when_used="json")]
    media_type: str
    sha256: str
    length: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """A take ready to be sealed.

    ``announced`` is ``None`` if the announcement was not found in the audio, which then grants no purpose.
    ``drift_ms`` is the call's duration by its own clock minus the audio's, in milliseconds.
    """

    take: Take
    duration_ms: int
    sample_rate: int
    announced: LocatedAnnouncement | None
    gaps: tuple[Gap, ...]
    markers: tuple[LocatedMarker, ...]
    drift_ms: int
    sounds: tuple[EncodedSound, ...]
    prompts: tuple[Prompt, ...] = ()


@dataclass(frozen=True, slots=True)
class _File(Strict):
    """``encoded.json``: an :class:`Encoded` without its take. Paths are relative to the take's folder, so
    that the spool can be moved."""

    format: Literal[1]
    duration_ms: int
    sample_rate: int
    announced: LocatedAnnouncement | None
    gaps: tuple[Gap, ...]
    markers: tuple[LocatedMarker, ...]
    drift_ms: int
    sounds: tuple[EncodedSound, ...]
    prompts: tuple[Prompt, ...]


_FILE: Final = Form[_File](_File)
_SAME: Final = _FILE.names - {"format"}


def write_encoded(encoded: Encoded) -> Path:
    """Write ``encoded.json`` into the take's folder, which completes the stage. Returns its path. Raises
    ``OSError``."""
    body = _FILE.write(_File(format=1, **{name: getattr(encoded, name) for name in _SAME}))
    path = encoded.take.folder / ENCODED
    write_file(path, json.dumps(body, ensure_ascii=False, sort_keys=True, indent=1).encode())
    return path


def read_encoded(folder: Path) -> Encoded:
    """Read what :func:`write_encoded` wrote, and the take itself, from a folder.

    Raises :class:`TakeError` ``take.encoded`` if it is missing, damaged or of another format, or if one of
    the objects is missing or has another length: the stage must then be repeated."""
    take = read_take(folder)
    try:
        read = _FILE.read(parse((folder / ENCODED).read_bytes()))
        encoded = Encoded(take=take, **{name: getattr(read, name) for name in _SAME})
        return replace(encoded, sounds=tuple(_in_folder(folder, each) for each in read.sounds))
    except (OSError, ValueError) as error:
        raise TakeError(
            "take.encoded", f"{folder / ENCODED} cannot be used: {error}", "encode the take again"
        ) from error


def _in_folder(folder: Path, sound: EncodedSound) -> EncodedSound:
    path = folder / sound.path.name
    if path.stat().st_size != sound.length:
        raise ValueError(f"{path.name} does not have the length that was written")
    return replace(sound, path=path)
