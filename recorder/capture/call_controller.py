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
from recorder.call.state import Action, CallState, Do, Finish, Phase, WriteMark
from recorder.call.transfer_target import is_beside
from recorder.capture.spool_writer import SpoolWriter
from recorder.capture.voice_check import VoiceCheck
from recorder.clock import Now
from recorder.domain.call_events import (
    INTERNAL,
    CallEvent,
    DeadlinePassed,
    HoldStarted,
    LegBridged,
    LegChecked,
    StateReported,
    VoiceChecked,
)
from recorder.domain.call_plan import BOTH, OPT_OUT, Speech
from recorder.domain.line_policy import OUTWARD
from recorder.errors import SwitchError
from recorder.spool.layout import CallEnd, CallStart, Mark
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl_events import EslEvent
from recorder.switch.translation import observe, observe_talk

log = structlog.get_logger()

OUTSIDE_LEG = "accord_outside"
"""The variable of a leg that leads outside; the dialplan sets it on its way out."""

SETTLED: Final = 0.4
"""Seconds from a bridge until something can be played to both ends at once."""

_UNSET = frozenset({"", "_undef_"})

_NOT_OUTSIDE = _UNSET | {"outgoing"}
"""``accord_state`` of a colleague's leg. The leg of an external caller, or of the callee of an outbound
call, has another value, whether that call is recorded or not."""


def _gone(_orders: list[SwitchCommand]) -> NoReturn:
    raise SwitchError("switch.gone", "the call's own socket is closed", "")


