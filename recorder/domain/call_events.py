"""Events of a call: one type for each thing that can happen to it.

``switch/translation.py`` makes them from FreeSWITCH's events; the daemon adds its own, for example that a
deadline has passed. So the state machine (``call/machine.py``) reads one stream of events.

``at`` is the time of the event, in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from recorder.domain.parties import Party

EXTERNAL: Final = "external"
INTERNAL: Final = "internal"
LEGS: Final = (EXTERNAL, INTERNAL)
"""The two sides of a call: the external party's leg, and the internal party's."""

BOTH_HEAR, NOBODY_HEARS = "both", "nobody"
"""Who hears a supervisor, where it is not one side alone (:data:`LEGS`)."""

STEREO: Final = "stereo"
"""Why an attached recording is useless: the leg's codec has two channels (Opus in stereo), so both channels
of the file carry both parties. FreeSWITCH then ignores ``RECORD_STEREO``."""

KEEP, PAUSE, RESUME, MARK, DELETE = CODES = ("keep", "pause", "resume", "mark", "delete")
"""Feature codes that a colleague can dial: ask the keep question, pause the recording, resume it (the switch
does both by itself), mark a moment, and stop and delete."""


@dataclass(frozen=True, slots=True)
class Participant:
    """Another participant of the conversation: their leg and party, and the sounds that they have heard to
    the end in it, whichever call played them."""

    leg: str
    party: Party | None = None
    sounds_heard: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelEvent(Event):
    """Base of the events that the external party's channel reports about itself.

    ``state`` is the switch's state of the call (the variable ``accord_state``; empty where it is not set),
    and ``left`` the state in which the call went on without the daemon: see
    ``freeswitch_conf/dialplan/accord.xml``. ``hangup``: the event is part of a hang-up. ``bridged_at``: when
    the channel was last bridged, ``None`` where it never was, or where a transfer has cleared it."""

    at: datetime = field(kw_only=False)
    state: str = ""
    left: str = ""
    hangup: bool = False
    bridged_at: datetime | None = None


# --- from the external party's channel


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStarted(ChannelEvent):
    """The switch attached the recording. ``problem``: why it is useless (:data:`STEREO`), else empty."""

    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStopped(ChannelEvent):
    """The switch closed the recording's file. ``fax``: a telephone had offered to go on as a fax (T.38)."""

    fax: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecChanged(ChannelEvent):
    """The external party's codec changed, and the recording goes on in the same file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackStarted(ChannelEvent):
    """A sound starts on the call's own socket. ``sound`` is its path."""

    sound: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackEnded(ChannelEvent):
    """A sound on the call's own socket ended. ``complete``: it was played to its end. ``talked_over``: so
    was another prompt at the other end, at the same time."""

    sound: str = ""
    complete: bool = False
    talked_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldStarted(ChannelEvent):
    """A side holds the call. ``since``: when the hold began, where that was learnt later."""

    leg: str = EXTERNAL
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEnded(ChannelEvent):
    """The hold is over. ``since`` as in :class:`HoldStarted`."""

    leg: str = EXTERNAL
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegBridged(ChannelEvent):
    """The external party is connected with ``party``, whose leg is ``other``."""

    party: Party | None = None
    other: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegUnbridged(ChannelEvent):
    """The external party is no longer connected with the leg ``other`` (empty: not known)."""

    other: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPressed(ChannelEvent):
    """A side pressed ``key`` (0 to 9, ``*``, ``#``, A to D). ``other`` is the leg of a participant who is
    neither of the two sides."""

    key: str = ""
    leg: str = EXTERNAL
    other: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceEnded(ChannelEvent):
    """The external party was in a conference until now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateReported(ChannelEvent):
    """Nothing but the switch's state of the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHungUp(ChannelEvent):
    """The call hung up. ``cause`` is the switch's."""

    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelGone(ChannelEvent):
    """The channel no longer exists. ``since``: from when on nobody watched the call, ``None`` where its end
    was seen. ``capturing``: its recording went on after the announcement, so the switch had our
    confirmation."""

    cause: str = ""
    since: datetime | None = None
    capturing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReconciled(ChannelEvent):
    """The daemon is connected to the switch again, and has asked it about this call. Nobody watched it from
    ``since`` to ``at``.

    ``capturing``: it is being recorded. ``other`` and ``party`` are at the other end now. ``paused``: the
    recording is paused. ``paused_at``: when its last pause began, also one that is over (``None``: not known,
    or it had none); a pause ends by itself after ``lasts``. ``held_since`` and
    ``colleague_held_since``: since when the external party and the colleague hold the call (``None``: not).
    ``conference``: the conference that it is in, with ``participants``; ``supervisors`` listen."""

    since: datetime | None = None
    capturing: bool = False
    other: str = ""
    party: Party | None = None
    paused: bool = False
    paused_at: datetime | None = None
    lasts: timedelta = timedelta(0)
    held_since: datetime | None = None
    colleague_held_since: datetime | None = None
    conference: str = ""
    participants: tuple[Participant, ...] = ()
    supervisors: tuple[Participant, ...] = ()


