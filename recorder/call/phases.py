"""The main line of a call: its phases, and the recording, prompts, holds and bridges that move it through
them.

Phases only go forward, and any of them may be skipped:

    ASKING → RINGING → ANNOUNCING → CHOOSING → ANNOUNCED → UNRECORDED → ENDED

- ASKING: the caller chooses a language or, in opt-in, is asked for consent; nothing is captured.
- RINGING: the call is to be announced on answer; it also goes back here where the announcement was not heard
  whole (``announce_on_answer.py``).
- CHOOSING: in opt-out, the time to refuse, during which an inbound call rings and may be answered
  (``consent_prompt.py``).
- ANNOUNCED: the announcement was played to its end, with no hold in it, while the call was being recorded;
  the call's folder is safe on disk; and the switch took our confirmation in time.

At the end a call counts as ``recorded`` only if somebody also answered it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from recorder.call import announce_on_answer, conference, feature_codes, keep_question, transfer_notice
from recorder.call.consent_prompt import await_answer, await_refusal
from recorder.call.state import Actions, CallState, Do, Finish, HoldState, Phase, Timer
from recorder.call.transitions import (
    MAX_TRIES,
    SILENCE,
    confirm,
    finish_announcement,
    give_up,
    go_unrecorded,
    play,
    set_capturing,
    stop_prompt,
)
from recorder.domain.call_events import (
    CallHungUp,
    CallReconciled,
    ChannelEvent,
    ChannelGone,
    FolderFailed,
    HoldEnded,
    HoldStarted,
    LegBridged,
    LegUnbridged,
    PlaybackEnded,
    PlaybackStarted,
    RecordingStarted,
    RecordingStopped,
)
from recorder.domain.markers import LATER, Marker

ANNOUNCING_PHASES: Final = (Phase.ANNOUNCING, Phase.CHOOSING)
"""The phases of the switch's state ``announcing``: the call is recorded, but need not be kept."""


# --- the recording and its folder


def start_recording(state: CallState, event: RecordingStarted) -> tuple[CallState, Actions]:
    """The switch records: stop it where this call may not be recorded."""
    if state.phase is Phase.UNRECORDED:
        return set_capturing(state, True), (Do.STOP,)
    if state.phase is Phase.RINGING:
        # A late report of the recording that was put back; the next one writes to the same file.
        return state, (Do.STOP,)
    if state.phase is Phase.ASKING:
        return set_capturing(state, True), (Do.STOP, Do.DISCARD)
    if state.recording.capturing and state.recording.captured:
        return state, ()
    if event.problem and state.phase in ANNOUNCING_PHASES:
        state, actions = give_up(set_capturing(state, True), "recording_failed")
        return state, (Do.STOP, *actions)
    # Also where a reconciliation reported it earlier: the first report of its own is the recording's start.
    state = replace(
        state, recording=replace(state.recording, capturing=True, captured=True, started=event.at)
    )
    return state, (Marker(event.at, "recording_started"),)


def stop_recording(state: CallState, event: RecordingStopped) -> tuple[CallState, Actions]:
    """The switch closed the recording's file."""
    if (
        state.plan.at_pickup
        and not (state.recording.capturing or state.hung_up)
        and state.phase < Phase.ANNOUNCED
    ):
        return state, ()  # the recording that was put back
    state = set_capturing(state, False)
    marker = Marker(event.at, "recording_stopped", {"fax": "t38"} if event.fax else {})
    if state.hung_up or state.recording.over:
        state, actions = end_call(state, event.at)
        return state, (marker, *actions)
    if state.phase in ANNOUNCING_PHASES and not event.hangup:
        state, actions = give_up(state, "recording_failed")
        return state, (marker, *actions)
    if state.phase is Phase.UNRECORDED:
        return state, (marker, Do.DISCARD)
    return state, (marker,)


