"""Controls one call: feeds the state machine and carries out its actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Final, NoReturn

import gevent
import structlog
from gevent.event import Event
from gevent.lock import RLock, Semaphore

from recorder import metrics
from recorder.audio.keep_answers import OWN_WORDS
from recorder.call import announce_on_answer, machine, transfer_notice, transitions
from recorder.call.state import Action, CallState, Do, Finish, Phase, QuestionStep
from recorder.call.transfer_target import is_beside
from recorder.capture.overlap_check import OverlapCheck
from recorder.capture.spool_writer import SpoolWriter
from recorder.capture.voice_check import VoiceCheck
from recorder.clock import Now
from recorder.domain.call_events import (
    INTERNAL,
    CallEvent,
    DeadlinePassed,
    FarEndAnnounced,
    FarEndReached,
    HoldStarted,
    LegBridged,
    LegChecked,
    PlaybackEnded,
    SoundEnded,
    StateReported,
    VoiceChecked,
)
from recorder.domain.call_plan import BOTH, OPT_OUT, Speech
from recorder.domain.line_policy import OUTBOUND
from recorder.domain.markers import LATER, Marker
from recorder.errors import SwitchError
from recorder.spool.layout import CallEnd, CallStart
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl_events import EslEvent
from recorder.switch.media_address import Address
from recorder.switch.translation import translate, translate_talk

log = structlog.get_logger()

EXTERNAL_LEG = "accord_external"
"""The channel variable by which the dialplan marks an external leg."""

SETTLING_TIME: Final = 0.4
"""Seconds from a bridge until both ends hear what is played to them."""

LONGEST_TURN: Final = 60.0
"""Seconds that a call waits for its turn once the line at the far end has announced: its party may not
answer."""

_UNSET = frozenset({"", "_undef_"})

_INTERNAL_STATES = _UNSET | {"outgoing"}
"""``accord_state`` of an internal leg. The leg of an external caller, or of the callee of an outbound call,
has another value, whether that call is recorded or not."""


def has_announced(state: CallState) -> bool:
    """Whether a call that another line of this switch has reached is past its prompts: its parties talk, or
    it has ended."""
    talks = state.internal.connected and state.question.step is QuestionStep.IDLE
    return state.phase >= Phase.ANNOUNCED and (talks or state.phase is Phase.ENDED)


def _closed_socket(_batch: list[SwitchCommand]) -> NoReturn:
    raise SwitchError(
        "switch.gone",
        "the call's own socket is closed",
        "nothing needs to be done: the call has ended, or goes on without Accord",
    )


class CallController:
    """A call, from its arrival (or from the spool, after a restart) until ``take.json`` is written.

    ``start`` is the content of its ``call.json``; if the caller chooses a language, ``starts`` has one for
    each language, in the plan's order. ``to_call`` sends commands on the call's own socket, ``to_switch`` one
    on the standing connection, and ``ask`` sends one there and returns the answer; all raise
    :class:`SwitchError` if the connection is gone. ``play_notice`` plays a sound to the participant or third
    party on a leg, ``cut_notice`` ends it. ``return_participants`` is called after each step, so that a third
    party who is no longer asked for consent can return. ``ended`` is called once, when the call is
    written."""

    def __init__(
        self,
        start: CallStart,
        state: CallState,
        writer: SpoolWriter,
        *,
        now: Now,
        to_call: Callable[[list[SwitchCommand]], object],
        to_switch: Callable[[SwitchCommand], object],
        ask: Callable[[SwitchCommand], str],
        ended: Callable[[CallController], object],
        starts: tuple[CallStart, ...] = (),
        play_notice: Callable[[CallController, str, Speech], object] = lambda _call, _leg, _sound: None,
        cut_notice: Callable[[CallController, str], object] = lambda _call, _leg: None,
        return_participants: Callable[[CallController], object] = lambda _call: None,
        peer_media: Address | None = None,
    ) -> None:
        self.start = start
        self.peer_media = peer_media
        """Where the external party receives audio, as they offered it."""
        self._play_notice = play_notice
        self._cut_notice = cut_notice
        self._return_participants = return_participants
        self._starts = starts or (start,)
        self._unwritten: list[Marker] | None = None if state.recording.ordered else []
        self.state = state
        self.writer = writer
        self.released = Event()
        """Set once the call has left its own socket."""
        self.left_at: datetime | None = None
        """Since when only the standing connection reports the call; ``None`` while its own socket does."""
        self.log = log.bind(recording=start.recording)
        self._now = now
        self._to_call = to_call
        self._to_switch = to_switch
        self._ask = ask
        self._ended = ended
        self._received: set[int] = set()
        # Both connections report events; one is handled completely before the next.
        self._lock = RLock()
        self.command_lock = Semaphore()
        """Held while a command from the panel or the API is executed."""
        self._timer: gevent.Greenlet[[], None] | None = None
        self._announced_at: datetime | None = None
        self._bridged_at = -SETTLING_TIME
        self._voice_check: VoiceCheck | None = None
        self._overlap = OverlapCheck(writer.audio)
        self.far_end: CallController | None = None
        """The call of another line of this switch that this call has reached, or that has reached it."""
        self._waiting_since = start.started_at
        self._disk_full = False

    def drop_socket(self) -> None:
        """Keep no reference to the call's own socket, which is closed."""
        self._to_call = _closed_socket

    @property
    def channel(self) -> str:
        """The switch's id of the external leg."""
        return self.start.channel

    @property
    def socket_lags(self) -> bool:
        """Whether the switch reports nothing on the call's own socket while it carries out a command, as on
        an outbound call."""
        return self.start.direction == OUTBOUND and not self.state.socket_unused

    def release(self) -> None:
        """The call leaves its own socket, or that has closed."""
        self.left_at = self.left_at or self._now()
        self.released.set()

    def receive(self, event: EslEvent) -> None:
        """Handle an event of this channel from either connection; each counts once, by its sequence
        number."""
        number = event.sequence
        if number in self._received:
            return
        self._received.add(number)
        translated = translate(event, self.channel)
        if translated is not None:
            self._feed_checked(translated)

    def receive_talk_event(self, event: EslEvent) -> None:
        """Handle an event of either leg from the standing connection. It counts only once the call has left
        its own socket: before, both connections report the same in any order."""
        if self.state.rings_on and event.uuid == self.channel:
            self.receive(event)  # its own socket may report the same key, which counts once
        elif (
            self.state.phase is Phase.ANNOUNCED
            or self.state.rings_on
            or announce_on_answer.is_announcing(self.state)
        ):
            translated = translate_talk(event, self.channel, self.state.internal.leg)
            if translated is not None:
                self._feed_checked(translated)

    def hold_for_consultation(self, event: EslEvent) -> None:
        """The internal party consults somebody else on the same leg (att_xfer) while the external party
        waits. This counts as the internal party's hold, until the external party is bridged again."""
        self.feed(HoldStarted(event.at, leg=INTERNAL))

    def _feed_checked(self, event: CallEvent) -> None:
        """Feed an event; the end of an announcement only once its audio was searched for another prompt, in a
        greenlet of its own."""
        prompt = self.state.prompt
        if (
            isinstance(event, PlaybackEnded | SoundEnded)
            and event.complete
            and self.state.phase is Phase.ANNOUNCING
            and event.sound == prompt.sound.path == self.state.script.announcement.path
            and not (prompt.spoiled or prompt.talked_over)
            and self._overlap.is_possible(prompt.sound)
        ):
            gevent.spawn(self._feed_end, event, prompt.sound)
        else:
            self.feed(event)

    def _feed_end(self, event: PlaybackEnded | SoundEnded, sound: Speech) -> None:
        self.feed(replace(event, talked_over=self._overlap.find(sound)))

    def mark_other_recording(self, kind: str, side: str, at: datetime, *, later: bool = False) -> None:
        """Mark that a recording which is not Accord's started or stopped on a side of the call; ``later``: it
        was only found then."""
        with self._lock:
            if self.state.phase is not Phase.ENDED:
                self._mark(Marker(at, kind, {"side": side, **(LATER if later else {})}))

    def feed(self, event: CallEvent) -> None:
        """Step the state machine, and carry out its actions."""
        with self._lock:
            self._feed(event)

    def _feed(self, event: CallEvent) -> None:
        before = self.state
        if isinstance(event, LegBridged):
            self._bridged_at = monotonic()
        self.state, actions = machine.step(before, event)
        if self.state.phase is not before.phase:
            self.log.info(
                "call.phase_changed",
                phase=self.state.phase.name,
                by=type(event).__name__,
                reason=self.state.reason,
            )
        self.act(actions)
        self._return_participants(self)
        self._notify_far_end(before)
        if self.state.timer.deadline != before.timer.deadline:
            self.set_timer()

    def _notify_far_end(self, before: CallState) -> None:
        """Tell the call of the line at the far end what concerns it: that somebody hears it now, or that its
        turn has come. In greenlets of their own, because each call has a lock."""
        other, now = self.far_end, self._now()
        if other is None:
            return
        if self.start.direction == OUTBOUND:
            if self.state.internal.connected and not before.internal.connected:
                # The phone that has called is answered only now, and its audio starts some tenths later.
                gevent.spawn_later(SETTLING_TIME, other.feed, FarEndReached(now))
        elif has_announced(self.state) and not has_announced(before):
            gevent.spawn(other.feed, FarEndAnnounced(now))
        elif self.state.phase >= Phase.ANNOUNCED > before.phase:
            gevent.spawn_later(LONGEST_TURN, other.feed, FarEndAnnounced(now))

    def set_timer(self) -> None:
        """Set the timer of the call's deadline, by the monotonic clock: the deadline itself is a time of day,
        and that clock may jump or differ from the switch's."""
        if self._timer is not None:
            self._timer.kill(block=False)
            self._timer = None
        if self.state.timer.deadline is not None:
            self._timer = gevent.spawn_later(self.state.timer.wait.total_seconds(), self._pass_deadline)

    def act(self, actions: tuple[Action, ...]) -> None:
        """Carry out actions in order. A command that fails does not raise: the switch enforces the rules by
        itself."""
        for action in actions:
            match action:
                case Marker():
                    self._count(action)
                    self._mark(action)
                case Finish():
                    self._finish(action)
                case _:
                    self._do(action)

    def stop_for_disk(self) -> None:
        """Stop the recording because the disk is about to be full. The audio so far is kept, its missing end
        is a gap, and the call continues."""
        if not self._disk_full:
            metrics.SPOOL_ERRORS.labels("sound").inc()
            self.log.error(
                "call.recording_cut", hint="the spool's disk is full: give the spool a larger disk"
            )
        self._disk_full = True
        self._stop()

    def _mark(self, marker: Marker) -> None:
        if self._disk_full and marker.kind == "recording_stopped":
            marker = replace(marker, data={**marker.data, "full": "disk"})
        if self._unwritten is not None:
            self._unwritten.append(marker)  # the folder does not exist yet
        else:
            self.writer.mark(marker)

    def _open(self) -> None:
        self.start = self._starts[self.state.consent.language]
        self.writer.open(self.start)
        markers, self._unwritten = self._unwritten or [], None
        for marker in markers:
            self.writer.mark(marker)

    def _count(self, marker: Marker) -> None:
        if marker.kind == "announcement_started" and self._announced_at is None:
            self._announced_at = marker.at
            delay = (marker.at - self._waiting_since).total_seconds()
            metrics.ANNOUNCEMENT_DELAY.observe(max(0.0, delay))
        elif marker.kind == "bridged" and self.state.plan.at_pickup and self._announced_at is None:
            self._waiting_since = marker.at
        elif marker.kind == "announcement_interrupted":
            metrics.ANNOUNCEMENTS_INTERRUPTED.inc()

    def _do(self, action: Do) -> None:
        script = self.state.script
        match action:
            case Do.OPEN:
                self._open()
            case Do.ASK:
                self._play_on_socket("accord_ask", self.state.prompt.sound, answer=transitions.ANSWER_TIME)
            case Do.RING:
                self._run_extension("accord_pickup")
            case Do.BEGIN | Do.PUT_BACK | Do.CONFIRM | Do.FAIL if self.state.plan.at_pickup:
                self._act_on_answer(action)
            case Do.CONFIRM | Do.FAIL | Do.DECLINE if self.left_at is not None:
                self._act_while_it_rings(action)
            case Do.RING_ON:
                self._ring_on()
            case Do.REMIND if self.start.direction != OUTBOUND:
                self._remind()
            case Do.BEGIN:
                self._play_on_socket(
                    "accord_begin",
                    script.announcement,
                    answer=self._refusal_time(),
                    **self._recording_variables(),
                )
            case Do.REPEAT if not self.state.prompt.talked_over:
                self._run_extension("accord_again")
            case Do.REPEAT | Do.AWAIT_QUIET:
                self._play_on_socket("accord_again", self.state.prompt.sound, answer=self._refusal_time())
                if action is Do.AWAIT_QUIET:
                    gevent.spawn(self._await_quiet)
            case Do.LISTEN:
                self._run_extension(
                    "accord_listen", accord_answer=str(transitions.ANSWER_TIME // timedelta(milliseconds=1))
                )
            case Do.REMIND:
                self._play_on_socket("accord_again", self.state.prompt.sound, answer=transitions.ANSWER_TIME)
            case Do.CUT:
                self._end_playback(self.channel)
            case Do.DECLINE:
                self._play_on_socket("accord_decline", self.state.prompt.sound)
            case Do.CONFIRM:
                self._run_extension("accord_announced")
            case Do.FAIL:
                self._run_extension("accord_fail")
            case Do.LET_GO:
                self._run_extension("accord_pass")
            case Do.LEAVE:
                self.release()
            case Do.STOP:
                self._stop()
            case Do.MARK_TONE:
                self._play_marker_tone(self.state.internal.leg)
            case Do.PAUSE_TONE:
                self._start_pause_tone()
            case Do.END_PAUSE_TONE:
                if commands.addressable(self.state.internal.leg):
                    self._send(commands.stop_pause_tone(self.state.internal.leg))
            case Do.BEEP:
                self._start_beep()
            case Do.DISCARD:
                self.writer.discard()
            case Do.CHECK_TARGET:
                gevent.spawn(self._check_leg, self.state.internal.leg)
            case Do.CHECK_PARTICIPANTS:
                for one in self.state.conference.participants:
                    if not one.checked:
                        gevent.spawn(self._check_leg, one.leg)
            case Do.NOTIFY:
                if script.transfer_notice is not None and self.state.transfer.target is not None:
                    self._play_to_target(
                        self.state.transfer.target.leg,
                        script.transfer_notice.sound,
                        script.transfer_notice.how,
                    )
            case Do.CUT_NOTICE:
                if script.transfer_notice is not None:
                    self._cut_target(self.state.transfer.refuser, script.transfer_notice.how)
            case Do.REFUSED:
                if script.transfer_notice is not None and script.transfer_notice.refused is not None:
                    self._play_to_target(
                        self.state.transfer.refuser,
                        script.transfer_notice.refused,
                        script.transfer_notice.how,
                    )
            case Do.DELETE_ASK | Do.DELETED:
                self._delete(action)
            case Do.KEEP_SINCE:
                self._voice_check = VoiceCheck(self.writer.audio)
            case Do.KEEP_CHECK:
                if self._voice_check is not None:
                    self._voice_check.search(
                        last=self.state.question.how == OWN_WORDS, report=self._report_voice
                    )
            case _:
                self._play_keep_sound(action)

    def _act_on_answer(self, action: Do) -> None:
        """Carry out an action on the standing connection, because the call has left its own socket; the
        switch checks the call's state each time."""
        channel, group = self.channel, self.start.recording
        if action is Do.CONFIRM:
            gevent.spawn(self._confirm, "announcing")
        elif action is Do.FAIL:
            self._end_recording("announcing", "failed")
        elif action is Do.PUT_BACK:
            self._send(commands.unschedule(group))
            self._send(commands.change_variable(channel, "accord_state", "announcing", "pickup"))
            self._send(commands.record_stop(channel, self.writer.audio))
        else:
            self._begin_on_answer(channel, group)

    def _begin_on_answer(self, channel: str, group: str) -> None:
        announcement, audio = self.state.prompt.sound, self.writer.audio
        self._send(commands.change_variable(channel, "accord_state", "pickup", "announcing"))
        # As accord_begin does, so that the switch treats this recording like any other.
        self._send(commands.put_variable(channel, "accord_recorded", str(audio)))
        self._send(commands.put_variable(channel, "accord_recording", self.start.recording))
        # Schedule its end first, so that it ends even if the daemon dies.
        for command in self._scheduled_end(
            "announcing", transitions.switch_timeout(announcement.length), group
        ):
            self._send(command)
        self._disable_terminators(channel, self.state.internal.leg)
        self._send(commands.record_start(channel, "accord_state", "announcing", audio, self.start.recording))
        self._play_to_both("announcing", Path(announcement.path))

    def _ring_on(self) -> None:
        """Hand the call back while it can be refused. Its end is scheduled first, so that the recording ends
        even if the daemon dies."""
        seconds = transitions.switch_timeout(transitions.ANSWER_TIME)
        end = self._scheduled_end("refusable", seconds, self.start.recording)
        self._send_on_socket([*end, commands.execute_extension("accord_refusable")])

    def _remind(self) -> None:
        """Play how to refuse, and schedule the end of the recording anew before that is due."""
        question, group = self.state.script.question, self.start.recording
        if question is None:
            return
        seconds = transitions.switch_timeout(question.length, transitions.ANSWER_TIME)
        for command in self._scheduled_end("refusable", seconds, f"{group}_reminded"):
            self._send(command)
        self._send(commands.unschedule(group))
        self._mix_in("refusable", question)

    def _act_while_it_rings(self, action: Do) -> None:
        """Carry out an action for a call that has left its own socket while it can be refused."""
        if action is Do.CONFIRM:
            gevent.spawn(self._confirm, "refusable")
        elif action is Do.FAIL:
            self._end_recording("refusable", "failed")
        else:
            self._end_recording("refusable", "declined")
            self._mix_in("declined", self.state.prompt.sound)

    def _mix_in(self, state: str, sound: Speech) -> None:
        """Mix a sound into what the external party hears, whether it rings or is connected, if the call is in
        that state then."""
        if sound.path:
            self._send(commands.mix_in(self.channel, "accord_state", state, self.channel, Path(sound.path)))

    def _end_recording(self, state: str, outcome: str) -> None:
        self._send(commands.change_variable(self.channel, "accord_state", state, outcome))
        self._send(commands.record_stop_unless(self.channel, "accord_state", "announced", self.writer.audio))

    def _scheduled_end(self, state: str, seconds: int, group: str) -> list[SwitchCommand]:
        """Return the commands by which the switch ends the recording by itself, ``seconds`` from now, unless
        the call is announced by then."""
        late = commands.change_variable(self.channel, "accord_state", state, "late")
        stop = commands.record_stop_unless(self.channel, "accord_state", "announced", self.writer.audio)
        return [commands.schedule(seconds, group, command) for command in (late, stop)]

    def _confirm(self, before: str) -> None:
        """Confirm the announcement of a call in the state ``before``, which the switch may refuse. If it
        cannot be asked now, reconciling asks it."""
        confirmation = commands.change_variable(self.channel, "accord_state", before, "announced")
        try:
            self._ask(confirmation)
            state = "announced"
        except SwitchError as error:
            if error.error_id != "switch.refused":
                self.log.warning("call.notice_failed", command=str(confirmation), error=error.message)
                return
            state = "late"
        self.feed(StateReported(self._now(), state=state))

    def _check_leg(self, leg: str) -> None:
        """Ask whether a leg is external. One that no command can address counts as internal."""
        external, state = False, ""
        if commands.addressable(leg):
            try:
                external = self._is_external(leg)
                state = self._ask(commands.get_variable(leg, "accord_state"))
            except SwitchError as error:
                self.log.warning("call.question_failed", error=error.message)
        self.feed(LegChecked(self._now(), leg, external, announced=state == "announced"))

    def _is_external(self, leg: str) -> bool:
        """Whether a leg is external, by the dialplan's variable. Without it, a leg is external if the called
        telephone redirected the call to another system (302), or if a transfer target's leg is an inbound
        call from outside. The first party is no transfer target: a queue's agent may have dialled in."""
        marked = self._ask(commands.get_variable(leg, EXTERNAL_LEG))
        if marked in ("true", "false"):
            return marked == "true"
        if self._ask(commands.get_variable(leg, "sip_redirected_to")) not in _UNSET:
            return True
        is_target = is_beside(self.state, leg) or not transfer_notice.is_informed(self.state)
        return is_target and self._ask(commands.get_variable(leg, "accord_state")) not in _INTERNAL_STATES

    def _play_to_target(self, leg: str, sound: Speech, how: str) -> None:
        """Play a notice, the consent question or the refusal to a transfer target. No key ends it."""
        if is_beside(self.state, leg):
            self._play_notice(self, leg, sound)
            return
        if not commands.addressable(leg):
            return
        path, both = Path(sound.path), how == BOTH
        self._disable_terminators(*((self.channel, leg) if both else (leg,)))
        if both:
            self._play_to_both("announced", path)
        else:
            self._send(commands.play_to(self.channel, "accord_state", "announced", leg, path))

    def _cut_target(self, leg: str, how: str) -> None:
        if is_beside(self.state, leg):
            self._cut_notice(self, leg)
            return
        for each in (self.channel, leg) if how == BOTH else (leg,):
            self._end_playback(each)

    def _end_playback(self, leg: str) -> None:
        if commands.addressable(leg):
            self._send(commands.end_playback(leg))

    def _delete(self, action: Do) -> None:
        """Ask the internal party to confirm the deletion; or stop the recording, and tell both parties."""
        delete, internal = self.state.script.delete, self.state.internal.leg
        if delete is None:
            return
        if action is Do.DELETE_ASK:
            if not commands.addressable(internal):
                return
            self._disable_terminators(internal)
            question = Path(delete.question.path)
            self._send(commands.play_to(self.channel, "accord_state", "announced", internal, question))
            return
        self._stop()
        self._disable_terminators(self.channel, internal)
        self._send(
            commands.play_to_both(self.channel, "accord_state", "announced", Path(delete.deleted.path))
        )
        self._send(commands.change_variable(self.channel, "accord_state", "announced", "unrecorded"))

    def _stop(self) -> None:
        self._send(commands.record_stop(self.channel, self.writer.audio))
        for leg in self._beep_legs():
            self._send(commands.stop_beep(leg))

    def _play_marker_tone(self, leg: str) -> None:
        if commands.addressable(leg):
            tone = commands.play_marker_tone(self.channel, "accord_state", "announced", leg)
            self.writer.then(lambda: self._send(tone))

    def _start_pause_tone(self) -> None:
        left = (self.state.pause.until or self._now()) - self._now()
        if commands.addressable(self.state.internal.leg):
            seconds = max(1, int(left.total_seconds()))
            self._send(commands.start_pause_tone(self.channel, self.state.internal.leg, seconds))

    def _start_beep(self) -> None:
        for leg in self._beep_legs():
            self._send(commands.start_beep(self.channel, "accord_state", "announced", leg))

    def _beep_legs(self) -> list[str]:
        legs = {"external": (self.channel,), "internal": (self.state.internal.leg,)}
        both = (self.channel, self.state.internal.leg) if self.state.plan.beep == "both" else ()
        return [leg for leg in legs.get(self.state.plan.beep, both) if commands.addressable(leg)]

    def _disable_terminators(self, *legs: str) -> None:
        """Let no key end the sounds of these legs from now on. On a leg that no command can address, keys
        still do."""
        for leg in filter(commands.addressable, legs):
            self._send(commands.put_variable(leg, "playback_terminators", "none"))

    def _play_keep_sound(self, action: Do) -> None:
        """Play a sound of the keep question, or end it."""
        keep, internal = self.state.script.keep, self.state.internal.leg
        if keep is None:
            return
        if action is Do.KEEP_CUT:
            for leg in (self.channel, internal):
                self._end_playback(leg)
            return
        sounds = {
            Do.KEEP_ASK: keep.question,
            Do.KEEP_YES: keep.yes,
            Do.KEEP_NO: keep.no,
            Do.KEEP_NONE: keep.none,
        }
        sound = sounds.get(action) or keep.cue
        path = Path(sound.path)
        self._disable_terminators(self.channel, internal)
        if action is Do.KEEP_CUE:
            if not commands.addressable(internal):
                return
            self._send(commands.play_to(self.channel, "accord_state", "announced", internal, path))
        else:
            self._play_to_both("announced", path)

    def _await_quiet(self) -> None:
        """End the silence that plays once the other end is silent, too."""
        if self._overlap.await_quiet(lambda: self.state.prompt.sound == transitions.SILENCE):
            self._end_playback(self.channel)

    def _report_voice(self, found: tuple[int, int] | None) -> None:
        self.feed(VoiceChecked(self._now(), found))

    def _play_to_both(self, state: str, sound: Path) -> None:
        """Play a sound to both ends at once, if the call is in that state then.

        The command waits until both have been bridged for :data:`SETTLING_TIME`. FreeSWITCH plays nothing to
        a leg until it has read ten frames from it since the bridge, and counts no frames of a leg while the
        other one hears a sound. A party who was a frame behind would hear the sound only after the other, and
        their keys would be lost meanwhile (``audio_bridge_thread``; observed in one call of three)."""
        command = commands.play_to_both(self.channel, "accord_state", state, sound)
        wait = SETTLING_TIME - (monotonic() - self._bridged_at)
        if wait > 0:
            gevent.spawn_later(wait, self._send, command)
        else:
            self._send(command)

    def _play_on_socket(
        self, extension: str, sound: Speech, *, answer: timedelta = timedelta(0), **values: str
    ) -> None:
        """Play a sound on the call's own socket. Variables are set by API commands, which run at once,
        because the call's own thread takes one command per media tick until the call is answered. The call is
        answered by API for the same reason."""
        values |= {
            "accord_prompt": sound.path,
            "accord_seconds": str(transitions.switch_timeout(sound.length, answer)),
        }
        self._run_extension(extension, **values)

    def _run_extension(self, extension: str, **values: str) -> None:
        """Run an extension on the call's own socket, with these variables."""
        context, first = commands.CALLEE, []
        if self.start.direction != OUTBOUND:
            context = commands.CONTEXT
            if values:
                first = [commands.answer_in_state(self.channel, "accord_state", "waiting")]
        variables = [commands.put_variable(self.channel, name, value) for name, value in values.items()]
        self._send_on_socket([*first, *variables, commands.execute_extension(extension, context)])

    def _recording_variables(self) -> dict[str, str]:
        return {"accord_recording": self.start.recording, "accord_audio": str(self.writer.audio)}

    def _refusal_time(self) -> timedelta:
        return transitions.ANSWER_TIME if self.state.plan.mode == OPT_OUT else timedelta(0)

    def _finish(self, finish: Finish) -> None:
        outcome = "recorded" if finish.reason is None else "not_recorded"
        self.writer.close(
            CallEnd(outcome, finish.reason, finish.at, finish.internal_party), lambda: self._ended(self)
        )
        self.release()
        metrics.CALLS.labels(finish.reason or outcome).inc()
        self.log.info("call.ended", outcome=outcome, reason=finish.reason)

    def _pass_deadline(self) -> None:
        if self.state.timer.deadline is not None:
            self.feed(DeadlinePassed(max(self._now(), self.state.timer.deadline)))

    def _send_on_socket(self, batch: list[SwitchCommand]) -> None:
        try:
            self._to_call(batch)
        except SwitchError as error:
            # The socket is gone: the switch has continued the call, and its guard stops the recording.
            self.log.warning("call.notice_failed", command=str(batch[-1]), error=error.message)

    def _send(self, command: SwitchCommand) -> None:
        try:
            self._to_switch(command)
        except SwitchError as error:
            # When the connection is back, reconciling stops the recording.
            self.log.error("call.stop_failed", error=error.message)
