"""The state machine of one call, as a pure function: ``step(state, event) -> (state, actions)``.

The daemon feeds it events and carries out the actions. Whatever comes too late, the switch refuses by itself
(``freeswitch_conf/dialplan/accord.xml``). Phases only go forward, and any of them may be skipped:

    ASKING → RINGING → ANNOUNCING → CHOOSING → ANNOUNCED → UNRECORDED → ENDED

- ASKING: the caller chooses a language or, in opt-in, is asked for consent; nothing is captured.
- RINGING: the call is to be announced on answer; it also goes back here where the announcement was not heard
  whole (``announce_on_answer.py``).
- CHOOSING: in opt-out, the time to refuse (``consent_prompt.py``).
- ANNOUNCED: the announcement was played to its end, with no hold in it, while the call was being recorded;
  the call's folder is safe on disk; and the switch took our confirmation in time.

At the end a call counts as ``recorded`` only if somebody also answered it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from recorder.call import (
    announce_on_answer,
    conference,
    consent_prompt,
    eavesdrop,
    feature_codes,
    keep_question,
    remote_commands,
    transfer_consent,
    transfer_notice,
)
from recorder.call.codec_change import change_codec
from recorder.call.consent_prompt import await_answer, await_refusal
from recorder.call.state import (
    Actions,
    CallState,
    Do,
    Finish,
    HoldState,
    Phase,
    QuestionStep,
    Timer,
    WriteMark,
)
from recorder.call.transitions import (
    TRIES,
    confirm,
    finish_announcement,
    give_up,
    go_unrecorded,
    play,
    set_capturing,
    stop_prompt,
)
from recorder.domain.call_events import (
    DELETE,
    INTERNAL,
    KEEP,
    AboutCall,
    AboutParticipants,
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
    DeadlinePassed,
    FolderFailed,
    FolderWritten,
    HoldEnded,
    HoldStarted,
    InTalk,
    KeyPressed,
    LegBridged,
    LegChecked,
    LegUnbridged,
    ParticipantLeft,
    ParticipantsJoined,
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

_DECIDED: Final = frozenset({"pickup", "announced", "passed", "failed", "late", "unrecorded"})
"""States of the switch after which the call's own socket is no longer needed; ``declined`` is one, too,
once the refusal was played to the caller."""

_LEFT: Final = {
    "late": "daemon_late",
    # An earlier daemon let these go on; its reason is unknown.
    **dict.fromkeys(("waiting", "asking", "pickup", "announcing", "passed"), "daemon_away"),
    "declined": "declined",
}


FromEitherSide = KeyPressed | HoldStarted | HoldEnded


def step(state: CallState, event: CallEvent) -> tuple[CallState, Actions]:
    """Return the state after an event, and the actions to take."""
    if state.phase is Phase.ENDED:
        return state, ((Do.STOP,) if isinstance(event, RecordingStarted) else ())
    if isinstance(event, InTalk) or (isinstance(event, FromEitherSide) and event.leg == INTERNAL):
        return _in_talk(state, event)
    if isinstance(event, AboutParticipants):
        return _about_participants(state, event)
    before: Actions = ()
    if isinstance(event, ChannelEvent):
        state, before = _apply_word(state, event)
    state, after = _about_call(state, event)
    return state, before + after


def _apply_word(state: CallState, event: ChannelEvent) -> tuple[CallState, Actions]:
    """Apply what the switch says about the call in any of its events."""
    before: Actions = ()
    if isinstance(event, CallReconciled):
        state = set_capturing(state, event.capturing)
    if event.state == "announced" and state.informed and state.phase < Phase.ANNOUNCED:
        state, before = announce_on_answer.begin_conversation(
            replace(state, phase=Phase.ANNOUNCED, reason=None, timer=Timer()), event.at
        )
    if _is_decided(state, event) and not state.leaving:
        # Not earlier: when the socket closes, the switch drops what it has not run yet.
        state, before = replace(state, leaving=True), (*before, Do.LEAVE)
    if event.state in {"late", "failed", "declined", "unrecorded"} and state.phase < Phase.UNRECORDED:
        reason = state.reason or _LEFT.get(event.left or event.state, "announcement_failed")
        state, more = go_unrecorded(state, reason)
        before += more
    state, connected = _note_bridge(state, event)
    return state, before + connected


def _about_call(state: CallState, event: AboutCall) -> tuple[CallState, Actions]:
    match event:
        case RecordingStarted():
            return _start_recording(state, event)
        case RecordingStopped():
            return _stop_recording(state, event)
        case CodecChanged():
            return change_codec(state, event)
        case PlaybackStarted():
            return _start_prompt(state, event)
        case PlaybackEnded():
            return _end_prompt(state, event)
        case HoldStarted():
            return _start_hold(state, event)
        case HoldEnded():
            return _end_hold(state, event)
        case LegBridged():
            return _bridge(state, event)
        case LegUnbridged():
            return _unbridge(state, event)
        case CallHungUp():
            return _hang_up(state, event)
        case ChannelGone():
            return _lose_channel(state, event)
        case DeadlinePassed():
            return _time_out(state, event.at)
        case FolderWritten():
            return _write_folder(state, event.at)
        case FolderFailed():
            return _fail_folder(state, event)
        case CallReconciled():
            return _reconcile(state, event)
        case KeyPressed():
            return _press_key(state, event)
        case ConferenceEnded():
            return transfer_notice.mark_conference(state, event.at)
        case StateReported():
            return state, ()


def _about_participants(state: CallState, event: AboutParticipants) -> tuple[CallState, Actions]:
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


def _in_talk(state: CallState, event: InTalk | FromEitherSide) -> tuple[CallState, Actions]:
    """Handle an event that counts only while two are connected."""
    if state.phase is Phase.ANNOUNCED:
        return _about_talk(state, event)
    if announce_on_answer.is_announcing(state) and isinstance(event, SoundStarted | SoundEnded):
        return announce_on_answer.follow_sound(state, event)
    return state, ()


def _about_talk(state: CallState, event: InTalk | FromEitherSide) -> tuple[CallState, Actions]:
    match event:
        case CodeDialled():
            return _dial(state, event)
        case CommandGiven():
            return remote_commands.carry_out(state, event)
        case SoundStarted() | SoundEnded():
            return _follow_sound(state, event)
        case VoiceChecked():
            return keep_question.apply_voice_check(state, event)
        # The colleague's; those of the external party are in :func:`_about_call`.
        case KeyPressed():
            return _press_colleague_key(state, event)
        case HoldStarted():
            return _start_colleague_hold(state, event)
        case HoldEnded():
            return _end_colleague_hold(state, event)


def _press_key(state: CallState, event: KeyPressed) -> tuple[CallState, Actions]:
    return (
        feature_codes.press_key(state, event)
        if state.phase is Phase.ANNOUNCED
        else consent_prompt.press_key(state, event)
    )


def _is_decided(state: CallState, event: ChannelEvent) -> bool:
    if event.state == "declined":
        return isinstance(event, PlaybackEnded) and event.sound == state.prompt.sound.path
    return event.state in _DECIDED


def _note_bridge(state: CallState, event: ChannelEvent) -> tuple[CallState, Actions]:
    """Note the first bridge where its event was missed. The switch reports when the last bridge was, until
    a transfer clears it, so the first event that has this time counts."""
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
        state, note = _connect(state, replace(event, at=at))
        return state, (note,)
    return replace(state, internal=replace(state.internal, connected=True)), (WriteMark("bridged", at),)


def _repeat_prompt(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Play the announcement or the question again, because it was not heard whole."""
    if state.prompt.tries >= TRIES:
        return give_up(state, "announcement_failed")
    order = Do.ASK if state.phase is Phase.ASKING else Do.AGAIN
    return play(
        replace(state, prompt=replace(state.prompt, tries=state.prompt.tries + 1)), state.prompt.sound, at
    ), (order,)


