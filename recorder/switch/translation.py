"""Translates FreeSWITCH's events into the events of a call; FreeSWITCH's names end here."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypedDict

from recorder.domain.call_events import (
    CODES,
    EXTERNAL,
    INTERNAL,
    STEREO,
    CallEvent,
    CallHungUp,
    ChannelGone,
    CodecChanged,
    CodeDialled,
    ConferenceEnded,
    HoldEnded,
    HoldStarted,
    KeyPressed,
    LegBridged,
    LegUnbridged,
    PlaybackEnded,
    PlaybackStarted,
    RecordingStarted,
    RecordingStopped,
    SoundEnded,
    SoundStarted,
    StateReported,
)
from recorder.domain.parties import parse_party
from recorder.switch.caller_id import other_party, own_party
from recorder.switch.esl_events import EslEvent

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
"""The events that :func:`observe_talk` understands; of CUSTOM events those in :data:`SUBCLASSES`."""

SUBCLASSES: Final = {f"accord::{code}": code for code in CODES}
"""Feature codes by the subclass of the event that ``freeswitch_conf/dialplan/accord.xml`` binds to them."""

JOINS: Final = ("CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE")
"""Events about two legs that only one of them reports; for a call it may be the other party's leg."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Word(TypedDict):
    """The fields that every :class:`~recorder.domain.call_events.ChannelEvent` has."""

    at: datetime
    state: str
    left: str
    ending: bool
    bridged_at: datetime | None


def observe(event: EslEvent, channel: str = "") -> CallEvent | None:
    """Translate an event for the call whose external leg is ``channel``; ``None`` where it means nothing."""
    if event.name in JOINS and channel and event.uuid != channel:
        return observe_other_end(event)
    reading = _READINGS.get(event.name)
    if reading is None:
        return None
    word = _Word(
        at=event.at,
        state=event.variable("accord_state"),
        left=event.variable("accord_left"),
        ending=_ending(event),
        bridged_at=bridged_time(event),
    )
    return reading(event, word)


def observe_talk(
    event: EslEvent, channel: str, colleague: str
) -> KeyPressed | HoldStarted | HoldEnded | SoundStarted | SoundEnded | CodeDialled | None:
    """Translate an event of two parties who speak with each other: ``channel`` is the external leg,
    ``colleague`` the other one (empty: not known). ``None`` where it means nothing."""
    if event.name == "CUSTOM":
        # The binding has checked whose code it is: only the external leg's peer has it.
        code = SUBCLASSES.get(event.subclass)
        return None if code is None or event.uuid == channel else _dialled(event, code)
    leg = EXTERNAL if event.uuid == channel else INTERNAL if event.uuid == colleague else ""
    if not leg:
        return None
    at, ending = event.at, _ending(event)
    match event.name:
        case "DTMF":
            key = _key(event)
            return KeyPressed(at, ending=ending, key=key, leg=leg) if key else None
        # The external leg's holds are reported by :func:`observe`: the recording is silent then.
        case "CHANNEL_HOLD" if leg == INTERNAL:
            return HoldStarted(at, ending=ending, leg=leg)
        case "CHANNEL_UNHOLD" if leg == INTERNAL:
            return HoldEnded(at, ending=ending, leg=leg)
        case "PLAYBACK_START":
            return SoundStarted(at, event.header("Playback-File-Path"), leg, ending=ending)
        case "PLAYBACK_STOP":
            # The application's own response is the same where it was cut; so is this header where a transfer
            # took the leg away during the sound (seen).
            complete = event.header("Playback-Status") == "done"
            return SoundEnded(at, event.header("Playback-File-Path"), leg, complete, ending=ending)
    return None


def observe_other_end(event: EslEvent) -> LegBridged | LegUnbridged:
    """Translate one of :data:`JOINS` for the leg at its other end. Everything else in the event (variables,
    hang-up) concerns the leg that reports it."""
    if event.name == "CHANNEL_UNBRIDGE":
        return LegUnbridged(event.at, other=event.uuid)
    # The dialplan says who calls from a line, where it knows.
    caller = event.variable("accord_caller")
    party = parse_party(caller) if caller else own_party(event.headers)
    return LegBridged(event.at, party=party, other=event.uuid)


def legs(event: EslEvent) -> tuple[str, str]:
    """Return the two legs of one of :data:`JOINS`."""
    return (event.header("Bridge-A-Unique-ID"), event.header("Bridge-B-Unique-ID"))


