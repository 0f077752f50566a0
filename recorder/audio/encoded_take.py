"""What a take becomes once it was listened to, blanked and encoded: the value between take and seal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from recorder.clock import from_iso, to_iso
from recorder.errors import TakeError
from recorder.spool.atomic_files import write_file
from recorder.spool.layout import Take, read_take
from recorder.strict_json import STRICT, FileTime, Natural, one_of
from recorder.typed import checked

FORMAT = 1

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
        "told_joiner",  # right: a colleague who had joined was told; what they said meanwhile is not there
        # right: one who had joined was to be asked, and had not agreed, or refused; also where nobody
        # watched, and one may have come
        "joiner_not_agreed",
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

    number: int
    which: str
    at: datetime
    offset_ms: int
    end_ms: int
    score: float


@dataclass(frozen=True, slots=True)
class EncodedSound:
    """A plain file that will be encrypted and stored: ``name`` is ``audio.opus``, ``audio.wav`` or
    ``peaks``; ``length`` in bytes; ``sha256`` hex of the plain bytes."""

    name: str
    path: Path
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


def write_encoded(encoded: Encoded) -> Path:
    """Write ``encoded.json`` into the take's folder, whole or not at all: the stage is done.  Paths are
    kept as names in that folder, so that the spool may be moved.  Raises ``OSError``."""
    body = {
        "format": FORMAT,
        "duration_ms": encoded.duration_ms,
        "sample_rate": encoded.sample_rate,
        "announced": None if encoded.announced is None else asdict(encoded.announced),
        "gaps": [asdict(gap) for gap in encoded.gaps],
        "markers": [asdict(marker) | {"at": to_iso(marker.at)} for marker in encoded.markers],
        "drift_ms": encoded.drift_ms,
        "sounds": [asdict(sound) | {"path": sound.path.name} for sound in encoded.sounds],
        "prompts": [asdict(prompt) | {"at": to_iso(prompt.at)} for prompt in encoded.prompts],
    }
    path = encoded.take.folder / ENCODED
    write_file(path, json.dumps(body, ensure_ascii=False, sort_keys=True, indent=1).encode())
    return path


def read_encoded(folder: Path) -> Encoded:
    """What :func:`write_encoded` wrote, with the take itself read anew from the same folder.

    Raises :class:`TakeError` ``take.encoded`` where it is missing, broken, of another format, or one of
    its files is gone or has another length: then the stage is to be done again."""
    take = read_take(folder)
    try:
        body: dict[str, Any] = json.loads((folder / ENCODED).read_bytes())
        if body["format"] != FORMAT:
            raise ValueError(f"format {body['format']!r}, not {FORMAT}")
        sounds = tuple(_sound(folder, entry) for entry in body["sounds"])
        encoded = Encoded(
            take=take,
            duration_ms=body["duration_ms"],
            sample_rate=body["sample_rate"],
            announced=None if body["announced"] is None else LocatedAnnouncement(**body["announced"]),
            gaps=tuple(Gap(**gap) for gap in body["gaps"]),
            markers=tuple(Marker(**{**entry, "at": from_iso(entry["at"])}) for entry in body["markers"]),
            drift_ms=body["drift_ms"],
            sounds=sounds,
            prompts=tuple(Prompt(**{**entry, "at": from_iso(entry["at"])}) for entry in body["prompts"]),
        )
        return checked(encoded)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TakeError(
            "take.encoded", f"{folder / ENCODED} cannot be used: {error}", "encode the take again"
        ) from error


def _sound(folder: Path, entry: dict[str, Any]) -> EncodedSound:
    path = folder / Path(entry["path"]).name
    if path.stat().st_size != entry["length"]:
        raise ValueError(f"{path.name} has another length than was written")
    return EncodedSound(**{**entry, "path": path})