def _start_recording(state: CallState, event: RecordingStarted) -> tuple[CallState, Actions]:
    if state.phase is Phase.UNRECORDED:
        return set_capturing(state, True), (Do.STOP,)
    if state.phase is Phase.RINGING:
        # A late report of the one that was put back; the next one writes to the same file.
        return state, (Do.STOP,)
    if state.phase is Phase.ASKING:
        return set_capturing(state, True), (Do.STOP, Do.DISCARD)
    if state.recording.capturing and state.recording.captured:
        return state, ()
    if event.problem and state.phase in _ANNOUNCING:
        state, actions = give_up(set_capturing(state, True), "recording_failed")
        return state, (Do.STOP, *actions)
    # Also where the switch was asked before it reported it: the first report is the start of the recording.
    state = replace(
        state, recording=replace(state.recording, capturing=True, captured=True, started=event.at)
    )
    return state, (WriteMark("recording_started", event.at),)


def _stop_recording(state: CallState, event: RecordingStopped) -> tuple[CallState, Actions]:
    if (
        state.plan.at_pickup
        and not (state.recording.capturing or state.hung_up)
        and state.phase < Phase.ANNOUNCED
    ):
        return state, ()  # the one that was put back
    state = set_capturing(state, False)
    note = WriteMark("recording_stopped", event.at, (("fax", "t38"),) if event.fax else ())
    if state.hung_up or state.recording.over:
        state, actions = _finish(state, event.at)
        return state, (note, *actions)
    if state.phase in _ANNOUNCING and not event.ending:
        state, actions = give_up(state, "recording_failed")
        return state, (note, *actions)
    if state.phase is Phase.UNRECORDED:
        return state, (note, Do.DISCARD)
    return state, (note,)


