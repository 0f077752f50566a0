"""What an event of the switch means for a call: FreeSWITCH's names end here.

:func:`observe` turns a :class:`~recorder.switch.esl_events.CallEvent` into an :class:`Observed`, or into
``None`` where it says nothing to us.  What only the daemon knows (a deadline has passed, a disk is full)
is said with the same value, so that a call has one stream of what happens to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from recorder.switch.caller_id import other_party, own_party, party
from recorder.switch.esl_events import CallEvent

OUTSIDE: Final = "outside"
COLLEAGUE: Final = "colleague"

BOTH_HEAR, NOBODY_HEARS = "both", "nobody"

STEREO: Final = "stereo"
"""Why a recording that was attached is none: the leg has two channels of its own (Opus in stereo), so both
parties would be in both.  FreeSWITCH then ignores ``RECORD_STEREO``."""


class What(StrEnum):
    """What can happen to a call.  From the switch:"""

    RECORDING = "recording"  # the switch attached our recording; ``cause`` where it is none (:data:`STEREO`)
    RECORDED = "recorded"  # and closed its file
    TURNED = "turned"  # and went on in it for another codec of the outside leg
    PLAYING = "playing"  # a sound starts; ``sound`` is its path
    PLAYED = "played"  # a sound ended; ``complete`` if by itself
    HELD = "held"
    UNHELD = "unheld"
    BRIDGED = "bridged"  # ``party`` is who they speak with
    UNBRIDGED = "unbridged"
    ENTERED = "entered"  # the outside leg is in the conference ``room``, with ``there``
    CAME = "came"  # ``there`` came into their conversation: into the room, or as a third one
    WENT = "went"  # ``other`` is in it no more
    LEFT_ROOM = "left_room"  # the outside leg left the room
    LISTENS = "listens"  # ``there`` listen to their conversation
    SPEAKS = "speaks"  # ``heard_by`` hears ``other``, who listens; in the recording's ``lane``, or nowhere
    LISTENED = "listened"  # ``other`` listens no more
    HUNG_UP = "hung_up"  # ``cause``
    KEY = "key"  # ``key`` was pressed on ``leg``
    CODE = "code"  # the colleague dialled ``code``, one of :data:`CODES`
    BEGAN = "began"  # a sound that is played to both begins on ``leg``
    HEARD = "heard"  # and ends; ``complete`` if by itself
    GONE = "gone"  # the channel is no more; ``ending`` where we saw it go, ``capturing`` if its recording
    #                went on after the announcement, so that the switch had our word for it
    MET = "met"  # the outside party was in a conference until now
    STATE = "state"  # nothing but the switch's word on the call, ``state``

    # From the daemon:
    DEADLINE = "deadline"  # the time for announcing is over
    ON_DISK = "on_disk"  # the call's folder is on disk for good
    NO_DISK = "no_disk"  # the call's folder cannot be written; ``cause`` is why it is not recorded
    UNWATCHED = (
        "unwatched"  # nobody saw this call from ``since`` to ``at``; ``other`` and ``party`` are there now
    )
    LOOKED = "looked"  # the switch was asked about the leg ``other``: ``outside`` where it leads there,
    #                    ``told`` where its own call has been announced
    VOICE = "voice"  # the recording was looked through for what the outside party says; ``voice`` is where
    ASKED = (
        "asked"  # somebody asked for ``code`` in the panel or by an API (``by``): ``call/remote_commands.py``
    )


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody else in a conversation: their leg, who they are (as ``Observed.party``), and the sounds that
    they have heard whole in it, whichever call had them played."""

    leg: str
    party: tuple[str, str] | None = None
    heard: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Observed:
    """One thing that happened to one call.

    ``state`` is the switch's own word on the call (``accord_state``; empty where it has none) and ``left``
    the state in which it went on without us; see ``freeswitch_conf/dialplan/accord.xml``.  ``ending``: it
    happened because the call hangs up.  ``key``: one of 0 to 9, ``*``, ``#``, A to D.  ``bridged_at``: see
    :func:`bridged_time`.  ``party`` is (kind, value) as in
    :class:`recorder.spool.layout.Party`.  ``leg``: on which side, :data:`OUTSIDE` or :data:`COLLEAGUE`;
    ``other`` is the switch's id of the colleague's leg.  ``lasts`` is how long a pause is before the switch
    ends it, ``paused`` whether it is masked now, and ``paused_at`` since when (``None``: not known).
    ``held_since``, ``colleague_held_since``: since when either holds now (``None``: they do not).  ``fax``: a
    telephone has offered to go on as a fax (T.38).  ``by``: where it was asked for, if not on the telephone.
    ``heard_by``: :data:`OUTSIDE`, :data:`COLLEAGUE`, :data:`BOTH_HEAR` or :data:`NOBODY_HEARS`; ``lane``:
    ``left``, ``right`` or empty.  ``voice``: from where to where, in milliseconds of audio, ``None`` where
    nobody was heard.
    """

    what: What
    at: datetime
    state: str = ""
    left: str = ""
    ending: bool = False
    sound: str = ""
    complete: bool = False
    party: tuple[str, str] | None = None
    cause: str = ""
    key: str = ""
    code: str = ""
    by: str = ""
    lasts: timedelta = timedelta(0)
    paused: bool = False
    paused_at: datetime | None = None
    held_since: datetime | None = None
    colleague_held_since: datetime | None = None
    leg: str = OUTSIDE
    other: str = ""
    bridged_at: datetime | None = None
    since: datetime | None = None
    capturing: bool = False
    outside: bool = False
    told: bool = False
    fax: bool = False
    room: str = ""
    there: tuple[Person, ...] = ()
    listening: tuple[Person, ...] = ()
    heard_by: str = ""
    lane: str = ""
    voice: tuple[int, int] | None = None


