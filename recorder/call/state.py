"""The values of a call: how far it is, what is known of it, and what can be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from recorder.domain.call_plan import CallPlan, Script, Speech
from recorder.domain.parties import Party


class Phase(IntEnum):
    """How far a call is."""

    ASKING = 0
    RINGING = 1
    ANNOUNCING = 2
    CHOOSING = 3
    ANNOUNCED = 4
    UNRECORDED = 5
    ENDED = 6


class Do(StrEnum):
    """What the daemon can do for a call."""

    OPEN = "open"  # write down the call in the spool
    ASK = "ask"  # have the switch answer and ask; nothing is recorded
    RING = "ring"  # let it ring, to be announced when somebody answers
    BEGIN = "begin"  # have the switch answer (where nobody has), record and announce
    PUT_BACK = "put_back"  # end a recording that begins anew with its announcement
    AGAIN = "again"  # have it announce once more
    LISTEN = "listen"  # take in a key now: where nothing plays on an outbound call, only when told to
    REMIND = "remind"  # have it say the question while it records
    CONFIRM = "confirm"  # it was announced: the recording may go on
    CUT = "cut"  # end what plays before the conversation
    DECLINE = "decline"  # have it stop recording and say that it does not
    FAIL = "fail"  # give up on recording it
    LET_GO = "let_go"  # let it go unrecorded, it was never begun
    LEAVE = "leave"  # hand the call back to the switch
    STOP = "stop"  # stop its recording from outside the call
    DISCARD = "discard"  # destroy what was captured
    KEEP_ASK = "keep_ask"  # ask both whether it may be kept
    KEEP_CUE = "keep_cue"  # tell the colleague to ask in their own words
    KEEP_SINCE = "keep_since"  # remember how far the recording is: an answer comes after it
    KEEP_CHECK = "keep_check"  # look in it whether the outside party has said something since
    KEEP_CUT = "keep_cut"  # end what plays to both of it
    KEEP_YES = "keep_yes"  # tell both that it will be kept
    KEEP_NO = "keep_no"  # and that it will not be, for that
    KEEP_NONE = "keep_none"  # and that nobody answered
    LOOK = "look"  # ask the switch whether who has joined is outside
    LOOK_ROUND = "look_round"  # the same of everybody who came into a room
    TELL = "tell"  # tell them that it is recorded
    CUT_JOINER = "cut_joiner"  # end what plays to who was asked
    REFUSED = "refused"  # tell a joiner who was asked that it is not
    DELETE_ASK = "delete_ask"  # ask the colleague whether to stop the recording and have it destroyed
    DELETED = "deleted"  # stop it, and tell both
    NOTE_TONE = "note_tone"  # tell the colleague that the moment is noted, once it is written
    PAUSE_TONE = "pause_tone"  # remind the colleague that it is paused, where the switch has not
    PAUSE_OVER = "pause_over"  # and no more
    BEEP = "beep"  # a tone at an interval says that it is recorded


@dataclass(frozen=True, slots=True)
class WriteMark:
    """Write down what happened (a :class:`recorder.spool.layout.Mark`)."""

    kind: str
    at: datetime
    data: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Finish:
    """The call has ended; ``reason`` is ``None`` for a recorded one (``take.spool.CallEnd``)."""

    reason: str | None
    at: datetime
    inside: Party | None


Action = Do | WriteMark | Finish
Actions = tuple[Action, ...]


class KeepStep(IntEnum):
    """How far a question in the conversation is (``keep_question.py``, ``feature_codes.py``)."""

    IDLE = 0
    QUESTION = 1
    ANSWER = 2
    VERDICT = 3
    CHECK = 4


@dataclass(frozen=True, slots=True)
class Asking:
    """A question in the conversation: about keeping, and then ``how`` is ``question`` or ``own_words``; or
    ``delete``, and then only to the colleague.  ``sound`` plays; ``began`` and ``heard`` are the legs on
    which it began, and came to its end.  ``pressed``: when a colleague said that it was answered with
    yes, and ``again``: they had said so before, and nobody was heard."""

    step: KeepStep = KeepStep.IDLE
    how: str = ""
    sound: str = ""
    began: frozenset[str] = frozenset()
    heard: frozenset[str] = frozenset()
    pressed: datetime | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Telling:
    """Somebody who has joined, on ``leg``: asked about, and once there is a ``sound``, told
    (``transfer_notice.py``).  ``began``: when the sound did, by the switch's clock.  Where they are asked
    (``transfer_consent.py``), ``heard``: the question, whole, ``wrong``: how many keys meant nothing,
    ``cut``: how often it was not heard whole, and ``due``: it is to begin again."""

    leg: str
    sound: str = ""
    began: datetime | None = None
    heard: bool = False
    wrong: int = 0
    cut: int = 0
    due: bool = False


@dataclass(frozen=True, slots=True)
class Present:
    """Somebody else in the conversation beside who is at the other end: in a conference, or a third one
    (``conference.py``).  ``asked``: the switch has said whether they are ``outside``.  ``tried``: they are
    being told, or were.  ``later``: nobody saw them come."""

    leg: str
    party: Party | None
    since: datetime
    heard: frozenset[str] = frozenset()
    asked: bool = False
    outside: bool = False
    tried: bool = False
    later: bool = False


@dataclass(frozen=True, slots=True)
class Eavesdropper:
    """Somebody who listens to the conversation (``eavesdrop.py``).  ``heard_by``: who hears them, empty as
    long as nobody did; ``lane``: the channel of the recording that they are in, empty where in none."""

    leg: str
    party: Party | None
    heard_by: str = ""
    lane: str = ""


@dataclass(frozen=True, slots=True)
class CallState:
    """What is known of a call.

    ``language`` is which of the plan's scripts is said; ``said`` the sound that plays or was played last,
    ``asking`` what the question is about (``language``, ``recording``). ``wrong``: how many keys meant
    nothing. ``spoiled``: this playing was not heard whole,
    ``recoded``: for the codec changed in it. ``told``: the announcement was, and whoever
    could refuse did not. ``opened``: its folder was ordered. ``leaving``: the call's own socket is done
    with. ``deadline``: when we stop waiting, and ``wait`` how long that was when it was set. ``turned``:
    when a hold last began or ended, since the sound was ordered. ``taped``: since when it is recorded,
    where we saw it begin. ``began``: when the announcement at pick-up did, by the switch's clock.
    ``colleague`` is the switch's id of the leg at the other end, empty where nobody is, ``asked`` the
    question that is open between them, and ``kept`` what was last answered about keeping (``yes``, ``no``).
    ``paused_until``: when the switch ends by itself, as far as we know, that it masks the recording.
    ``knowing``: who knows that it is recorded
    (:func:`recorder.call.transfer_target.names`); ``telling`` is who is being told; ``last_there`` the leg
    that an earlier daemon last saw at the other end.  ``over``: its take ends before the call does, and
    ``refuser`` is the leg of the joiner who did not agree to it, where that is why.  ``room``: the conference
    that it is in, ``others`` who is there, or as a third one beside the colleague, whose leg was ``before``
    if they have left.  ``listeners``: who listens to it.
    """

    plan: CallPlan
    said: Speech
    phase: Phase = Phase.ANNOUNCING
    reason: str | None = None
    language: int = 0
    asking: str = ""
    wrong: int = 0
    tries: int = 1
    playing: bool = True
    spoiled: bool = False
    recoded: bool = False
    told: bool = False
    opened: bool = False
    on_disk: bool = False
    leaving: bool = False
    held: bool = False
    turned: datetime | None = None
    capturing: bool = False
    captured: bool = False
    taped: datetime | None = None
    connected: bool = False
    hung_up: bool = False
    inside: Party | None = None
    deadline: datetime | None = None
    wait: timedelta = timedelta(0)
    colleague: str = ""
    began: datetime | None = None
    asked: Asking = Asking()
    kept: str = ""
    paused_until: datetime | None = None
    knowing: frozenset[str] = frozenset()
    telling: Telling | None = None
    last_there: str = ""
    over: bool = False
    refuser: str = ""
    room: str = ""
    others: tuple[Present, ...] = ()
    listeners: tuple[Eavesdropper, ...] = ()
    before: str = ""

    @property
    def talking(self) -> bool:
        """Whether it is recorded, and two speak with each other."""
        return self.phase is Phase.ANNOUNCED and bool(self.colleague) and not self.held

    def paused(self, at: datetime) -> bool:
        """Whether the switch masks the recording then, as far as we know: it ends that by itself, and tells
        nobody."""
        return self.paused_until is not None and at < self.paused_until

    @property
    def script(self) -> Script:
        """What it is told, in the language that was chosen."""
        return self.plan.scripts[self.language]