def _start_prompt(state: CallState, event: PlaybackStarted) -> tuple[CallState, Actions]:
    if state.phase not in (Phase.ASKING, Phase.ANNOUNCING) or event.sound != state.prompt.sound.path:
        return state, ()
    # Holds come on both connections, playback only on the call's own: a hold during it may come first.
    spoiled = state.hold.active or (state.hold.changed is not None and state.hold.changed >= event.at)
    note = () if state.phase is Phase.ASKING else (WriteMark("announcement_started", event.at),)
    return replace(state, prompt=replace(state.prompt, playing=True, spoiled=spoiled)), note


def _end_prompt(state: CallState, event: PlaybackEnded) -> tuple[CallState, Actions]:
    if state.phase >= Phase.ANNOUNCED or event.sound != state.prompt.sound.path or not state.prompt.playing:
        return state, ()
    if event.ending and not event.complete:
        return replace(state, prompt=replace(state.prompt, playing=False, spoiled=True)), ()
    if state.phase is Phase.CHOOSING:
        return await_refusal(state, event.at)
    state = stop_prompt(state)
    if state.phase is Phase.ANNOUNCING and not state.recording.capturing:
        return give_up(state, "recording_failed")
    if event.complete and not state.prompt.spoiled:
        return (await_answer if state.phase is Phase.ASKING else finish_announcement)(state, event.at)
    note: Actions = ()
    if state.phase is Phase.ANNOUNCING:
        reason = "hold" if state.prompt.spoiled and not state.prompt.recoded else "stopped"
        note = (WriteMark("announcement_interrupted", event.at, (("reason", reason),)),)
    if state.hold.active:
        return replace(state, prompt=replace(state.prompt, spoiled=True)), note
    state, actions = _repeat_prompt(state, event.at)
    return state, (*note, *actions)