WANTED: Final = (
    "CHANNEL_EXECUTE_COMPLETE",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_HOLD",
    "CHANNEL_UNHOLD",
    "CHANNEL_HANGUP_COMPLETE",
    "CHANNEL_DESTROY",
    "RECORD_START",
    "RECORD_STOP",
    "PLAYBACK_START",
    "DTMF",
)
"""The events that :func:`observe` understands."""

IN_TALK: Final = ("PLAYBACK_START", "PLAYBACK_STOP", "DTMF", "CHANNEL_HOLD", "CHANNEL_UNHOLD", "CUSTOM")
"""What :func:`observe_talk` understands; of CUSTOM events those of :data:`SUBCLASSES`."""

KEEP, PAUSE, RESUME, NOTE, DELETE = CODES = ("keep", "pause", "resume", "note", "delete")
"""What a colleague can dial a code for: to ask whether the recording may be kept, to pause it and to go on
with it (the switch has done so), to note a moment, to stop it and have it destroyed."""

SUBCLASSES: Final = {f"accord::{code}": code for code in CODES}
"""The events that ``freeswitch_conf/dialplan/accord.xml`` binds to these codes."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


JOINS: Final = ("CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE")
"""What is told of two legs, by one of them: of the outside leg it may be the other one that tells."""


def observe(event: CallEvent, channel: str = "") -> Observed | None:
    """The meaning of an event, ``None`` where it has none for the call whose outside leg is ``channel``."""
    if event.name in JOINS and channel and event.uuid != channel:
        return observe_other_end(event)
    reading = _READINGS.get(event.name)
    if reading is None:
        return None
    base = Observed(
        What.STATE,
        event.at,
        state=event.variable("accord_state"),
        left=event.variable("accord_left"),
        ending=event.header("Answer-State") == "hangup",
        bridged_at=bridged_time(event),
    )
    return reading(event, base)


def observe_talk(event: CallEvent, channel: str, colleague: str) -> Observed | None:
    """The meaning of an event for two who speak with each other: the outside leg is ``channel``, the other
    one ``colleague`` (empty where it is not known).  ``None`` where it has none."""
    leg = OUTSIDE if event.uuid == channel else COLLEAGUE if event.uuid == colleague else ""
    base = Observed(What.STATE, event.at, leg=leg, ending=event.header("Answer-State") == "hangup")
    if event.name == "CUSTOM":
        # Whose code it is, the binding has looked at: it is the one of the outside leg's peer alone.
        code = SUBCLASSES.get(event.subclass)
        return None if code is None or event.uuid == channel else _dialled(event, base, code)
    if not leg:
        return None
    if event.name == "DTMF":
        return _pressed(event, base)
    if event.name in ("CHANNEL_HOLD", "CHANNEL_UNHOLD"):
        # The outside leg's are told otherwise: the take is silent then.
        what = What.HELD if event.name == "CHANNEL_HOLD" else What.UNHELD
        return replace(base, what=what) if leg == COLLEAGUE else None
    if event.name not in ("PLAYBACK_START", "PLAYBACK_STOP"):
        return None
    return replace(
        base,
        what=What.BEGAN if event.name == "PLAYBACK_START" else What.HEARD,
        sound=event.header("Playback-File-Path"),
        # The application's own response is the same where it was cut; and this where a transfer called the
        # leg away in it (seen).
        complete=event.header("Playback-Status") == "done",
    )


def _dialled(event: CallEvent, base: Observed, code: str) -> Observed:
    seconds = event.header("accord_seconds")
    lasts = int(seconds) if re.fullmatch("[0-9]{1,5}", seconds, re.ASCII) else 0
    return replace(
        base, what=What.CODE, leg=COLLEAGUE, code=code, other=event.uuid, lasts=timedelta(seconds=lasts)
    )


def _executed(event: CallEvent, base: Observed) -> Observed | None:
    application = event.header("Application")
    if application == "conference":
        return replace(base, what=What.MET)
    if application != "playback":
        return base if base.state else None
    return replace(
        base,
        what=What.PLAYED,
        sound=event.header("Application-Data"),
        complete=event.header("Application-Response") == "FILE PLAYED",
    )


def _bridged(event: CallEvent, base: Observed) -> Observed:
    other = other_party(event.headers)
    leg = event.header("Other-Leg-Unique-ID")
    return replace(base, what=What.BRIDGED, party=(other.kind, other.value), other=leg)


def _unbridged(event: CallEvent, base: Observed) -> Observed:
    return replace(base, what=What.UNBRIDGED, other=event.header("Bridge-B-Unique-ID"))


def legs(event: CallEvent) -> tuple[str, ...]:
    """The two that are connected or parted, by one of :data:`JOINS`."""
    return (event.header("Bridge-A-Unique-ID"), event.header("Bridge-B-Unique-ID"))


def observe_other_end(event: CallEvent) -> Observed | None:
    """The meaning of one of :data:`JOINS` for the leg at its other end.  What else it says (its variables and
    its hang-up among it) is of the leg that tells."""
    if event.name == "CHANNEL_UNBRIDGE":
        return Observed(What.UNBRIDGED, event.at, other=event.uuid)
    # Who calls from a line is the dialplan's word, where it has one.
    caller = event.variable("accord_caller")
    who = party(caller) if caller else own_party(event.headers)
    return Observed(What.BRIDGED, event.at, party=(who.kind, who.value), other=event.uuid)


def _hung_up(event: CallEvent, base: Observed) -> Observed:
    return replace(base, what=What.HUNG_UP, cause=_cause(event))


def _gone(event: CallEvent, base: Observed) -> Observed:
    return replace(base, what=What.GONE, ending=True, cause=_cause(event))


def _pressed(event: CallEvent, base: Observed) -> Observed | None:
    # With codes bound on a leg a key is told of twice: when it comes, and when it is given on (seen).
    key = "" if event.header("DTMF-Source") == "APP" else event.header("DTMF-Digit")
    return replace(base, what=What.KEY, key=key) if re.fullmatch(r"[0-9*#A-D]", key) else None


def _cause(event: CallEvent) -> str:
    return re.sub(r"[^A-Z_]", "", event.header("Hangup-Cause"))[:64]


def bridged_time(event: CallEvent) -> datetime | None:
    """When a channel was last connected with another, ``None`` where it never was, or has been transferred
    since: with a transfer FreeSWITCH begins a new profile, whose time is 0 until the next bridge (seen, also
    in the CHANNEL_UNBRIDGE that a transfer causes)."""
    return _moment(event, "Caller-Channel-Bridged-Time")


def held_since(event: CallEvent) -> datetime | None:
    """Since when a leg holds, by what the switch says of it now; ``None`` where it does not."""
    if event.header("Channel-Call-State") != "HELD":
        return None
    return _moment(event, "Caller-Channel-Last-Hold") or event.at


def _moment(event: CallEvent, name: str) -> datetime | None:
    # As bytes: a text may be digits of another script, which are no number.
    value = event.headers.find(name) or b""
    if not value.isdigit() or len(value) > 17 or int(value) == 0:
        return None
    return _EPOCH + timedelta(microseconds=int(value))


def _recording(what: What) -> Callable[[CallEvent, Observed], Observed | None]:
    def read(event: CallEvent, base: Observed) -> Observed | None:
        # Somebody else's recording of the same call is none of our business.
        if not event.recording_variable("accord_recording"):
            return None
        # The switch closes the file and opens it again for another codec: it is one recording.
        if event.variable("accord_turning"):
            return replace(base, what=What.TURNED) if what is What.RECORDING else None
        stereo = what is What.RECORDING and event.variable("rtp_use_codec_channels") not in ("", "1")
        cause = STEREO if stereo else ""
        # Set as a telephone's offer to go on as a fax is taken in, of which the switch tells nothing (seen).
        fax = event.variable("has_t38") == "true"
        return replace(base, what=what, sound=event.header("Record-File-Path"), cause=cause, fax=fax)

    return read


def _simple(what: What) -> Callable[[CallEvent, Observed], Observed | None]:
    return lambda event, base: replace(base, what=what)


_READINGS: Final[dict[str, Callable[[CallEvent, Observed], Observed | None]]] = {
    "CHANNEL_EXECUTE_COMPLETE": _executed,
    "CHANNEL_BRIDGE": _bridged,
    "CHANNEL_UNBRIDGE": _unbridged,
    "CHANNEL_HOLD": _simple(What.HELD),
    "CHANNEL_UNHOLD": _simple(What.UNHELD),
    "CHANNEL_HANGUP_COMPLETE": _hung_up,
    "CHANNEL_DESTROY": _gone,
    "DTMF": _pressed,
    "RECORD_START": _recording(What.RECORDING),
    "RECORD_STOP": _recording(What.RECORDED),
    "PLAYBACK_START": lambda event, base: replace(
        base, what=What.PLAYING, sound=event.header("Playback-File-Path")
    ),
}
