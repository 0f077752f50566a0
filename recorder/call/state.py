"""The state of a call, and the actions that the daemon can take for it.

:class:`CallState` consists of sub-states, each owned by the module that its docstring names. ``at``,
``since`` and the like are times by the switch's clock, in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from recorder.domain.call_plan import CallPlan, Script, Speech
from recorder.domain.markers import Marker
from recorder.domain.parties import Party


class Phase(IntEnum):
    """How far a call has got; see ``phases.py``."""

    ASKING = 0
    RINGING = 1
    ANNOUNCING = 2
    CHOOSING = 3
    ANNOUNCED = 4
    UNRECORDED = 5
    ENDED = 6


class Do(StrEnum):
    """What the daemon can do for a call."""

    OPEN = "open"  # create the call's folder in the spool
    ASK = "ask"  # have the switch answer and play the question; nothing is recorded yet
    RING = "ring"  # let the call ring, to be announced on answer
    BEGIN = "begin"  # have the switch answer (where nobody has), record and announce
    PUT_BACK = "put_back"  # end the recording: the next one starts with the announcement again
    REPEAT = "repeat"  # play the announcement again
    AWAIT_QUIET = "await_quiet"  # play silence until the prompt at the other end is over
    LISTEN = "listen"  # accept a key now: an outbound call accepts none by itself while nothing plays
    RING_ON = "ring_on"  # hand the call back while it can be refused
    REMIND = "remind"  # play the question while it records
    CONFIRM = "confirm"  # tell the switch that the call was announced: the recording may go on
    CUT = "cut"  # end the prompt that plays before the conversation
    DECLINE = "decline"  # stop recording and play that the call is not recorded
    FAIL = "fail"  # give up recording the call
    LET_GO = "let_go"  # let the call go on unrecorded; recording never began
    LEAVE = "leave"  # hand the call back to the switch
    STOP = "stop"  # stop the recording over the standing connection
    DISCARD = "discard"  # destroy the captured audio
    KEEP_ASK = "keep_ask"  # play the keep question to both
    KEEP_CUE = "keep_cue"  # play the colleague the cue to ask in their own words
    KEEP_SINCE = "keep_since"  # remember the length of the recording: the answer comes after it
    KEEP_CHECK = "keep_check"  # search the recording from there on for the external party's voice
    KEEP_CUT = "keep_cut"  # end the sound of the keep question
    KEEP_YES = "keep_yes"  # play to both that the recording is kept
    KEEP_NO = "keep_no"  # play to both that it is not kept for that
    KEEP_NONE = "keep_none"  # play to both that nobody answered
    CHECK_TARGET = "check_target"  # ask the switch whether the transfer target is external
    CHECK_PARTICIPANTS = "check_participants"  # the same of every participant who joined
    NOTIFY = "notify"  # play the transfer notice
    CUT_NOTICE = "cut_notice"  # end the transfer notice
    REFUSED = "refused"  # play the transfer target that the call is not recorded
    DELETE_ASK = "delete_ask"  # ask the colleague to confirm deletion
    DELETED = "deleted"  # stop the recording, and play to both that it is deleted
    MARK_TONE = "mark_tone"  # play the colleague a tone once the marker is written
    PAUSE_TONE = "pause_tone"  # remind the colleague of the pause, where the switch does not
    END_PAUSE_TONE = "end_pause_tone"  # end that reminder
    BEEP = "beep"  # play a tone at an interval: the call is recorded


@dataclass(frozen=True, slots=True)
class Finish:
    """The call has ended. ``reason``: why it is not recorded, ``None`` for a recorded call."""

    reason: str | None
    at: datetime
    internal_party: Party | None


Action = Do | Marker | Finish
"""A :class:`Marker` among the actions is to be written."""

Actions = tuple[Action, ...]


# --- before the conversation


@dataclass(frozen=True, slots=True)
class PromptState:
    """The prompt before the conversation, usually the announcement (``transitions.py``, ``phases.py``).

    ``sound`` plays now or was the last to play; ``tries``: how often it has been started. ``spoiled``: this
    time it was not heard whole; ``interruption``: why, where no hold is the reason. ``talked_over``: it has
    been repeated because another prompt played over it. ``started_at``: when an announcement on answer
    started."""

    sound: Speech
    playing: bool = True
    spoiled: bool = False
    interruption: str = ""
    talked_over: bool = False
    tries: int = 1
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConsentState:
    """The questions before the conversation (``consent_prompt.py``). ``question`` is the open one
    (``language``, ``recording``, or empty), ``language`` the index of the chosen script in the plan, and
    ``wrong_keys`` the number of keys that meant nothing."""

    question: str = ""
    language: int = 0
    wrong_keys: int = 0


@dataclass(frozen=True, slots=True)
class RecordingState:
    """The call's recording and its folder (``phases.py``). ``ordered``: the folder is being created;
    ``on_disk``: it is safe on disk. ``capturing``: the switch records now; ``captured``: it has recorded,
    since ``started`` where we saw that. ``over``: the recording ends before the call does."""

    ordered: bool = False
    on_disk: bool = False
    capturing: bool = False
    captured: bool = False
    started: datetime | None = None
    over: bool = False


@dataclass(frozen=True, slots=True)
class Timer:
    """The one timer of a call (``transitions.until``): when it expires, and how long it was set for."""

    deadline: datetime | None = None
    wait: timedelta = timedelta(0)


# --- the conversation


@dataclass(frozen=True, slots=True)
class InternalState:
    """The internal party (``transfer_notice.py``).

    ``leg`` is the switch's id of the leg at the other end, empty where nobody is there; ``previous_leg`` the
    one before it, and ``last_seen`` the one that an earlier daemon saw there. ``party`` is the last one
    known, and ``connected`` says that the call has been answered."""

    leg: str = ""
    party: Party | None = None
    connected: bool = False
    previous_leg: str = ""
    last_seen: str = ""


@dataclass(frozen=True, slots=True)
class HoldState:
    """Whether the external party holds the call, and when that last ``changed`` since the prompt was ordered
    (``phases.py``)."""

    active: bool = False
    changed: datetime | None = None


@dataclass(frozen=True, slots=True)
class PauseState:
    """A colleague's pause (``feature_codes.py``). ``until``: when the switch ends it by itself, as far as we
    know; ``None``: the recording is not paused."""

    until: datetime | None = None

    def is_active(self, at: datetime) -> bool:
        """Whether the recording is paused at that time. The switch reports no end of a pause."""
        return self.until is not None and at < self.until


class QuestionStep(IntEnum):
    """How far a question in the conversation has got (``keep_question.py``, ``feature_codes.py``)."""

    IDLE = 0
    QUESTION = 1
    ANSWER = 2
    VERDICT = 3
    CHECK = 4


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """The question that is open in the conversation: the keep question (``keep_question.py``; ``how`` is
    ``question`` or ``own_words``), or the one to the colleague before deleting (``feature_codes.py``;
    ``delete``).

    ``sound`` plays; ``started_on`` and ``ended_on`` are the legs on which it started, and came to its end.
    ``pressed``: when a colleague confirmed a yes with a key; ``again``: they have before, but no voice was
    found."""

    step: QuestionStep = QuestionStep.IDLE
    how: str = ""
    sound: str = ""
    started_on: frozenset[str] = frozenset()
    ended_on: frozenset[str] = frozenset()
    pressed: datetime | None = None
    again: bool = False


# --- participants who join later


@dataclass(frozen=True, slots=True)
class TransferTarget:
    """The participant on ``leg`` who is being checked, and once there is a ``sound``, notified
    (``transfer_notice.py``). ``started_at``: when the sound
    started.

    Where they are asked for consent, too (``transfer_consent.py``): ``question_heard``: they heard the
    question whole; ``wrong``: how many keys meant nothing; ``cut``: how often the question was not heard
    whole; ``due``: it is to start again."""

    leg: str
    sound: str = ""
    started_at: datetime | None = None
    question_heard: bool = False
    wrong: int = 0
    cut: int = 0
    due: bool = False


@dataclass(frozen=True, slots=True)
class TransferState:
    """Who knows that the call is recorded (``transfer_notice.py``): ``informed`` holds their names
    (:func:`recorder.call.transfer_target.names`), ``target`` is being notified, and ``refuser`` is the leg of
    the participant whose refusal ended the recording."""

    informed: frozenset[str] = frozenset()
    target: TransferTarget | None = None
    refuser: str = ""


@dataclass(frozen=True, slots=True)
class JoinedParticipant:
    """A participant beside the two at the ends of the call (``conference.py``). ``sounds_heard``: by them, in
    the conversation. ``checked``: the switch has reported whether they are external.
    ``notified``: they are being notified, or were. ``later``: nobody saw them join."""

    leg: str
    party: Party | None
    since: datetime
    sounds_heard: frozenset[str] = frozenset()
    checked: bool = False
    external: bool = False
    notified: bool = False
    later: bool = False


@dataclass(frozen=True, slots=True)
class ConferenceState:
    """The other participants (``conference.py``): in the conference ``name``, or, where that is empty, as
    third parties beside the internal one."""

    name: str = ""
    participants: tuple[JoinedParticipant, ...] = ()


@dataclass(frozen=True, slots=True)
class ListeningSupervisor:
    """A supervisor who listens to the conversation (``eavesdrop.py``). ``heard_by``: who hears them, empty
    until somebody does; ``lane``: the channel of the recording that carries them, empty where none does."""

    leg: str
    party: Party | None
    heard_by: str = ""
    lane: str = ""


# --- the call


@dataclass(frozen=True, slots=True)
class CallState:
    """Everything that the state machine knows about a call.

    ``reason``: why it is not recorded. ``informed``: the announcement was heard whole, and not refused where
    it could be. ``socket_unused``: the call's own socket is no longer needed. ``awaits_turn``: the line at
    the far end announces first. ``keep_answer``: the last answer to the keep question (``yes``, ``no``, or
    empty)."""

    plan: CallPlan
    prompt: PromptState
    phase: Phase = Phase.ANNOUNCING
    reason: str | None = None
    informed: bool = False
    socket_unused: bool = False
    hung_up: bool = False
    awaits_turn: bool = False
    keep_answer: str = ""
    consent: ConsentState = ConsentState()
    recording: RecordingState = RecordingState()
    timer: Timer = Timer()
    internal: InternalState = InternalState()
    hold: HoldState = HoldState()
    pause: PauseState = PauseState()
    question: OpenQuestion = OpenQuestion()
    transfer: TransferState = TransferState()
    conference: ConferenceState = ConferenceState()
    supervisors: tuple[ListeningSupervisor, ...] = ()

    @property
    def in_conversation(self) -> bool:
        """Whether the call is recorded and two parties speak with each other."""
        return self.phase is Phase.ANNOUNCED and bool(self.internal.leg) and not self.hold.active

    @property
    def rings_on(self) -> bool:
        """Whether the call rings, or is connected, while it can still be refused."""
        return self.phase is Phase.CHOOSING and self.socket_unused

    @property
    def script(self) -> Script:
        """The script in the chosen language."""
        return self.plan.scripts[self.consent.language]
