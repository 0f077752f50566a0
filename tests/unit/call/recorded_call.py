"""A recorded call that further participants join."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from recorder.call import initial
from recorder.call.state import Action, Do, Finish, Phase
from recorder.call.transfer_target import is_beside
from recorder.domain.call_events import (
    INTERNAL,
    CallReconciled,
    FolderWritten,
    KeyPressed,
    LegBridged,
    LegChecked,
    LegUnbridged,
    PlaybackEnded,
    PlaybackStarted,
    RecordingStarted,
    RecordingStopped,
    SoundEnded,
    SoundStarted,
    StateReported,
)
from recorder.domain.call_plan import (
    ALONE,
    NOTICE,
    OPT_IN,
    CallPlan,
    DeleteScript,
    KeepScript,
    Script,
    Speech,
    TransferNoticeScript,
)
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from tests.unit.call.driver import AT, CallDriver

ANNOUNCEMENT = Speech("/prompts/told.wav", timedelta(seconds=3))
SENTENCE = Speech("/prompts/joining.wav", timedelta(seconds=2))
FIRST, SECOND = Party("extension", "200"), Party("extension", "300")


def plan(how: str | None = ALONE, at_pickup: bool = False, keep: KeepScript | None = None) -> CallPlan:
    notice = None if how is None else TransferNoticeScript(SENTENCE, how)
    return CallPlan(NOTICE, (Script(ANNOUNCEMENT, keep=keep, transfer_notice=notice),), at_pickup=at_pickup)


class RecordedCall(CallDriver):
    """A recorded call with the first colleague, whose leg is ``b``; ``checked``: the switch has reported that
    it is internal."""

    def __init__(self, line: CallPlan | None = None, checked: bool = True) -> None:
        super().__init__(initial.arrive(line or plan(), AT)[0])
        self.feed(FolderWritten)
        if self.state.plan.at_pickup:
            self.connect("b", FIRST, "pickup")
        self.feed(RecordingStarted, state="announcing")
        if self.state.plan.at_pickup:
            self.feed(SoundStarted, sound=ANNOUNCEMENT.path)
            self.now += ANNOUNCEMENT.length
            self.feed(SoundEnded, sound=ANNOUNCEMENT.path, complete=True)
            self.feed(StateReported, state="announced")
        else:
            self.feed(PlaybackStarted, sound=ANNOUNCEMENT.path)
            self.feed(PlaybackEnded, sound=ANNOUNCEMENT.path, complete=True)
            self.feed(StateReported, state="announced")
            self.connect("b", FIRST)
            if checked:
                self.feed(LegChecked, other="b")
        assert self.state.phase is Phase.ANNOUNCED

    def connect(self, leg: str, party: Party, state: str = "announced") -> None:
        self.feed(LegBridged, party=party, other=leg, state=state)

    def unbridge(self, leg: str = "") -> None:
        self.feed(LegUnbridged, other=leg, state="announced")

    def transfer(self, leg: str, party: Party, external: bool = False) -> None:
        """Connect another party, and report whether they are external."""
        self.unbridge()
        self.connect(leg, party)
        self.feed(LegChecked, other=leg, external=external)

    def start_notice(self) -> None:
        self.feed(SoundStarted, leg=INTERNAL, sound=SENTENCE.path, other=self.third)

    def end_notice(self, length: timedelta = SENTENCE.length, **more: object) -> None:
        self.now += length
        more = {"complete": True, "other": self.third, **more}
        self.feed(SoundEnded, leg=INTERNAL, sound=SENTENCE.path, **more)

    @property
    def third(self) -> str:
        """The leg of the third party who is being notified; empty for a transfer target."""
        target = self.state.transfer.target
        if target is None or self.state.conference.name or not is_beside(self.state, target.leg):
            return ""
        return target.leg


AnyCall = TypeVar("AnyCall", bound=RecordedCall)


def resumed(call: AnyCall) -> AnyCall:
    """Return the call as another daemon resumes it from its markers."""
    markers = [one for one in call.action_log if isinstance(one, Marker)]
    later = object.__new__(type(call))
    CallDriver.__init__(later, initial.resume(call.state.plan, markers, call.now), call.now)
    later.action_log += markers
    return later


def reconcile(call: RecordedCall, leg: str, party: Party | None) -> list[Action]:
    """Report the party at the other end after a reconnect; return the actions, without markers of the gap."""
    before = len(call.action_log)
    call.feed(CallReconciled, since=call.now, state="announced", capturing=True, other=leg, party=party,
              bridged_at=AT)  # fmt: skip
    actions = [one for one in call.action_log[before:] if one is not Do.LEAVE]
    return [one for one in actions if not (isinstance(one, Marker) and "unobserved" in one.kind)]


REFUSED = Speech("/prompts/refused.wav", timedelta(seconds=1))
PROMPT = Speech("/prompts/said.wav", timedelta(seconds=2))
KEEP = KeepScript(PROMPT, PROMPT, PROMPT, PROMPT, PROMPT)
DELETE = DeleteScript(PROMPT, PROMPT)


def consent_script(how: str = ALONE) -> Script:
    return Script(
        ANNOUNCEMENT,
        PROMPT,
        REFUSED,
        keep=KEEP,
        delete=DELETE,
        transfer_notice=TransferNoticeScript(SENTENCE, how, REFUSED),
    )


class ConsentCall(RecordedCall):
    """A call on a line that asks for consent, resumed while the first colleague speaks on leg ``b``."""

    def __init__(self, mode: str = OPT_IN, how: str = ALONE) -> None:
        answer = "yes" if mode == OPT_IN else "none"
        markers = [
            Marker(AT, "recording_started"),
            Marker(AT, "announcement_finished"),
            Marker(AT, "question_answered", {"question": "recording", "answer": answer}),
            Marker(AT, "bridged", {"party": FIRST.kind, "value": FIRST.value, "leg": "b"}),
        ]
        CallDriver.__init__(self, initial.resume(CallPlan(mode, (consent_script(how),)), markers, AT))
        self.action_log += markers
        self.feed(CallReconciled, since=AT, state="announced", capturing=True, other="b", party=FIRST,
                  bridged_at=AT)  # fmt: skip
        self.feed(LegChecked, other="b")

    def play_question(self) -> None:
        self.start_notice()
        self.end_notice()

    def press(self, key: str, leg: str = INTERNAL, **more: object) -> None:
        self.feed(KeyPressed, key=key, leg=leg, **more)

    def assert_refused(self, answer: str, key: str = "") -> None:
        """The recording has ended, and is kept up to there."""
        assert self.markers("transfer_question_refused") == [
            {"answer": answer, **({"key": key} if key else {})}
        ]
        assert self.count(Do.STOP) == 1
        assert self.state.recording.over
        assert self.state.transfer.target is None
        self.feed(RecordingStopped)
        finish = self.action_log[-1]
        assert isinstance(finish, Finish)
        assert finish.reason is None

    def assert_answered(self, answer: str) -> None:
        assert [each["answer"] for each in self.markers("transfer_question_answered")] == [answer]
        assert not self.state.recording.over
        assert self.state.transfer.target is None
        assert self.state.timer.deadline is None
