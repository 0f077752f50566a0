"""Translates FreeSWITCH's events into the events of a call."""

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
from recorder.switch.caller_id import own_party, peer_party
from recorder.switch.esl_events import EslEvent

CALL_EVENTS: Final = (
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
"""The events that :func:`translate` reads."""

TALK_EVENTS: Final = ("PLAYBACK_START", "PLAYBACK_STOP", "DTMF", "CHANNEL_HOLD", "CHANNEL_UNHOLD", "CUSTOM")
"""The events that :func:`translate_talk` reads; of CUSTOM events those in :data:`CODE_SUBCLASSES`."""

CODE_SUBCLASSES: Final = {f"accord::{code}": code for code in CODES}
"""Feature codes, by the subclass of the event that ``freeswitch_conf/dialplan/accord.xml`` binds to them."""

AGAIN: Final = "again"
"""``accord_turning`` while the switch reopens the recording before it repeats a prompt; otherwise it has the
rate of the external party's new codec."""

BRIDGE_EVENTS: Final = ("CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE")
"""Events about two legs that only one leg reports, which may be the internal one."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Fields(TypedDict):
    """The fields of every :class:`~recorder.domain.call_events.ChannelEvent`."""

    at: datetime
    state: str
    left: str
    hangup: bool
    bridged_at: datetime | None


def translate(event: EslEvent, channel: str = "") -> CallEvent | None:
    """Translate an event for the call whose external leg is ``channel``; ``None`` if it is irrelevant."""
    if event.name in BRIDGE_EVENTS and channel and event.uuid != channel:
        return translate_for_peer(event)
    translator = _TRANSLATORS.get(event.name)
    if translator is None:
        return None
    fields = _Fields(
        at=event.at,
        state=event.variable("accord_state"),
        left=event.variable("accord_left"),
        hangup=_call_ends(event),
        bridged_at=bridged_time(event),
    )
    return translator(event, fields)


def translate_talk(
    event: EslEvent, channel: str, internal: str
) -> KeyPressed | HoldStarted | HoldEnded | SoundStarted | SoundEnded | CodeDialled | None:
    """Translate an event of two bridged legs: ``channel`` is the external one, ``internal`` the other (empty:
    not known). ``None`` if it is irrelevant."""
    if event.name == "CUSTOM":
        # Only the peer of the external leg has the binding, so the code is the internal party's.
        code = CODE_SUBCLASSES.get(event.subclass)
        return None if code is None or event.uuid == channel else _code_dialled(event, code)
    leg = EXTERNAL if event.uuid == channel else INTERNAL if event.uuid == internal else ""
    if not leg:
        return None
    at, end_reason = event.at, _call_ends(event)
    match event.name:
        case "DTMF":
            key = _key(event)
            return KeyPressed(at, hangup=end_reason, key=key, leg=leg) if key else None
        # :func:`translate` reports the external leg's holds, during which the recording is silent.
        case "CHANNEL_HOLD" if leg == INTERNAL:
            return HoldStarted(at, hangup=end_reason, leg=leg)
        case "CHANNEL_UNHOLD" if leg == INTERNAL:
            return HoldEnded(at, hangup=end_reason, leg=leg)
        case "PLAYBACK_START":
            return SoundStarted(at, event.header("Playback-File-Path"), leg, hangup=end_reason)
        case "PLAYBACK_STOP":
            # The application's response is the same if the sound was cut; so is this header if a transfer
            # took the leg away during the sound (observed).
            complete = event.header("Playback-Status") == "done"
            return SoundEnded(at, event.header("Playback-File-Path"), leg, complete, hangup=end_reason)
    return None


def translate_for_peer(event: EslEvent) -> LegBridged | LegUnbridged:
    """Translate one of :data:`BRIDGE_EVENTS` for the other leg. Everything else in the event (variables,
    hang-up) concerns the leg that reports it."""
    if event.name == "CHANNEL_UNBRIDGE":
        return LegUnbridged(event.at, other=event.uuid)
    # The dialplan may have set the line that the party calls from.
    caller = event.variable("accord_caller")
    party = parse_party(caller) if caller else own_party(event.headers)
    return LegBridged(event.at, party=party, other=event.uuid)


def bridge_legs(event: EslEvent) -> tuple[str, str]:
    """Return the two legs of one of :data:`BRIDGE_EVENTS`."""
    return (event.header("Bridge-A-Unique-ID"), event.header("Bridge-B-Unique-ID"))


def bridged_time(event: EslEvent) -> datetime | None:
    """Return when a channel was last bridged; ``None`` if it never was, or has been transferred since. A
    transfer begins a new caller profile, whose time is 0 until the next bridge (observed, also in the
    CHANNEL_UNBRIDGE that a transfer causes)."""
    return _moment(event, "Caller-Channel-Bridged-Time")


def held_since(event: EslEvent) -> datetime | None:
    """Return since when a leg is on hold, according to the switch; ``None`` if it is not."""
    if event.header("Channel-Call-State") != "HELD":
        return None
    return _moment(event, "Caller-Channel-Last-Hold") or event.at


def _moment(event: EslEvent, name: str) -> datetime | None:
    # Checked as bytes, because str.isdigit() accepts digits of other scripts.
    value = event.headers.find(name) or b""
    if not value.isdigit() or len(value) > 17 or int(value) == 0:
        return None
    return _EPOCH + timedelta(microseconds=int(value))


def _call_ends(event: EslEvent) -> bool:
    return event.header("Answer-State") == "hangup"


def _code_dialled(event: EslEvent, code: str) -> CodeDialled:
    seconds = event.header("accord_seconds")
    lasts = int(seconds) if re.fullmatch("[0-9]{1,5}", seconds, re.ASCII) else 0
    return CodeDialled(event.at, code, event.uuid, timedelta(seconds=lasts))


def _executed(event: EslEvent, fields: _Fields) -> CallEvent | None:
    application = event.header("Application")
    if application == "conference":
        return ConferenceEnded(**fields)
    if application != "playback":
        return StateReported(**fields) if fields["state"] else None
    complete = event.header("Application-Response") == "FILE PLAYED"
    return PlaybackEnded(**fields, sound=event.header("Application-Data"), complete=complete)


def _bridged(event: EslEvent, fields: _Fields) -> LegBridged:
    return LegBridged(**fields, party=peer_party(event.headers), other=event.header("Other-Leg-Unique-ID"))


def _pressed(event: EslEvent, fields: _Fields) -> KeyPressed | None:
    key = _key(event)
    return KeyPressed(**fields, key=key) if key else None


def _key(event: EslEvent) -> str:
    # On a leg with bound codes the switch reports a key twice: on arrival and when passing it on (observed).
    key = "" if event.header("DTMF-Source") == "APP" else event.header("DTMF-Digit")
    return key if re.fullmatch(r"[0-9*#A-D]", key) else ""


def _cause(event: EslEvent) -> str:
    return re.sub(r"[^A-Z_]", "", event.header("Hangup-Cause"))[:64]


def _channel_gone(event: EslEvent, fields: _Fields) -> ChannelGone:
    fields["hangup"] = True
    return ChannelGone(**fields, cause=_cause(event))


def _recording_started(event: EslEvent, fields: _Fields) -> RecordingStarted | CodecChanged | None:
    if not _is_ours(event):
        return None
    # The switch closes the file and opens it again, for another codec or before a prompt is repeated: it
    # remains one recording.
    if turn := event.variable("accord_turning"):
        return None if turn == AGAIN else CodecChanged(**fields)
    stereo = event.variable("rtp_use_codec_channels") not in ("", "1")
    return RecordingStarted(**fields, problem=STEREO if stereo else "")


def _recording_stopped(event: EslEvent, fields: _Fields) -> RecordingStopped | None:
    if not _is_ours(event) or event.variable("accord_turning"):
        return None
    # Set when the switch accepts a telephone's offer to switch to fax, which no event reports (observed).
    return RecordingStopped(**fields, fax=event.variable("has_t38") == "true")


def _is_ours(event: EslEvent) -> bool:
    """Whether the recording is Accord's; others may record the same call."""
    return bool(event.recording_variable("accord_recording"))


_TRANSLATORS: Final[dict[str, Callable[[EslEvent, _Fields], CallEvent | None]]] = {
    "CHANNEL_EXECUTE_COMPLETE": _executed,
    "CHANNEL_BRIDGE": _bridged,
    "CHANNEL_UNBRIDGE": lambda event, fields: LegUnbridged(
        **fields, other=event.header("Bridge-B-Unique-ID")
    ),
    "CHANNEL_HOLD": lambda _event, fields: HoldStarted(**fields),
    "CHANNEL_UNHOLD": lambda _event, fields: HoldEnded(**fields),
    "CHANNEL_HANGUP_COMPLETE": lambda event, fields: CallHungUp(**fields, cause=_cause(event)),
    "CHANNEL_DESTROY": _channel_gone,
    "DTMF": _pressed,
    "RECORD_START": _recording_started,
    "RECORD_STOP": _recording_stopped,
    "PLAYBACK_START": lambda event, fields: PlaybackStarted(
        **fields, sound=event.header("Playback-File-Path")
    ),
}