def _write_folder(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    state = replace(state, recording=replace(state.recording, on_disk=True))
    if state.phase is Phase.RINGING:
        return announce_on_answer.begin(state, at)
    return confirm(state) if state.phase in _ANNOUNCING else (state, ())


def _start_hold(state: CallState, event: HoldStarted) -> tuple[CallState, Actions]:
    state = replace(
        state,
        hold=HoldState(True, event.at),
        prompt=replace(state.prompt, spoiled=state.prompt.spoiled or state.prompt.playing),
    )
    if announce_on_answer.is_announcing(state) and not state.informed:
        state, actions = announce_on_answer.begin_again(state, event.at, "hold")
        return state, (WriteMark("hold", event.at), *actions)
    state, actions = feature_codes.hold(state, event.at)
    state, untold = transfer_notice.stop(state, event.at, "hold")
    return state, (_hold_mark("hold", event), *actions, *untold)


def _end_hold(state: CallState, event: HoldEnded) -> tuple[CallState, Actions]:
    state = replace(state, hold=HoldState(False, event.at))
    note = _hold_mark("unhold", event)
    if state.phase is Phase.RINGING:
        state, actions = announce_on_answer.begin(state, event.at)
        return state, (note, *actions)
    if _must_repeat(state) and not state.informed:
        state, actions = _repeat_prompt(state, event.at)
        return state, (note, *actions)
    state, told = conference.end_hold(state, event.at)
    return state, (note, *told)


def _bridge(state: CallState, event: LegBridged) -> tuple[CallState, Actions]:
    before: Actions = ()
    if state.plan.at_pickup and state.phase < Phase.ANNOUNCED:
        return _pick_up(state, event)
    if state.phase < Phase.ANNOUNCED:
        # The switch went on by itself, and has stopped the recording; we make sure.
        state, before = go_unrecorded(state, "daemon_late")
    first = not state.internal.connected
    state, gone = conference.leave_conference(state, event.at)
    state, broken = (
        feature_codes.break_off(state, event.at) if event.other != state.internal.leg else (state, ())
    )
    broken += transfer_notice.mark_replaced(state, event)
    state, note = _connect(state, event)
    before = (*gone, *before, *feature_codes.repeat_tones(state, event.at))
    state, told = transfer_notice.check_target(state, event.at)
    if first and state.script.keep is not None and state.script.keep.at_start:
        state, asked_now = keep_question.begin(state, event.at)
        return state, (*before, *broken, note, *told, *asked_now)
    return state, (*before, *broken, note, *told)


def _connect(state: CallState, event: LegBridged | CallReconciled) -> tuple[CallState, WriteMark]:
    """Note the party at the other end from now on."""
    state = replace(
        state,
        internal=replace(
            state.internal, connected=True, party=event.party or state.internal.party, leg=event.other
        ),
    )
    return state, WriteMark("bridged", event.at, transfer_notice.bridged_data(event))


def _pick_up(state: CallState, event: LegBridged) -> tuple[CallState, Actions]:
    """Somebody answered, perhaps in place of somebody who had not heard the announcement whole."""
    telling = announce_on_answer.is_announcing(state) and not state.informed
    state, note = _connect(state, event)
    if telling:
        state, actions = announce_on_answer.begin_again(state, event.at, "stopped")
    elif state.phase is Phase.RINGING:
        state, actions = announce_on_answer.begin(state, event.at)
    else:
        actions = ()
    return state, (note, *actions)


def _unbridge(state: CallState, event: LegUnbridged) -> tuple[CallState, Actions]:
    if event.other and state.internal.leg and event.other != state.internal.leg:
        return state, ()  # from a leg that another one has replaced already
    state, actions = feature_codes.break_off(state, event.at)
    state, gone = conference.leave_conference(state, event.at)
    state, untold = transfer_notice.stop(state, event.at, "left", event.ending)
    state, actions = replace(state, internal=replace(state.internal, leg="")), (*gone, *actions, *untold)
    if announce_on_answer.is_announcing(state) and not state.informed and not event.ending:
        state, actions = announce_on_answer.begin_again(state, event.at, "stopped")
    return state, (*actions, WriteMark("unbridged", event.at, transfer_notice.left_data(state)))


def _hang_up(state: CallState, event: CallHungUp | ChannelGone) -> tuple[CallState, Actions]:
    state, broken = feature_codes.break_off(state, event.at)
    state, untold = transfer_notice.stop(state, event.at, "left", ending=True)
    state = replace(state, hung_up=True)
    actions: Actions = (*broken, *untold, WriteMark("hangup", event.at, (("cause", event.cause),)))
    if state.recording.capturing:
        return state, actions
    state, finish = _finish(state, event.at)
    return state, actions + finish


def _lose_channel(state: CallState, event: ChannelGone) -> tuple[CallState, Actions]:
    actions: Actions = ()
    if event.since is not None:
        # It ended while the daemon was away.
        if state.phase in _ANNOUNCING and state.informed and event.capturing:
            state = replace(state, phase=Phase.ANNOUNCED)
        if state.phase is Phase.ANNOUNCED and not (event.capturing or state.internal.connected):
            state = replace(state, phase=Phase.UNRECORDED, reason="daemon_away")
        actions = (WriteMark("unobserved_from", event.since), WriteMark("unobserved_to", event.at))
    elif event.ending and not state.hung_up:
        # The switch reports events of about the same time in any order.
        state, actions = _hang_up(state, event)
    if state.phase is Phase.ENDED:
        return state, actions
    state, finish = _finish(state, event.at)
    return state, actions + finish


def _finish(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Decide the outcome. A call that ended unwatched after its announcement is kept: whether and when it
    was answered is unknown, and its gap says so."""
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
    # A call that hung up before its language was known is recorded in the spool, too.
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
    """Return how far the call was when it hung up before it was announced."""
    if state.phase is Phase.ASKING:
        return "hung_up_in_question"
    if state.phase is Phase.RINGING and not state.internal.connected:
        return "never_connected"
    return "hung_up_in_announcement"


def _time_out(state: CallState, now: datetime) -> tuple[CallState, Actions]:
    if state.timer.deadline is None or now < state.timer.deadline:
        return state, ()
    if state.phase is Phase.RINGING:
        return announce_on_answer.begin(state, now)
    if state.phase is not Phase.ANNOUNCED:
        return consent_prompt.time_out(state, now)
    if state.question.step is QuestionStep.IDLE:
        state, untold = transfer_notice.time_out(state, now)
        state, told = conference.notify_next(state, now)
        return state, (*untold, *told)
    return feature_codes.time_out(state, now)


def _fail_folder(state: CallState, event: FolderFailed) -> tuple[CallState, Actions]:
    if state.phase is Phase.UNRECORDED:
        return state, ()
    stop: Actions = (Do.STOP,) if state.phase is Phase.ANNOUNCED else ()
    state, actions = give_up(state, event.reason or "full_disk")
    return state, stop + actions


def _reconcile(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """The daemon is back with a call that still exists; ``event.state`` is the switch's word on it."""
    gap = (WriteMark("unobserved_from", event.since or event.at), WriteMark("unobserved_to", event.at))
    if state.phase in _ANNOUNCING and event.state == "announced":
        # Confirmed by the switch before we could mark it. A mark of now redacts more, never less.
        state = replace(
            state, phase=Phase.ANNOUNCED, timer=Timer(), recording=replace(state.recording, captured=True)
        )
        state, who = _reconcile_parties(state, event)
        state, more = _reconcile_rest(state, event)
        return state, (WriteMark("announcement_finished", event.at, (("seen", "later"),)), *gap, *who, *more)
    if announce_on_answer.is_announcing(state) and state.informed and event.state == "announcing":
        state, actions = confirm(state)  # our confirmation may not have arrived
        return state, (*actions, *gap)
    if state.timer.deadline is not None and _must_repeat(state) and not state.hold.active:
        # An earlier daemon's call: its announcement is over, and was not confirmed.
        state, actions = go_unrecorded(state, "daemon_away")
        return state, (*actions, *gap)
    if state.phase is Phase.RINGING and event.bridged_at is not None and not state.internal.connected:
        # Somebody answered while no daemon was there to announce.
        state, actions = go_unrecorded(
            replace(state, internal=replace(state.internal, connected=True)), "daemon_away"
        )
        return state, (*actions, *gap)
    if state.phase is Phase.UNRECORDED and event.capturing:
        return state, (Do.STOP, Do.DISCARD, *gap)  # an earlier daemon's command may not have arrived
    state, who = _reconcile_parties(state, event)
    if state.recording.over and state.phase is Phase.ANNOUNCED:
        state, finish = (state, ()) if event.capturing else _finish(state, event.at)
        return state, (*gap, *who, *finish)
    state, more = _reconcile_rest(state, event)
    return state, (*gap, *who, *more)


def _reconcile_rest(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """Learn what was missed of a call that goes on, once its internal party is known."""
    state, paused = feature_codes.reconcile_pause(state, event)
    state, holds = _reconcile_holds(state, event)
    return state, (*paused, *holds, *feature_codes.repeat_tones(state, event.at))


_SAME: Final = timedelta(seconds=2)
"""How much later a hold may seem to begin by the leg's own time than by its event (seen: some tenths of a
second)."""


def _reconcile_holds(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """Apply the holds that the switch reports now, and since when; nobody saw them begin or end."""
    if state.phase is not Phase.ANNOUNCED or state.recording.over:
        return state, ()
    colleagues: Actions = ()
    over: Actions = ()
    begun: Actions = ()
    if event.colleague_held_since is not None:
        held = HoldStarted(event.at, leg=INTERNAL, since=event.colleague_held_since)
        state, colleagues = _start_colleague_hold(state, held)
    since = event.held_since
    if state.hold.active and (
        since is None or (state.hold.changed is not None and since > state.hold.changed + _SAME)
    ):
        state, over = _end_hold(state, HoldEnded(event.at, since=since or event.at))
    if since is not None and not state.hold.active:
        state, begun = _start_hold(state, HoldStarted(event.at, since=since))
    return state, (*colleagues, *over, *begun)


def _hold_mark(kind: str, event: HoldStarted | HoldEnded) -> WriteMark:
    """Mark the begin or the end of a hold, at the best known time."""
    return WriteMark(kind, event.since or event.at, (("seen", "later"),) if event.since else ())


def _reconcile_parties(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """Learn who is at the other end, who else takes part, and who listens."""
    state, who = conference.reconcile(state, event)
    state, listen = eavesdrop.reconcile(state, event)
    return state, (*who, *listen)


def _must_repeat(state: CallState) -> bool:
    """Whether the prompt is over, was not heard whole, and is not playing again yet."""
    return (
        state.phase in (Phase.ASKING, Phase.ANNOUNCING) and not state.prompt.playing and state.prompt.spoiled
    )


_ANNOUNCING: Final = (Phase.ANNOUNCING, Phase.CHOOSING)
"""The phases of the switch's state ``announcing``: the call is recorded, but need not be kept."""


def _follow_sound(state: CallState, event: SoundStarted | SoundEnded) -> tuple[CallState, Actions]:
    """Pass the sound to each sub-state that may have ordered it."""
    state, of_asking = feature_codes.follow_sound(state, event)
    state, of_joining = conference.follow_sound(state, event)
    return state, (*of_asking, *of_joining)


def _dial(state: CallState, event: CodeDialled) -> tuple[CallState, Actions]:
    """Ignore questions while the transfer target is being asked for consent."""
    if event.code in (KEEP, DELETE) and transfer_consent.unanswered(state):
        return state, ()
    return feature_codes.dial(state, event)


def _press_colleague_key(state: CallState, event: KeyPressed) -> tuple[CallState, Actions]:
    if not transfer_consent.unanswered(state):
        return feature_codes.press_key(state, event)
    state, actions = transfer_consent.press_key(state, event)
    state, told = conference.notify_next(state, event.at)
    return state, (*actions, *told)


def _start_colleague_hold(state: CallState, event: HoldStarted) -> tuple[CallState, Actions]:
    state, actions = feature_codes.hold(state, event.at)
    state, untold = transfer_notice.stop(state, event.at, "hold")
    return state, (_hold_mark("internal_hold", event), *actions, *untold)


def _end_colleague_hold(state: CallState, event: HoldEnded) -> tuple[CallState, Actions]:
    state, told = conference.end_hold(state, event.at)
    return state, (WriteMark("internal_unhold", event.at), *told)