class CallController:
    """A call, from its arrival (or from the spool, after a restart) until ``take.json`` is written.

    ``start`` is the content of its ``call.json``; where a language is chosen first, ``starts`` has one for
    each, in the plan's order. ``to_call`` sends a command on the call's own socket, ``to_switch`` on the
    standing connection, and ``ask`` waits for its answer there; all raise :class:`SwitchError` when the
    connection is gone. ``tell_in_room`` plays a sound to the conference participant or third party on a
    leg, and ``cut_in_room`` ends it; ``let_back`` is called after each step, so that a third party whom
    nothing is asked any more can return. ``ended`` is called once, when the call is written."""

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
        tell_in_room: Callable[[CallController, str, Speech], object] = lambda _call, _leg, _sound: None,
        cut_in_room: Callable[[CallController, str], object] = lambda _call, _leg: None,
        let_back: Callable[[CallController], object] = lambda _call: None,
    ) -> None:
        self.start = start
        self._tell_in_room = tell_in_room
        self._cut_in_room = cut_in_room
        self._let_back = let_back
        self._starts = starts or (start,)
        self._unwritten: list[Mark] | None = None if state.recording.ordered else []
        self.state = state
        self.writer = writer
        self.leave = Event()
        self.left_at: datetime | None = None
        """Since when only the standing connection reports it; ``None`` while its own socket does."""
        self.log = log.bind(recording=start.recording)
        self._now = now
        self._to_call = to_call
        self._to_switch = to_switch
        self._ask = ask
        self._ended = ended
        self._seen: set[int] = set()
        # Both connections report it, and one event is handled completely before the next.
        self._one_at_a_time = RLock()
        self.asking = Semaphore()
        """Commands from the panel and the API, one at a time."""
        self._timer: gevent.Greenlet[[], None] | None = None
        self._told_at: datetime | None = None
        self._connected = -SETTLED
        self._answer: VoiceCheck | None = None
        self._since = start.started_at
        self._cut = False

    def drop_socket(self) -> None:
        """The switch has its call back, and the call's own socket is closed: keep nothing of it."""
        self._to_call = _gone

    @property
    def channel(self) -> str:
        """The switch's id of the external leg."""
        return self.start.channel

    @property
    def told_late(self) -> bool:
        """Whether the switch reports nothing on the call's own socket while it carries out a command, as
        on an outbound call."""
        return self.start.direction == OUTWARD and not self.state.leaving

    def let_go(self) -> None:
        """Its own socket is left, or closed."""
        self.left_at = self.left_at or self._now()
        self.leave.set()

    def event(self, event: EslEvent) -> None:
        """Take an event of this channel, from either connection; each is taken once, by its number."""
        number = event.sequence
        if number in self._seen:
            return
        self._seen.add(number)
        observed = observe(event, self.channel)
        if observed is not None:
            self.feed(observed)

    def in_talk(self, event: EslEvent) -> None:
        """Take an event of either leg from the standing connection. It counts only once the call's own
        socket is left: before, the two connections report the same thing in any order."""
        if self.state.phase is Phase.ANNOUNCED or announce_on_answer.is_announcing(self.state):
            observed = observe_talk(event, self.channel, self.state.internal.leg)
            if observed is not None:
                self.feed(observed)

    def asks_another(self, event: EslEvent) -> None:
        """The colleague speaks with somebody else on the same leg (att_xfer) while the external party
        waits. That counts as the colleague's hold, until the two are bridged again or another party is."""
        self.feed(HoldStarted(event.at, leg=INTERNAL))

    def feed(self, event: CallEvent) -> None:
        """Step the state machine, and act."""
        with self._one_at_a_time:
            self._feed(event)

    def _feed(self, event: CallEvent) -> None:
        before = self.state
        if isinstance(event, LegBridged):
            self._connected = monotonic()
        self.state, actions = machine.step(before, event)
        if self.state.phase is not before.phase:
            self.log.info(
                "call.phase_changed",
                phase=self.state.phase.name,
                by=type(event).__name__,
                reason=self.state.reason,
            )
        self.act(actions)
        self._let_back(self)
        if self.state.timer.deadline != before.timer.deadline:
            self.watch()

    def watch(self) -> None:
        """Set the timer of the call's deadline by the monotonic clock. The deadline itself is a time of
        day, which is no measure where a clock jumps or is not the switch's."""
        if self._timer is not None:
            self._timer.kill(block=False)
            self._timer = None
        if self.state.timer.deadline is not None:
            self._timer = gevent.spawn_later(self.state.timer.wait.total_seconds(), self._late)

    def act(self, actions: tuple[Action, ...]) -> None:
        """Carry out actions in order. Commands to the switch never raise: the switch keeps the rules, too."""
        for action in actions:
            match action:
                case WriteMark(kind, at, data):
                    self._count(kind, at)
                    self._mark(Mark(at, kind, dict(data)))
                case Finish():
                    self._finish(action)
                case _:
                    self._do(action)

    def end_for_room(self) -> None:
        """Stop its recording, because the disk is about to be full. The audio so far is kept, and its
        missing end is a gap; the call goes on."""
        if not self._cut:
            metrics.SPOOL_ERRORS.labels("sound").inc()
            self.log.error(
                "call.recording_cut", hint="the spool's disk has no more room: give it a larger one"
            )
        self._cut = True
        self._stop()

    def _mark(self, mark: Mark) -> None:
        if self._cut and mark.kind == "recording_stopped":
            mark = replace(mark, data={**mark.data, "full": "disk"})
        if self._unwritten is not None:
            self._unwritten.append(mark)  # its folder does not exist yet
        else:
            self.writer.mark(mark)

    def _open(self) -> None:
        self.start = self._starts[self.state.consent.language]
        self.writer.open(self.start)
        waiting, self._unwritten = self._unwritten or [], None
        for mark in waiting:
            self.writer.mark(mark)

    def _count(self, kind: str, at: datetime) -> None:
        if kind == "announcement_started" and self._told_at is None:
            self._told_at = at
            waited = (at - self._since).total_seconds()
            metrics.ANNOUNCEMENT_DELAY.observe(max(0.0, waited))
        elif kind == "bridged" and self.state.plan.at_pickup and self._told_at is None:
            self._since = at
        elif kind == "announcement_interrupted":
            metrics.ANNOUNCEMENTS_BROKEN.inc()

    def _do(self, action: Do) -> None:
        script = self.state.script
        match action:
            case Do.OPEN:
                self._open()
            case Do.ASK:
                self._say("accord_ask", self.state.prompt.sound, answer=transitions.ANSWER)
            case Do.RING:
                self._run("accord_pickup")
            case Do.BEGIN | Do.PUT_BACK | Do.CONFIRM | Do.FAIL if self.state.plan.at_pickup:
                self._at_pickup(action)
            case Do.BEGIN:
                self._say(
                    "accord_begin", script.announcement, answer=self._time_to_refuse(), **self._recording()
                )
            case Do.AGAIN:
                self._run("accord_again")
            case Do.LISTEN:
                self._run("accord_listen", accord_answer=str(transitions.ANSWER // timedelta(milliseconds=1)))
            case Do.REMIND:
                self._say("accord_again", self.state.prompt.sound, answer=transitions.ANSWER)
            case Do.CUT:
                self._end_playback(self.channel)
            case Do.DECLINE:
                self._say("accord_decline", self.state.prompt.sound)
            case Do.CONFIRM:
                self._run("accord_announced")
            case Do.FAIL:
                self._run("accord_fail")
            case Do.LET_GO:
                self._run("accord_pass")
            case Do.LEAVE:
                self.let_go()
            case Do.STOP:
                self._stop()
            case Do.NOTE_TONE:
                self._note_tone(self.state.internal.leg)
            case Do.PAUSE_TONE:
                self._pause_tone()
            case Do.PAUSE_OVER:
                if commands.addressable(self.state.internal.leg):
                    self._switch(commands.no_pause_tone(self.state.internal.leg))
            case Do.BEEP:
                self._beep()
            case Do.DISCARD:
                self.writer.discard()
            case Do.LOOK:
                gevent.spawn(self._look, self.state.internal.leg)
            case Do.LOOK_ROUND:
                for one in self.state.conference.participants:
                    if not one.asked:
                        gevent.spawn(self._look, one.leg)
            case Do.TELL:
                if script.transfer_notice is not None and self.state.transfer.target is not None:
                    self._tell_joiner(
                        self.state.transfer.target.leg,
                        script.transfer_notice.sound,
                        script.transfer_notice.how,
                    )
            case Do.CUT_JOINER:
                if script.transfer_notice is not None:
                    self._cut_joiner(self.state.transfer.refuser, script.transfer_notice.how)
            case Do.REFUSED:
                if script.transfer_notice is not None and script.transfer_notice.refused is not None:
                    self._tell_joiner(
                        self.state.transfer.refuser,
                        script.transfer_notice.refused,
                        script.transfer_notice.how,
                    )
            case Do.DELETE_ASK | Do.DELETED:
                self._delete(action)
            case Do.KEEP_SINCE:
                self._answer = VoiceCheck(self.writer.audio)
            case Do.KEEP_CHECK:
                if self._answer is not None:
                    self._answer.look(last=self.state.question.how == OWN_WORDS, told=self._voice)
            case _:
                self._keep(action)

    def _at_pickup(self, action: Do) -> None:
        """Carry out an action on the standing connection, because the call's own socket has long been
        left; the switch checks the call's state each time."""
        channel, stop_at = self.channel, self.start.recording
        if action is Do.CONFIRM:
            gevent.spawn(self._confirm)
        elif action is Do.FAIL:
            self._switch(commands.change_variable(channel, "accord_state", "announcing", "failed"))
            self._switch(commands.record_stop_unless(channel, "accord_state", "announced", self.writer.audio))
        elif action is Do.PUT_BACK:
            self._switch(commands.unschedule(stop_at))
            self._switch(commands.change_variable(channel, "accord_state", "announcing", "pickup"))
            self._switch(commands.record_stop(channel, self.writer.audio))
        else:
            self._begin_at_pickup(channel, stop_at)

    def _begin_at_pickup(self, channel: str, stop_at: str) -> None:
        said, audio = self.state.prompt.sound, self.writer.audio
        seconds = transitions.bound(said.length)
        stop = commands.record_stop_unless(channel, "accord_state", "announced", audio)
        late = commands.change_variable(channel, "accord_state", "announcing", "late")
        self._switch(commands.change_variable(channel, "accord_state", "pickup", "announcing"))
        # As accord_begin does: the switch treats this recording like any other.
        self._switch(commands.put_variable(channel, "accord_recorded", str(audio)))
        self._switch(commands.put_variable(channel, "accord_recording", self.start.recording))
        # First schedule its end, whatever happens to the daemon.
        self._switch(commands.schedule(seconds, stop_at, late))
        self._switch(commands.schedule(seconds, stop_at, stop))
        self._unending(channel, self.state.internal.leg)
        self._switch(
            commands.record_start(channel, "accord_state", "announcing", audio, self.start.recording)
        )
        self._say_to_both("announcing", Path(said.path))

    def _confirm(self) -> None:
        """The switch has the last word; if it cannot be asked now, it is when the connection is back."""
        told = commands.change_variable(self.channel, "accord_state", "announcing", "announced")
        try:
            self._ask(told)
            state = "announced"
        except SwitchError as error:
            if error.error_id != "switch.refused":
                self.log.warning("call.notice_failed", command=str(told), error=error.message)
                return
            state = "late"
        self.feed(StateReported(self._now(), state=state))

    def _look(self, leg: str) -> None:
        """Ask whether a leg is external; one that cannot be asked about counts as a colleague's."""
        external, state = False, ""
        if commands.addressable(leg):
            try:
                external = self._leads_outside(leg)
                state = self._ask(commands.get_variable(leg, "accord_state"))
            except SwitchError as error:
                self.log.warning("call.question_failed", error=error.message)
        self.feed(LegChecked(self._now(), leg, external, announced=state == "announced"))

    def _leads_outside(self, leg: str) -> bool:
        """Whether a leg is external: by the dialplan's word, where it has one; otherwise where the
        telephone that was called sent the call on to another system (a 302), or where the leg of a
        transfer target came in from outside. The first party is no transfer target: whoever takes the
        calls of a queue may have called in."""
        marked = self._ask(commands.get_variable(leg, OUTSIDE_LEG))
        if marked in ("true", "false"):
            return marked == "true"
        if self._ask(commands.get_variable(leg, "sip_redirected_to")) not in _UNSET:
            return True
        joiner = is_beside(self.state, leg) or not transfer_notice.is_informed(self.state)
        return joiner and self._ask(commands.get_variable(leg, "accord_state")) not in _NOT_OUTSIDE

    def _tell_joiner(self, leg: str, sound: Speech, how: str) -> None:
        """Notify or ask a transfer target, or play that the call is not recorded. No key ends it."""
        if is_beside(self.state, leg):
            self._tell_in_room(self, leg, sound)
            return
        if not commands.addressable(leg):
            return
        path, both = Path(sound.path), how == BOTH
        self._unending(*((self.channel, leg) if both else (leg,)))
        if both:
            self._say_to_both("announced", path)
        else:
            self._switch(commands.play_to(self.channel, "accord_state", "announced", leg, path))

    def _cut_joiner(self, leg: str, how: str) -> None:
        if is_beside(self.state, leg):
            self._cut_in_room(self, leg)
            return
        for each in (self.channel, leg) if how == BOTH else (leg,):
            self._end_playback(each)

    def _end_playback(self, leg: str) -> None:
        if commands.addressable(leg):
            self._switch(commands.cut(leg))

    def _delete(self, action: Do) -> None:
        """Ask the colleague to confirm deletion; or stop the recording, and play that to both."""
        delete, colleague = self.state.script.delete, self.state.internal.leg
        if delete is None:
            return
        if action is Do.DELETE_ASK:
            if not commands.addressable(colleague):
                return
            self._unending(colleague)
            question = Path(delete.question.path)
            self._switch(commands.play_to(self.channel, "accord_state", "announced", colleague, question))
            return
        self._stop()
        self._unending(self.channel, colleague)
        self._switch(
            commands.play_to_both(self.channel, "accord_state", "announced", Path(delete.deleted.path))
        )
        self._switch(commands.change_variable(self.channel, "accord_state", "announced", "unrecorded"))

    def _stop(self) -> None:
        self._switch(commands.record_stop(self.channel, self.writer.audio))
        for leg in self._hear_beeps():
            self._switch(commands.no_beep(leg))

    def _note_tone(self, leg: str) -> None:
        if commands.addressable(leg):
            tone = commands.note_tone(self.channel, "accord_state", "announced", leg)
            self.writer.then(lambda: self._switch(tone))

    def _pause_tone(self) -> None:
        left = (self.state.pause.until or self._now()) - self._now()
        if commands.addressable(self.state.internal.leg):
            seconds = max(1, int(left.total_seconds()))
            self._switch(commands.pause_tone(self.channel, self.state.internal.leg, seconds))

    def _beep(self) -> None:
        for leg in self._hear_beeps():
            self._switch(commands.beep(self.channel, "accord_state", "announced", leg))

    def _hear_beeps(self) -> list[str]:
        legs = {"external": (self.channel,), "internal": (self.state.internal.leg,)}
        both = (self.channel, self.state.internal.leg) if self.state.plan.beep == "both" else ()
        return [leg for leg in legs.get(self.state.plan.beep, both) if commands.addressable(leg)]

    def _unending(self, *legs: str) -> None:
        """Let no key end what plays to these legs from now on. Where a colleague's leg has an id that no
        command can address, keys still do."""
        for leg in filter(commands.addressable, legs):
            self._switch(commands.put_variable(leg, "playback_terminators", "none"))

    def _keep(self, action: Do) -> None:
        """Play a sound of the keep question."""
        keep, colleague = self.state.script.keep, self.state.internal.leg
        if keep is None:
            return
        if action is Do.KEEP_CUT:
            for leg in (self.channel, colleague):
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
        self._unending(self.channel, colleague)
        if action is Do.KEEP_CUE:
            if not commands.addressable(colleague):
                return
            self._switch(commands.play_to(self.channel, "accord_state", "announced", colleague, path))
        else:
            self._say_to_both("announced", path)

    def _voice(self, found: tuple[int, int] | None) -> None:
        self.feed(VoiceChecked(self._now(), found))

    def _say_to_both(self, state: str, sound: Path) -> None:
        """Play a sound to both ends at once, if the call is in that state then.

        It waits until both have been bridged for a moment: FreeSWITCH plays nothing to a leg from which it
        has not read ten frames since, and does not count a leg's frames while the other one hears a sound.
        So a party who was a frame behind would hear it only after the other had, and their keys would be
        lost meanwhile (``audio_bridge_thread``; seen in one call of three)."""
        order = commands.play_to_both(self.channel, "accord_state", state, sound)
        wait = SETTLED - (monotonic() - self._connected)
        if wait > 0:
            gevent.spawn_later(wait, self._switch, order)
        else:
            self._switch(order)

    def _say(self, extension: str, sound: Speech, *, answer: timedelta = timedelta(0), **values: str) -> None:
        """Play a sound on the call's own socket. Variables are set by API, at once, because the call's own
        thread takes one command a media tick until it is answered. So is the answer, while that thread
        still sleeps through its tick."""
        values |= {
            "accord_prompt": sound.path,
            "accord_seconds": str(transitions.bound(sound.length, answer)),
        }
        self._run(extension, **values)

    def _run(self, extension: str, **values: str) -> None:
        """Run an extension on the call's own socket, with these variables."""
        context, first = commands.CALLEE, []
        if self.start.direction != OUTWARD:
            context = commands.CONTEXT
            if values:
                first = [commands.answer_in_state(self.channel, "accord_state", "waiting")]
        told = [commands.put_variable(self.channel, name, value) for name, value in values.items()]
        self._call([*first, *told, commands.execute_extension(extension, context)])

    def _recording(self) -> dict[str, str]:
        return {"accord_recording": self.start.recording, "accord_audio": str(self.writer.audio)}

    def _time_to_refuse(self) -> timedelta:
        return transitions.ANSWER if self.state.plan.mode == OPT_OUT else timedelta(0)

    def _finish(self, finish: Finish) -> None:
        outcome = "recorded" if finish.reason is None else "not_recorded"
        self.writer.close(
            CallEnd(outcome, finish.reason, finish.at, finish.internal_party), lambda: self._ended(self)
        )
        self.let_go()
        metrics.CALLS.labels(finish.reason or outcome).inc()
        self.log.info("call.ended", outcome=outcome, reason=finish.reason)

    def _late(self) -> None:
        if self.state.timer.deadline is not None:
            self.feed(DeadlinePassed(max(self._now(), self.state.timer.deadline)))

    def _call(self, orders: list[SwitchCommand]) -> None:
        try:
            self._to_call(orders)
        except SwitchError as error:
            # The call's socket is gone: the switch has gone on, and guards the call.
            self.log.warning("call.notice_failed", command=str(orders[-1]), error=error.message)

    def _switch(self, command: SwitchCommand) -> None:
        try:
            self._to_switch(command)
        except SwitchError as error:
            # Reconciling stops it when the connection is back.
            self.log.error("call.stop_failed", error=error.message)