def write_folder(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The call's folder is safe on disk."""
    state = replace(state, recording=replace(state.recording, on_disk=True))
    if state.phase is Phase.RINGING:
        return announce_on_answer.begin(state, at)
    return confirm(state) if state.phase in ANNOUNCING_PHASES else (state, ())


def fail_folder(state: CallState, event: FolderFailed) -> tuple[CallState, Actions]:
    """The call's folder cannot be written."""
    if state.phase is Phase.UNRECORDED:
        return state, ()
    stop: Actions = (Do.STOP,) if state.phase is Phase.ANNOUNCED else ()
    state, actions = give_up(state, event.reason or "full_disk")
    return state, stop + actions


# --- the prompt before the conversation


def start_prompt(state: CallState, event: PlaybackStarted) -> tuple[CallState, Actions]:
    """The announcement or a question starts."""
    if state.phase not in (Phase.ASKING, Phase.ANNOUNCING) or event.sound != state.prompt.sound.path:
        return state, ()
    # Both connections report holds, only the call's own reports playback: a hold during it may come first.
    spoiled = state.hold.active or (state.hold.changed is not None and state.hold.changed >= event.at)
    announces = event.sound == state.script.announcement.path and state.phase is Phase.ANNOUNCING
    markers = (Marker(event.at, "announcement_started"),) if announces else ()
    return replace(state, prompt=replace(state.prompt, playing=True, spoiled=spoiled)), markers


def end_prompt(state: CallState, event: PlaybackEnded) -> tuple[CallState, Actions]:
    """The announcement or a question ended; it is repeated unless it was heard whole."""
    if state.phase >= Phase.ANNOUNCED or event.sound != state.prompt.sound.path or not state.prompt.playing:
        return state, ()
    if event.hangup and not event.complete:
        return replace(state, prompt=replace(state.prompt, playing=False, spoiled=True)), ()
    if state.phase is Phase.CHOOSING:
        return await_refusal(state, event.at)
    state = stop_prompt(state)
    if state.phase is Phase.ANNOUNCING and not state.recording.capturing:
        # The hang-up may close the recording before it reports a prompt that had just been heard whole.
        return (state, ()) if event.hangup else give_up(state, "recording_failed")
    if state.prompt.sound == SILENCE:
        prompt = replace(state.prompt, sound=state.script.announcement)
        return _repeat_prompt(replace(state, prompt=prompt), event.at)
    if event.complete and not state.prompt.spoiled:
        if event.talked_over and state.phase is Phase.ANNOUNCING and not state.prompt.talked_over:
            return _await_quiet(state, event.at)
        return (await_answer if state.phase is Phase.ASKING else finish_announcement)(state, event.at)
    markers: Actions = ()
    if state.phase is Phase.ANNOUNCING:
        reason = state.prompt.interruption or ("hold" if state.prompt.spoiled else "stopped")
        markers = (Marker(event.at, "announcement_interrupted", {"reason": reason}),)
    if state.hold.active:
        return replace(state, prompt=replace(state.prompt, spoiled=True)), markers
    state, actions = _repeat_prompt(state, event.at)
    return state, (*markers, *actions)


def _repeat_prompt(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    if state.prompt.tries >= MAX_TRIES:
        return give_up(state, "announcement_failed")
    order = Do.ASK if state.phase is Phase.ASKING else Do.REPEAT
    return play(
        replace(state, prompt=replace(state.prompt, tries=state.prompt.tries + 1)), state.prompt.sound, at
    ), (order,)


def _await_quiet(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Another prompt played over the announcement: wait until that is over, at most as long as
    :data:`~recorder.call.transitions.SILENCE` lasts."""
    marker = Marker(at, "announcement_interrupted", {"reason": "talked_over"})
    state = play(replace(state, prompt=replace(state.prompt, talked_over=True)), SILENCE, at)
    return state, (marker, Do.AWAIT_QUIET)


def restart_prompt(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Somebody hears the call only from now on: what plays begins again."""
    if not state.prompt.playing or state.informed:
        return state, ()
    if announce_on_answer.is_announcing(state):
        return announce_on_answer.begin_again(state, at, "unheard")
    if state.phase not in (Phase.ASKING, Phase.ANNOUNCING):
        return state, ()
    return replace(state, prompt=replace(state.prompt, spoiled=True, interruption="unheard")), (Do.CUT,)


def must_repeat(state: CallState) -> bool:
    """Whether the prompt is over, was not heard whole, and is not playing again yet."""
    return (
        state.phase in (Phase.ASKING, Phase.ANNOUNCING) and not state.prompt.playing and state.prompt.spoiled
    )


# --- holds


def start_hold(state: CallState, event: HoldStarted) -> tuple[CallState, Actions]:
    """The external party holds the call: a prompt that plays meanwhile is not heard whole."""
    state = replace(
        state,
        hold=HoldState(True, event.at),
        prompt=replace(state.prompt, spoiled=state.prompt.spoiled or state.prompt.playing),
    )
    if announce_on_answer.is_announcing(state) and not state.informed:
        state, actions = announce_on_answer.begin_again(state, event.at, "hold")
        return state, (Marker(event.at, "hold"), *actions)
    state, question = feature_codes.hold(state, event.at)
    state, notice = transfer_notice.stop(state, event.at, "hold")
    return state, (_hold_marker("hold", event), *question, *notice)


def end_hold(state: CallState, event: HoldEnded) -> tuple[CallState, Actions]:
    """The external party holds the call no longer."""
    state = replace(state, hold=HoldState(False, event.at))
    marker = _hold_marker("unhold", event)
    if state.phase is Phase.RINGING:
        state, actions = announce_on_answer.begin(state, event.at)
        return state, (marker, *actions)
    if must_repeat(state) and not state.informed:
        state, actions = _repeat_prompt(state, event.at)
        return state, (marker, *actions)
    state, notice = conference.end_hold(state, event.at)
    return state, (marker, *notice)


def start_colleague_hold(state: CallState, event: HoldStarted) -> tuple[CallState, Actions]:
    """The colleague holds the call."""
    state, question = feature_codes.hold(state, event.at)
    state, notice = transfer_notice.stop(state, event.at, "hold")
    return state, (_hold_marker("internal_hold", event), *question, *notice)


def end_colleague_hold(state: CallState, event: HoldEnded) -> tuple[CallState, Actions]:
    """The colleague holds the call no longer."""
    state, notice = conference.end_hold(state, event.at)
    return state, (Marker(event.at, "internal_unhold"), *notice)


def _hold_marker(kind: str, event: HoldStarted | HoldEnded) -> Marker:
    """Return the marker for the start or the end of a hold, at the best known time."""
    return Marker(event.since or event.at, kind, LATER if event.since else {})


# --- bridges


def bridge(state: CallState, event: LegBridged) -> tuple[CallState, Actions]:
    """The external party is connected with somebody: the first one, or another."""
    before: Actions = ()
    if state.plan.at_pickup and state.phase < Phase.ANNOUNCED:
        return _pick_up(state, event)
    if state.phase < Phase.ANNOUNCED and not state.rings_on:
        # The switch went on by itself and has stopped the recording; this makes sure.
        state, before = go_unrecorded(state, "daemon_late")
    first = not state.internal.connected
    state, left = conference.leave_conference(state, event.at)
    state, interruption = (
        feature_codes.break_off(state, event.at) if event.other != state.internal.leg else (state, ())
    )
    interruption += transfer_notice.mark_missed_departure(state, event)
    state, marker = _connect(state, event)
    before = (*left, *before, *feature_codes.repeat_tones(state, event.at))
    if state.rings_on:
        state = transfer_notice.note_first_party(state)
    state, notice = transfer_notice.check_target(state, event.at)
    state, question = _ask_at_start(state, event.at) if first else (state, ())
    return state, (*before, *interruption, marker, *notice, *question)


def begin_conversation(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The switch has taken our confirmation. If the parties are connected already, the conversation begins,
    and the line may ask the keep question."""
    checks: Actions = ()
    if state.plan.at_pickup:
        state = transfer_notice.inform_party(state)
    elif state.internal.leg:
        state, checks = transfer_notice.check_party(state, at)
    if state.conference.participants:
        checks = (*checks, Do.CHECK_PARTICIPANTS)
    tones = feature_codes.repeat_tones(state, at)
    state, question = _ask_at_start(state, at)
    return state, (*checks, *tones, *question)


def _ask_at_start(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Ask the keep question at once, where the line says so."""
    keep = state.script.keep
    return (state, ()) if keep is None or not keep.at_start else keep_question.begin(state, at)


def mark_missed_bridge(state: CallState, event: ChannelEvent) -> tuple[CallState, Actions]:
    """Mark the first bridge where its own event was missed. The switch reports when the last bridge was,
    until a transfer clears it, so the first event that has this time counts."""
    if state.internal.connected or isinstance(event, LegBridged):
        return state, ()
    # A bridge that ends now existed until now.
    ends = isinstance(event, LegUnbridged) and event.bridged_at is None
    at = event.at if ends else event.bridged_at
    # A bridge before the recording was another conversation, before the call came to us.
    since = (
        at if state.recording.started is None and state.phase >= Phase.ANNOUNCED else state.recording.started
    )
    if at is None or since is None or at < since:
        return state, ()
    if isinstance(event, CallReconciled) and event.other:
        state, marker = _connect(state, replace(event, at=at))
        return state, (marker,)
    return replace(state, internal=replace(state.internal, connected=True)), (Marker(at, "bridged"),)


def _connect(state: CallState, event: LegBridged | CallReconciled) -> tuple[CallState, Marker]:
    """Set the party at the other end from now on."""
    state = replace(
        state,
        internal=replace(
            state.internal, connected=True, party=event.party or state.internal.party, leg=event.other
        ),
    )
    return state, Marker(event.at, "bridged", transfer_notice.bridged_data(event))


def _pick_up(state: CallState, event: LegBridged) -> tuple[CallState, Actions]:
    """Somebody answered, perhaps after another colleague who had not heard the announcement whole."""
    is_announcement_due = announce_on_answer.is_announcing(state) and not state.informed
    state, marker = _connect(state, event)
    if is_announcement_due:
        state, actions = announce_on_answer.begin_again(state, event.at, "stopped")
    elif state.phase is Phase.RINGING:
        state, actions = announce_on_answer.begin(state, event.at)
    else:
        actions = ()
    return state, (marker, *actions)


def unbridge(state: CallState, event: LegUnbridged) -> tuple[CallState, Actions]:
    """The external party is no longer connected with the leg at the other end."""
    if event.other and state.internal.leg and event.other != state.internal.leg:
        return state, ()  # from a leg that another one has replaced already
    state, question = feature_codes.break_off(state, event.at)
    state, left = conference.leave_conference(state, event.at)
    state, notice = transfer_notice.stop(state, event.at, "left", event.hangup)
    state, actions = replace(state, internal=replace(state.internal, leg="")), (*left, *question, *notice)
    if announce_on_answer.is_announcing(state) and not state.informed and not event.hangup:
        state, actions = announce_on_answer.begin_again(state, event.at, "stopped")
    return state, (*actions, Marker(event.at, "unbridged", transfer_notice.left_data(state)))


# --- the end


def hang_up(state: CallState, event: CallHungUp | ChannelGone) -> tuple[CallState, Actions]:
    """The call hung up; it ends once its recording has stopped."""
    state, question = feature_codes.break_off(state, event.at)
    state, notice = transfer_notice.stop(state, event.at, "left", call_ends=True)
    state = replace(state, hung_up=True)
    actions: Actions = (*question, *notice, Marker(event.at, "hangup", {"cause": event.cause}))
    if state.recording.capturing:
        return state, actions
    state, end = end_call(state, event.at)
    return state, actions + end


def lose_channel(state: CallState, event: ChannelGone) -> tuple[CallState, Actions]:
    """The channel no longer exists."""
    actions: Actions = ()
    if event.since is not None:
        # The call ended while the daemon was away.
        if state.phase in ANNOUNCING_PHASES and state.informed and event.capturing:
            state = replace(state, phase=Phase.ANNOUNCED)
        if state.phase is Phase.ANNOUNCED and not (event.capturing or state.internal.connected):
            state = replace(state, phase=Phase.UNRECORDED, reason="daemon_away")
        actions = (Marker(event.since, "unobserved_from"), Marker(event.at, "unobserved_to"))
    elif event.hangup and not state.hung_up:
        # The switch reports events of about the same time in any order.
        state, actions = hang_up(state, event)
    if state.phase is Phase.ENDED:
        return state, actions
    state, end = end_call(state, event.at)
    return state, actions + end


def end_call(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Decide the outcome. A call that ended unwatched after its announcement is kept: whether and when it was
    answered is unknown, and its gap says so."""
    if state.phase is Phase.ANNOUNCED:
        reason = None if state.internal.connected or not state.hung_up else "never_connected"
        if not state.recording.captured:
            reason = "recording_failed"
        if reason is None and state.keep_answer == "no" and state.script.keep and state.script.keep.destroy:
            reason = "not_kept"
    elif state.phase < Phase.ANNOUNCED:
        reason = state.reason or (_hang_up_reason(state) if state.hung_up else "daemon_away")
    else:
        reason = state.reason
    # A call that hung up before its language was known has a folder in the spool, too.
    before: Actions = () if state.recording.ordered else (Do.OPEN,)
    finish = Finish(reason, at, state.internal.party)
    state = replace(
        state,
        phase=Phase.ENDED,
        reason=reason,
        recording=replace(state.recording, ordered=True, capturing=False),
        timer=Timer(),
    )
    return state, (*before, finish) if reason is None else (*before, Do.DISCARD, finish)


def _hang_up_reason(state: CallState) -> str:
    """Return the reason of a call that hung up before it was announced."""
    if state.phase is Phase.ASKING:
        return "hung_up_in_question"
    if state.phase is Phase.RINGING and not state.internal.connected:
        return "never_connected"
    return "hung_up_in_announcement"
