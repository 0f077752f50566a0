"""What a take becomes once it was listened to, blanked and encoded: the value between take and seal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import PlainSerializer

from recorder.errors import TakeError
from recorder.spool.atomic_files import write_file
from recorder.spool.layout import Take, read_take
from recorder.strict_json import STRICT, FileTime, Form, Natural, one_of, parse

ENCODED = "encoded.json"
"""In the take's folder: this stage is done."""

GAP_REASONS = frozenset(
    {
        "before_announcement_end",  # left blanked: they had not been told yet
        "ringing",  # nobody had answered: it rang, or they waited.  Both blanked; left alone where unwatched
        "hold",  # of either end
        "waiting",  # in the middle of the call: parked, in a queue, or being transferred
        "paused",  # by a colleague: silent in both channels
        "write_error",
        "fax",  # the call went on as a fax (T.38), in which there is no sound
        "repair",  # the file ended before the call did
        "unobserved",  # the daemon was away: nothing was missed in the sound, but nobody watched
        "participant_notice",
        # right: a colleague who had joined was told; what they said meanwhile is not there
        # right: one who had joined was to be asked, and had not agreed, or refused; also where nobody
        # watched, and one may have come
        "no_participant_consent",
        "transferred_outside",  # they were connected with somebody who is no colleague, and the take ended
        "prompt",  # right: both heard a question, or what came of it, and not each other; nothing is silenced
    }
)


@dataclass(frozen=True, slots=True)
class LocatedAnnouncement:
    """Where the announcement is in the audio: milliseconds of audio, and the normalised
    cross-correlation (1.0 is the very sound)."""

    __pydantic_config__ = STRICT

    offset_ms: Natural
    end_ms: Natural
    score: float


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch that is missing or blanked: milliseconds of audio, ``channel`` ``left``, ``right`` or
    ``both``, ``reason`` one of :data:`GAP_REASONS`."""

    __pydantic_config__ = STRICT

    start_ms: Natural
    end_ms: Natural
    channel: Annotated[str, one_of(("left", "right", "both"))]
    reason: str


@dataclass(frozen=True, slots=True)
class Marker:
    """A mark with its place in the audio, in milliseconds of audio.  In a manifest, data that names a person
    is not here but in the parties."""

    __pydantic_config__ = STRICT

    at: FileTime
    offset_ms: int
    kind: str
    data: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Where something that was played to both in the call is in the audio, whole: of question ``number``
    (from 0, see ``keep_answers.py``), ``which`` of its sounds (``question``, or what was said of the answer:
    ``yes``, ``no``, ``none``); ``at`` is when its end was noted."""

    __pydantic_config__ = STRICT

    number: int
    which: str
    at: FileTime
    offset_ms: int
    end_ms: int
    score: float


def _name_of(path: Path) -> str:
    return path.name


@dataclass(frozen=True, slots=True)
class EncodedSound:
    """A plain file that will be encrypted and stored: ``name`` is ``audio.opus``, ``audio.wav`` or
    ``peaks``; ``length`` in bytes; ``sha256`` hex of the plain bytes."""

    __pydantic_config__ = STRICT

    name: str
    path: Annotated[Path, PlainSerializer(_name_of, when_used="json")]
    media_type: str
    sha256: str
    length: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """A take ready to be sealed.

    ``announced`` is ``None`` where the announcement could not be found in the audio (P1: no purpose).
    ``drift_ms`` is the call's own clock minus the audio's length, in milliseconds.
    """

    take: Take
    duration_ms: int
    sample_rate: int
    announced: LocatedAnnouncement | None
    gaps: tuple[Gap, ...]
    markers: tuple[Marker, ...]
    drift_ms: int
    sounds: tuple[EncodedSound, ...]
    prompts: tuple[Prompt, ...] = ()


@dataclass(frozen=True, slots=True)
class _File:
    """``encoded.json``: a take's :class:`Encoded`.  Its paths are names in the take's folder, so that the
    spool may be moved."""

    __pydantic_config__ = STRICT

    format: Literal[1]
    duration_ms: int
    sample_rate: int
    announced: LocatedAnnouncement | None
    gaps: tuple[Gap, ...]
    markers: tuple[Marker, ...]
    drift_ms: int
    sounds: tuple[EncodedSound, ...]
    prompts: tuple[Prompt, ...]


_FILE: Final = Form[_File](_File)
_SAME: Final = _FILE.names - {"format"}


def write_encoded(encoded: Encoded) -> Path:
    """Write ``encoded.json`` into the take's folder, whole or not at all: the stage is done.  Raises
    ``OSError``."""
    body = _FILE.write(_File(format=1, **{name: getattr(encoded, name) for name in _SAME}))
    path = encoded.take.folder / ENCODED
    write_file(path, json.dumps(body, ensure_ascii=False, sort_keys=True, indent=1).encode())
    return path


def read_encoded(folder: Path) -> Encoded:
    """What :func:`write_encoded` wrote, with the take itself read anew from the same folder.

    Raises :class:`TakeError` ``take.encoded`` where it is missing, broken, of another format, or one of
    its files is gone or has another length: then the stage is to be done again."""
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
        raise ValueError(f"{path.name} has another length than was written")
    return replace(sound, path=path)
