"""The state machine of one call, as a pure function: ``step(state, event) -> (state, actions)``.

The daemon feeds it events and carries out the actions; here each event is dispatched to the module whose
sub-state it concerns. ``phases.py`` is the main line, with the phases of a call. Whatever comes too late, the
switch refuses by itself (``freeswitch_conf/dialplan/accord.xml``).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from recorder.call import (
    announce_on_answer,
    conference,
    consent_prompt,
    eavesdrop,
    feature_codes,
    keep_question,
    phases,
    reconciliation,
    remote_commands,
    transfer_consent,
    transfer_notice,
)
from recorder.call.codec_change import change_codec
from recorder.call.state import Actions, CallState, Do, Phase, QuestionStep, Timer
from recorder.call.transitions import go_unrecorded, set_capturing
from recorder.domain.call_events import (
    DELETE,
    INTERNAL,
    KEEP,
    CallEvent,
    CallHungUp,
    CallReconciled,
    ChannelEvent,
    ChannelGone,
    CodecChanged,
    CodeDialled,
    CommandGiven,
    ConferenceEnded,
    ConferenceJoined,
    ConferenceLeft,
    ConversationEvent,
    DeadlinePassed,
    FarEndAnnounced,
    FarEndReached,
    FolderFailed,
    FolderWritten,
    HoldEnded,
    HoldStarted,
    KeyPressed,
    LegBridged,
    LegChecked,
    LegUnbridged,
    ParticipantEvent,
    ParticipantLeft,
    ParticipantsJoined,
    PhaseEvent,
    PlaybackEnded,
    PlaybackStarted,
    RecordingStarted,
    RecordingStopped,
    SoundEnded,
    SoundStarted,
    StateReported,
    SupervisorHeard,
    SupervisorLeft,
    SupervisorsJoined,
    VoiceChecked,
)

_SOCKET_UNUSED: Final = frozenset(
    {"pickup", "refusable", "announced", "passed", "failed", "late", "unrecorded"}
)
"""States of the switch in which the call's own socket is no longer needed; ``declined`` is one, too, once the
refusal was played to the caller."""

_REASONS: Final = {
    "late": "daemon_late",
    # An earlier daemon let these calls go on; its reason is unknown.
    **dict.fromkeys(("waiting", "asking", "pickup", "announcing", "passed"), "daemon_away"),
    "declined": "declined",
}
"""Why a call is not recorded, by the state in which the switch let it go on."""

SideEvent = KeyPressed | HoldStarted | HoldEnded
"""Events of either side of a call."""


def step(state: CallState, event: CallEvent) -> tuple[CallState, Actions]:
    """Return the state after an event, and the actions to take."""
    if state.phase is Phase.ENDED:
        return state, ((Do.STOP,) if isinstance(event, RecordingStarted) else ())
    if isinstance(event, ConversationEvent) or (isinstance(event, SideEvent) and event.leg == INTERNAL):
        return _step_in_conversation(state, event)
    if isinstance(event, ParticipantEvent):
        return _step_participants(state, event)
    before: Actions = ()
    if isinstance(event, ChannelEvent):
        state, before = _apply_switch_state(state, event)
    state, after = _step_phase(state, event)
    return state, before + after


def _apply_switch_state(state: CallState, event: ChannelEvent) -> tuple[CallState, Actions]:
    """Apply the switch's state of the call, which each of its events reports."""
    before: Actions = ()
    if isinstance(event, CallReconciled):
        state = set_capturing(state, event.capturing)
    if event.state == "announced" and state.informed and state.phase < Phase.ANNOUNCED:
        state, before = phases.begin_conversation(
            replace(state, phase=Phase.ANNOUNCED, reason=None, timer=Timer()), event.at
        )
    if _is_socket_unused(state, event) and not state.socket_unused:
        # Not earlier: when the socket closes, the switch drops what it has not run yet.
        state, before = replace(state, socket_unused=True), (*before, Do.LEAVE)
    if event.state in {"late", "failed", "declined", "unrecorded"} and state.phase < Phase.UNRECORDED:
        reason = state.reason or _REASONS.get(event.left or event.state, "announcement_failed")
        state, more = go_unrecorded(state, reason)
        before += more
    state, markers = phases.mark_missed_bridge(state, event)
    return state, before + markers


def _is_socket_unused(state: CallState, event: ChannelEvent) -> bool:
    if event.state == "declined":
        return isinstance(event, PlaybackEnded) and event.sound == state.prompt.sound.path
    return event.state in _SOCKET_UNUSED