# --- in the conversation


@dataclass(frozen=True, slots=True)
class SoundStarted(Event):
    """A sound that was played into the conversation starts on ``leg``. ``other`` as in
    :class:`KeyPressed`."""

    sound: str
    leg: str = EXTERNAL
    other: str = ""
    hangup: bool = False


@dataclass(frozen=True, slots=True)
class SoundEnded(Event):
    """A sound that was played into the conversation ends. ``complete``: it was played to its end. ``hangup``:
    because the leg hangs up. ``talked_over`` as in :class:`PlaybackEnded`."""

    sound: str
    leg: str = EXTERNAL
    complete: bool = False
    other: str = ""
    hangup: bool = False
    talked_over: bool = False


@dataclass(frozen=True, slots=True)
class CodeDialled(Event):
    """The colleague whose leg is ``other`` dialled ``code``, one of :data:`CODES`. ``lasts``: how long a
    pause lasts until the switch ends it."""

    code: str
    other: str = ""
    lasts: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class CommandGiven(Event):
    """Somebody gave the command ``code`` in the panel or through the API (``by``). ``lasts`` as in
    :class:`CodeDialled`."""

    code: str
    by: str
    lasts: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class VoiceChecked(Event):
    """The recording was searched for the external party's voice. ``voice``: from where to where it was found,
    in milliseconds of audio; ``None`` where it was not."""

    voice: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class LegChecked(Event):
    """The switch reports on the leg ``other``. ``external``: to an external party; ``announced``: its own
    call has been announced."""

    other: str
    external: bool = False
    announced: bool = False


# --- participants and supervisors


@dataclass(frozen=True, slots=True)
class ConferenceJoined(Event):
    """The external party is in ``conference``, with ``participants``."""

    conference: str
    participants: tuple[Participant, ...] = ()


@dataclass(frozen=True, slots=True)
class ConferenceLeft(Event):
    """The external party left the conference."""


@dataclass(frozen=True, slots=True)
class ParticipantsJoined(Event):
    """``participants`` joined the conversation: in its conference, or as a third party."""

    participants: tuple[Participant, ...]


@dataclass(frozen=True, slots=True)
class ParticipantLeft(Event):
    """The participant whose leg is ``other`` left the conversation."""

    other: str


@dataclass(frozen=True, slots=True)
class SupervisorsJoined(Event):
    """``supervisors`` started to listen to the conversation."""

    supervisors: tuple[Participant, ...]


@dataclass(frozen=True, slots=True)
class SupervisorHeard(Event):
    """``heard_by`` (a side, :data:`BOTH_HEAR` or :data:`NOBODY_HEARS`) hears the supervisor whose leg is
    ``other``. ``lane``: the channel of the recording that carries them (``left``, ``right``), empty where
    none does."""

    other: str
    heard_by: str
    lane: str = ""


@dataclass(frozen=True, slots=True)
class SupervisorLeft(Event):
    """The supervisor whose leg is ``other`` stopped listening."""

    other: str


# --- from the daemon


@dataclass(frozen=True, slots=True)
class FarEndReached(Event):
    """At the far end is a line of this switch, and its party hears this call from now on."""


@dataclass(frozen=True, slots=True)
class FarEndAnnounced(Event):
    """The line at the far end has announced its call, and is connected: it is this call's turn."""


@dataclass(frozen=True, slots=True)
class DeadlinePassed(Event):
    """The call's timer has expired."""


@dataclass(frozen=True, slots=True)
class FolderWritten(Event):
    """The call's folder is safe on disk."""


@dataclass(frozen=True, slots=True)
class FolderFailed(Event):
    """The call's folder cannot be written. ``reason``: why the call is not recorded."""

    reason: str = ""


PhaseEvent = (
    RecordingStarted
    | RecordingStopped
    | CodecChanged
    | PlaybackStarted
    | PlaybackEnded
    | HoldStarted
    | HoldEnded
    | LegBridged
    | LegUnbridged
    | KeyPressed
    | ConferenceEnded
    | StateReported
    | CallHungUp
    | ChannelGone
    | CallReconciled
    | DeadlinePassed
    | FolderWritten
    | FolderFailed
    | FarEndReached
    | FarEndAnnounced
)

ParticipantEvent = (
    LegChecked
    | ConferenceJoined
    | ConferenceLeft
    | ParticipantsJoined
    | ParticipantLeft
    | SupervisorsJoined
    | SupervisorHeard
    | SupervisorLeft
)

ConversationEvent = SoundStarted | SoundEnded | CodeDialled | CommandGiven | VoiceChecked
"""Events that count only while two parties are connected."""

CallEvent = PhaseEvent | ParticipantEvent | ConversationEvent
