"""The gate of a conference. Its members hear the same sound, so that has only what each of them may hear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recorder.catalogue.database import connected
from recorder.playback import channel_mute
from recorder.playback.audio_reader import WAV
from recorder.playback.authorization import CheckedAdmission
from recorder.playback.gate import Gate
from recorder.playback.interface import TELEPHONE, WEBM, ConferenceListener, Passages


class ConferenceGate(Gate):
    """The gate, with an exit into conferences
    (:class:`recorder.playback.interface.ConferenceGateInterface`)."""

    @connected()
    def heard_together(self, listeners: Sequence[ConferenceListener]) -> Passages | None:
        """See :class:`recorder.playback.interface.ConferenceGateInterface`."""
        return self._admit(listeners).passages

    @connected()
    def open_together(self, listeners: Sequence[ConferenceListener]) -> Iterator[bytes]:
        """See :class:`recorder.playback.interface.ConferenceGateInterface`."""
        admission = self._admit(listeners)
        sealed, first = admission.sealed, listeners[0].who
        name = WEBM if sealed.manifest.object(WAV) is None else WAV
        with self._guard.reported(first, sealed.row, name):
            sound = self._guard.sounds.open(admission, name)
        for who, grant in listeners:
            self._count(who, grant, name, TELEPHONE, sound.length)

        def pieces() -> Iterator[bytes]:
            with self._guard.reported(first, sealed.row, name):
                yield from channel_mute.as_telephone(sound.read(0, sound.length), sealed.manifest)

        return pieces()

    def _admit(self, listeners: Sequence[ConferenceListener]) -> CheckedAdmission:
        granted = [self._granted_recording(who, grant.id) for who, grant in listeners]
        grant, sealed = granted[0]
        if any(each.recording != grant.recording for each, _sealed in granted):
            raise ValueError("the listeners' grants are for different recordings")
        return self._guard.admit_together([each.who for each in listeners], sealed, grant.purpose)
