"""The gate's exit for a recording that is taken away whole, with what shows that it is as it was sealed."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final

from recorder.catalogue.database import connected
from recorder.errors import AccessError, SealError
from recorder.playback import channel_mute
from recorder.playback.authorization import HINTS
from recorder.playback.gate import Gate
from recorder.playback.interface import SOUNDS, Actor, RecordingRelease, ReleasedSound
from recorder.playback.verified_recording import VerifiedRecording
from recorder.seal import hints

PACK: Final = "pack.zip"
"""What the log calls it, in place of a sound's name."""


@dataclass(frozen=True, slots=True)
class SentSound(ReleasedSound):
    """A sound that the gate has sent."""


@dataclass(frozen=True, slots=True)
class CheckedRelease(RecordingRelease):
    """A recording that the gate lets somebody take away now."""


class PackGate(Gate):
    """The gate, with an exit for packs."""

    @connected()
    def release(self, who: Actor, recording_id: str, purpose: str) -> RecordingRelease:
        """A recording that is taken away whole, for a purpose. It takes the same permission as a download
        (:meth:`GateInterface.download`), and has one leaf, whichever of its sounds are sent. Raises as that
        does."""
        sealed = self._permit_file(who, recording_id, purpose)
        names = tuple(name for name in SOUNDS if _source(sealed, name) is not None)
        if not names:
            raise AccessError(
                "access.no_sound", f"recording {sealed.row.id} has no sound", HINTS["access.no_sound"]
            )
        since, leaf = self._guard.now(), list[int]()

        def send(name: str) -> Generator[bytes, None, ReleasedSound]:
            return self._send_sound(who, sealed, purpose, name, leaf, since)

        return CheckedRelease(
            sealed.row,
            sealed.chain,
            self._guard.terms(sealed),
            sealed.parties,
            who,
            purpose,
            since,
            names,
            send,
        )

    def _send_sound(
        self,
        who: Actor,
        sealed: VerifiedRecording,
        purpose: str,
        name: str,
        leaf: list[int],
        looked_at: datetime,
    ) -> Generator[bytes, None, ReleasedSound]:
        source = _source(sealed, name)
        assert source is not None
        sha256, length = hashlib.sha256(), 0
        stored = sealed.manifest.object(source)
        assert stored is not None
        sound = self._open_file(who, sealed, purpose, source)
        with self._guard.reported(who, sealed.row, source, purpose):
            pieces = sound.read(0, sound.length)
            first = next(pieces, b"")
            if not leaf:
                leaf.append(self._note_download(who, sealed.row, purpose, PACK))
            verified = chain((first,), pieces)
            content = verified if source == name else channel_mute.as_wav(verified, sealed.manifest)
            for piece in self._send_checked(who, sealed.row, purpose, content, looked_at):
                sha256.update(piece)
                length += len(piece)
                yield piece
            if source == name and (sha256.hexdigest(), length) != (stored.plain_sha256, stored.plain_length):
                what = f"the plain bytes of {source} differ from the sealed ones"
                raise SealError("object.plain", what, hints.OBJECT)
        return SentSound(name, source, sha256.hexdigest(), length, source == name, leaf[0])


def _source(sealed: VerifiedRecording, name: str) -> str | None:
    """The sealed object that a sound is, or is decoded from: WAV of Opus; ``None`` if it cannot be had."""
    if sealed.manifest.object(name) is not None:
        return name
    opus = SOUNDS[0]
    return opus if name == channel_mute.NAME and sealed.manifest.object(opus) is not None else None
