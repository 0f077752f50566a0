"""A recorded conversation, fed with the events of a switch that plays sounds to both parties."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from recorder.call import initial
from recorder.call.state import Do, Finish, Phase
from recorder.domain import call_events
from recorder.domain.call_plan import NOTICE, CallPlan, DeleteScript, KeepScript, Script, Speech
from recorder.domain.parties import Party
from tests.unit.call.driver import AT, CallDriver

ANNOUNCEMENT = Speech("/prompts/told.wav", timedelta(seconds=3))


def speech(name: str) -> Speech:
    return Speech(f"/prompts/{name}.wav", timedelta(seconds=4))


KEEP = KeepScript(speech("question"), speech("cue"), speech("yes"), speech("no"), speech("none"))
OWN_WORDS = replace(KEEP, question=None)
VOICE = (12_000, 12_400)


def plan(keep: KeepScript | None) -> CallPlan:
    return CallPlan(NOTICE, (Script(ANNOUNCEMENT, keep=keep),))


class Conversation(CallDriver):
    """A recorded call in which two parties speak, the internal one on leg ``b``."""

    def __init__(self, keep: KeepScript | None = KEEP) -> None:
        super().__init__(initial.arrive(plan(keep), AT)[0])
        self.feed(call_events.FolderWritten)
        self.feed(call_events.RecordingStarted, state="announcing")
        self.feed(call_events.PlaybackStarted, sound=ANNOUNCEMENT.path)
        self.feed(call_events.PlaybackEnded, sound=ANNOUNCEMENT.path, complete=True)
        self.feed(call_events.StateReported, state="announced")
        self.connect("b")
        assert self.state.phase is Phase.ANNOUNCED

    def connect(self, leg: str) -> None:
        self.feed(call_events.LegBridged, party=Party("extension", "200"), other=leg, state="announced")

    def dial_keep(self) -> None:
        self.feed(call_events.CodeDialled, code="keep", other="b")

    def start(self, sound: Speech | None) -> None:
        assert sound is not None
        for leg in (call_events.INTERNAL, call_events.EXTERNAL):
            self.feed(call_events.SoundStarted, leg=leg, sound=sound.path)

    def play(self, sound: Speech | None) -> None:
        assert sound is not None
        self.start(sound)
        self.now += sound.length
        for leg in (call_events.EXTERNAL, call_events.INTERNAL):
            self.feed(call_events.SoundEnded, leg=leg, sound=sound.path, complete=True)

    def press(self, key: str, leg: str = call_events.EXTERNAL) -> None:
        self.feed(call_events.KeyPressed, key=key, leg=leg)

    def confirm_yes(self, voice: tuple[int, int] | None = VOICE) -> None:
        """The colleague confirms a yes; ``voice`` is where the external party was found in the recording."""
        self.press("1", call_events.INTERNAL)
        assert self.action_log[-1] is Do.KEEP_CHECK
        self.feed(call_events.VoiceChecked, voice=voice)

    def end(self) -> str | None:
        self.feed(call_events.CallHungUp, cause="NORMAL_CLEARING", hangup=True, state="announced")
        self.feed(call_events.RecordingStopped, hangup=True)
        (finish,) = (one for one in self.action_log if isinstance(one, Finish))
        return finish.reason


DELETE = DeleteScript(speech("delete"), speech("deleted"))


def deletable_plan() -> CallPlan:
    line = plan(KEEP)
    return replace(line, scripts=tuple(replace(one, delete=DELETE) for one in line.scripts))


class DeletableConversation(Conversation):
    """A conversation on a line that lets colleagues delete the recording, unless not ``deletable``."""

    def __init__(self, deletable: bool = True) -> None:
        super().__init__(KEEP)
        if deletable:
            self.state = replace(self.state, plan=deletable_plan())

    def dial(self, code: str, **more: object) -> None:
        self.feed(call_events.CodeDialled, code=code, other="b", **more)

    def ask_to_delete(self, *, complete: bool = True) -> None:
        self.dial("delete")
        self.feed(call_events.SoundStarted, leg=call_events.INTERNAL, sound=DELETE.question.path)
        self.now += DELETE.question.length
        self.feed(
            call_events.SoundEnded, leg=call_events.INTERNAL, sound=DELETE.question.path, complete=complete
        )