def _step_phase(state: CallState, event: PhaseEvent) -> tuple[CallState, Actions]:
    match event:
        case RecordingStarted():
            return phases.start_recording(state, event)
        case RecordingStopped():
            return phases.stop_recording(state, event)
        case CodecChanged():
            return change_codec(state, event)
        case PlaybackStarted():
            return phases.start_prompt(state, event)
        case PlaybackEnded():
            return phases.end_prompt(state, event)
        case HoldStarted():
            return phases.start_hold(state, event)
        case HoldEnded():
            return phases.end_hold(state, event)
        case LegBridged():
            return phases.bridge(state, event)
        case LegUnbridged():
            return phases.unbridge(state, event)
        case CallHungUp():
            return phases.hang_up(state, event)
        case ChannelGone():
            return phases.lose_channel(state, event)
        case DeadlinePassed():
            return _time_out(state, event.at)
        case FolderWritten():
            return phases.write_folder(state, event.at)
        case FolderFailed():
            return phases.fail_folder(state, event)
        case CallReconciled():
            return reconciliation.reconcile(state, event)
        case KeyPressed():
            return _press_external_key(state, event)
        case ConferenceEnded():
            return transfer_notice.mark_conference(state, event.at)
        case FarEndReached():
            return phases.restart_prompt(state, event.at)
        case FarEndAnnounced():
            return announce_on_answer.take_turn(state, event.at)
        case StateReported():
            return state, ()


def _press_external_key(state: CallState, event: KeyPressed) -> tuple[CallState, Actions]:
    return (
        feature_codes.press_key(state, event)
        if state.phase is Phase.ANNOUNCED
        else consent_prompt.press_key(state, event)
    )


def _time_out(state: CallState, now: datetime) -> tuple[CallState, Actions]:
    """Pass an expired timer to the sub-state that set it."""
    if state.timer.deadline is None or now < state.timer.deadline:
        return state, ()
    if state.phase is Phase.RINGING:
        return announce_on_answer.begin(state, now)
    if state.phase is not Phase.ANNOUNCED:
        return consent_prompt.time_out(state, now)
    if state.question.step is QuestionStep.IDLE:
        state, actions = transfer_notice.time_out(state, now)
        state, notification = conference.notify_next(state, now)
        return state, (*actions, *notification)
    return feature_codes.time_out(state, now)


def _step_participants(state: CallState, event: ParticipantEvent) -> tuple[CallState, Actions]:
    match event:
        case LegChecked():
            return conference.apply_check(state, event)
        case ConferenceJoined():
            return conference.join_conference(state, event)
        case ParticipantsJoined():
            return conference.add_participants(state, event.participants, event.at)
        case ParticipantLeft():
            return conference.remove_participant(state, event.other, event.at)
        case ConferenceLeft():
            return conference.leave_conference(state, event.at)
        case SupervisorsJoined():
            return eavesdrop.add_supervisors(state, event.supervisors, event.at)
        case SupervisorHeard():
            return eavesdrop.change_audience(state, event)
        case SupervisorLeft():
            return eavesdrop.remove_supervisor(state, event.other, event.at)


def _step_in_conversation(
    state: CallState, event: ConversationEvent | SideEvent
) -> tuple[CallState, Actions]:
    """Handle an event that counts only while two parties are connected."""
    if state.phase is Phase.ANNOUNCED:
        return _step_conversation(state, event)
    if announce_on_answer.is_announcing(state) and isinstance(event, SoundStarted | SoundEnded):
        return announce_on_answer.follow_sound(state, event)
    if state.rings_on and isinstance(event, HoldStarted | HoldEnded):
        return _step_conversation(state, event)
    return state, ()


def _step_conversation(state: CallState, event: ConversationEvent | SideEvent) -> tuple[CallState, Actions]:
    match event:
        case CodeDialled():
            return _dial_code(state, event)
        case CommandGiven():
            return remote_commands.carry_out(state, event)
        case SoundStarted() | SoundEnded():
            return _follow_sound(state, event)
        case VoiceChecked():
            return keep_question.apply_voice_check(state, event)
        # Of the colleague; those of the external party are in :func:`_step_phase`.
        case KeyPressed():
            return _press_colleague_key(state, event)
        case HoldStarted():
            return phases.start_colleague_hold(state, event)
        case HoldEnded():
            return phases.end_colleague_hold(state, event)


def _dial_code(state: CallState, event: CodeDialled) -> tuple[CallState, Actions]:
    """Carry out a feature code, but open no question while a transfer target is asked for consent."""
    if event.code in (KEEP, DELETE) and transfer_consent.is_unanswered(state):
        return state, ()
    return feature_codes.dial(state, event)


def _follow_sound(state: CallState, event: SoundStarted | SoundEnded) -> tuple[CallState, Actions]:
    """Pass the sound to each sub-state that may have ordered it."""
    state, question = feature_codes.follow_sound(state, event)
    state, notice = conference.follow_sound(state, event)
    return state, (*question, *notice)


def _press_colleague_key(state: CallState, event: KeyPressed) -> tuple[CallState, Actions]:
    if not transfer_consent.is_unanswered(state):
        return feature_codes.press_key(state, event)
    state, actions = transfer_consent.press_key(state, event)
    state, notification = conference.notify_next(state, event.at)
    return state, (*actions, *notification)