def bridged_time(event: EslEvent) -> datetime | None:
    """Return when a channel was last bridged, ``None`` where it never was or has been transferred since: a
    transfer begins a new caller profile, whose time is 0 until the next bridge (seen, also in the
    CHANNEL_UNBRIDGE that a transfer causes)."""
    return _moment(event, "Caller-Channel-Bridged-Time")


def held_since(event: EslEvent) -> datetime | None:
    """Return since when a leg is on hold by the switch's current state, ``None`` where it is not."""
    if event.header("Channel-Call-State") != "HELD":
        return None
    return _moment(event, "Caller-Channel-Last-Hold") or event.at


def _moment(event: EslEvent, name: str) -> datetime | None:
    # As bytes: digits of another script in a text are no number.
    value = event.headers.find(name) or b""
    if not value.isdigit() or len(value) > 17 or int(value) == 0:
        return None
    return _EPOCH + timedelta(microseconds=int(value))


def _ending(event: EslEvent) -> bool:
    return event.header("Answer-State") == "hangup"


def _dialled(event: EslEvent, code: str) -> CodeDialled:
    seconds = event.header("accord_seconds")
    lasts = int(seconds) if re.fullmatch("[0-9]{1,5}", seconds, re.ASCII) else 0
    return CodeDialled(event.at, code, event.uuid, timedelta(seconds=lasts))


def _executed(event: EslEvent, word: _Word) -> CallEvent | None:
    application = event.header("Application")
    if application == "conference":
        return ConferenceEnded(**word)
    if application != "playback":
        return StateReported(**word) if word["state"] else None
    complete = event.header("Application-Response") == "FILE PLAYED"
    return PlaybackEnded(**word, sound=event.header("Application-Data"), complete=complete)


def _bridged(event: EslEvent, word: _Word) -> LegBridged:
    return LegBridged(**word, party=other_party(event.headers), other=event.header("Other-Leg-Unique-ID"))


def _pressed(event: EslEvent, word: _Word) -> KeyPressed | None:
    key = _key(event)
    return KeyPressed(**word, key=key) if key else None


def _key(event: EslEvent) -> str:
    # On a leg with bound codes the switch reports a key twice: on arrival, and as it passes it on (seen).
    key = "" if event.header("DTMF-Source") == "APP" else event.header("DTMF-Digit")
    return key if re.fullmatch(r"[0-9*#A-D]", key) else ""


def _cause(event: EslEvent) -> str:
    return re.sub(r"[^A-Z_]", "", event.header("Hangup-Cause"))[:64]


def _gone(event: EslEvent, word: _Word) -> ChannelGone:
    word["ending"] = True
    return ChannelGone(**word, cause=_cause(event))


def _recording_started(event: EslEvent, word: _Word) -> RecordingStarted | CodecChanged | None:
    if not _is_ours(event):
        return None
    # The switch closes the file and opens it again for another codec: it is one recording.
    if event.variable("accord_turning"):
        return CodecChanged(**word)
    stereo = event.variable("rtp_use_codec_channels") not in ("", "1")
    return RecordingStarted(**word, problem=STEREO if stereo else "")


def _recording_stopped(event: EslEvent, word: _Word) -> RecordingStopped | None:
    if not _is_ours(event) or event.variable("accord_turning"):
        return None
    # Set when the switch accepts a telephone's offer to go on as a fax; it reports nothing else of it (seen).
    return RecordingStopped(**word, fax=event.variable("has_t38") == "true")


def _is_ours(event: EslEvent) -> bool:
    """Whether it is Accord's recording; somebody else may record the same call."""
    return bool(event.recording_variable("accord_recording"))


_READINGS: Final[dict[str, Callable[[EslEvent, _Word], CallEvent | None]]] = {
    "CHANNEL_EXECUTE_COMPLETE": _executed,
    "CHANNEL_BRIDGE": _bridged,
    "CHANNEL_UNBRIDGE": lambda event, word: LegUnbridged(**word, other=event.header("Bridge-B-Unique-ID")),
    "CHANNEL_HOLD": lambda _event, word: HoldStarted(**word),
    "CHANNEL_UNHOLD": lambda _event, word: HoldEnded(**word),
    "CHANNEL_HANGUP_COMPLETE": lambda event, word: CallHungUp(**word, cause=_cause(event)),
    "CHANNEL_DESTROY": _gone,
    "DTMF": _pressed,
    "RECORD_START": _recording_started,
    "RECORD_STOP": _recording_stopped,
    "PLAYBACK_START": lambda event, word: PlaybackStarted(**word, sound=event.header("Playback-File-Path")),
}
