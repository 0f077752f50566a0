"""Creates the controllers of calls: of calls that arrive, that an earlier daemon began, and that continue
unrecorded. Lists the calls that ended unrecorded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog

from recorder import metrics
from recorder.call import initial, transitions
from recorder.call.state import Action, CallState
from recorder.capture.bypassed_calls import DID_NOT_ASK, BypassedCalls
from recorder.capture.call_controller import CallController
from recorder.capture.conferences import Conferences
from recorder.capture.config_cache import ConfigCache
from recorder.capture.far_end import find_far_end
from recorder.capture.headroom import Headroom
from recorder.capture.overflow_journal import OverflowJournal
from recorder.capture.settings import DaemonSettings
from recorder.capture.spool_writer import SpoolWriter, reason_for
from recorder.capture.unhandled_calls import UnhandledCalls
from recorder.clock import Now, Uptime
from recorder.domain.call_events import ChannelGone, FolderFailed, FolderWritten
from recorder.domain.call_plan import NOTICE
from recorder.domain.line_policy import INBOUND, OFF, OUTBOUND, LinePolicy
from recorder.domain.parties import Party
from recorder.domain.phone_numbers import strip_punctuation
from recorder.errors import SwitchError
from recorder.ids import Entropy, uuid7
from recorder.spool.layout import CallEnd, CallStart
from recorder.switch import commands
from recorder.switch.caller_id import external_party_of, is_outbound
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl import OutboundSession
from recorder.switch.esl_events import EslEvent
from recorder.switch.outbound_socket import Arrival
from recorder.switch.standing_connection import Node
from recorder.switch.translation import CALL_EVENTS, translate

log = structlog.get_logger()

REMEMBERED: Final = 10_000
"""How many of its own recordings a daemon remembers by their ids."""

_RELEASED: Final = frozenset({"late", "unrecorded"})
"""The switch's states of a call that did not wait for the daemon: ``late`` until its socket closes."""


@dataclass(eq=False, repr=False)
class CallIntake:
    """Adds controllers to ``calls`` (by the external leg's channel) and removes those whose calls are
    written. ``created`` is called with the id of each recording before its folder is created,
    ``registered`` with each controller."""

    settings: DaemonSettings
    calls: dict[str, CallController]
    node: Node
    config: ConfigCache
    headroom: Headroom
    conferences: Conferences
    journal: OverflowJournal
    created: Callable[[str], object]
    registered: Callable[[CallController], object]
    _: KW_ONLY
    now: Now
    entropy: Entropy
    since_boot: Callable[[], Uptime]
    recordings: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED), init=False)
    """The ids of this daemon's latest recordings."""
    bypassed: BypassedCalls = field(init=False)
    unhandled: UnhandledCalls = field(init=False)

    def __post_init__(self) -> None:
        self.bypassed = BypassedCalls(
            self.node,
            self.settings.region,
            self.now,
            line=self.config.line,
            follow=self.follow,
            end=self._end,
            is_known=lambda channel: channel in self.calls or self.unhandled.is_written(channel),
        )
        self.unhandled = UnhandledCalls(
            self.node, self.settings.region, self._list_unhandled, self.follow, self.bypassed.check
        )

    def arrive(self, arrival: Arrival, socket: OutboundSession) -> None:
        """Handle an arriving call, in its own greenlet; on return the switch has its call back."""
        at = self.now()
        self.bypassed.note_context(arrival.context)
        policy, reason = self.config.decide(arrival.line, arrival.caller_numbers)
        if not arrival.new or arrival.channel in self.calls or self.unhandled.is_written(arrival.channel):
            # Handled or listed already, not passed here by Accord's dialplan, or over by now.
            log.warning("call.foreign", channel=repr(arrival.channel), state=repr(arrival.state))
            if arrival.state in _RELEASED and arrival.channel not in self.calls:
                self.unhandled.follow_late(
                    arrival.channel, arrival.line, arrival.direction, arrival.external_party
                )
            return
        if not _is_covered(policy, arrival.direction):
            return
        if not commands.addressable(arrival.channel):
            # No command can address it: it continues, and is listed.
            log.warning("call.unaddressable", channel=repr(arrival.channel))
            self.follow(
                arrival.channel,
                arrival.line,
                arrival.direction,
                arrival.external_party,
                "announcement_failed",
            )
            return
        if reason == "no_line":
            log.info("call.without_line", number=arrival.line, context=arrival.context)
        far_end = find_far_end(arrival, tuple(self.calls.values()), self.node.api)
        start = self._start(
            arrival.channel, arrival.line, arrival.direction, arrival.external_party, policy, at,
            self.since_boot(),
        )  # fmt: skip
        writer = self._writer(start)
        if reason is None:
            try:
                writer.prepare()
            except OSError as error:
                metrics.SPOOL_ERRORS.labels("folder").inc()
                reason = reason_for(error)
                log.error("spool.open_failed", recording=start.recording, error=str(error), reason=reason)
            if self.unhandled.is_written(arrival.channel):
                # It hung up while its folder was created, and is listed.
                log.warning("call.foreign", channel=repr(arrival.channel), state=repr(arrival.state))
                writer.abandon()
                return
        # Not earlier: from here until the call is registered, no other call asks for room.
        if reason is None and policy is not None and not self.headroom.admits(policy.formats):
            reason = "full_disk"
        plan = None if policy is None or reason else self.config.plan(policy, arrival.direction)
        if plan is not None and far_end is not None:
            plan = initial.in_turn(plan)
            reason = None if plan is not None else "announcement_failed"
        if plan is not None and policy is not None:
            start = replace(start, at_pickup=plan.at_pickup, caller_name=arrival.caller_name)
            state, actions = initial.arrive(plan, at, awaits_turn=far_end is not None)
            starts = _by_language(start, policy)
        else:
            start = replace(start, refused=reason or "no_line")
            state, actions = initial.refuse(reason or "no_line")
            starts = (start,)
        if arrival.internal_party is not None:
            state = replace(state, internal=replace(state.internal, party=arrival.internal_party))
        longest = transitions.longest_wait(state.plan)
        # On an outbound call the switch replies to a command only when it has carried it out.
        limit = longest if arrival.direction == OUTBOUND else None
        call = self._register(
            CallController(
                start, state, writer, now=self.now, starts=starts,
                to_call=lambda orders: socket.send_all(orders, limit),
                to_switch=self.node.send_later, ask=self.node.api, ended=self._forget,
                play_notice=self.conferences.play_notice, cut_notice=self.conferences.cut_notice,
                return_participants=self.conferences.return_participants, peer_media=arrival.peer_media,
            )
        )  # fmt: skip
        if far_end is not None:
            call.far_end, far_end.far_end = far_end, call
            call.log.info("call.far_end_found", far_end=far_end.start.recording)
        self._run_on_socket(call, socket, actions, reason, longest)

    def _run_on_socket(
        self,
        call: CallController,
        socket: OutboundSession,
        actions: tuple[Action, ...],
        reason: str | None,
        longest: float,
    ) -> None:
        """Run a call on its own socket until it leaves it, for at most ``longest`` seconds."""
        socket.register_handle("*", call.receive)
        socket.on_close(lambda _reason: call.release())
        call.log.info("call.arrived", line=call.start.line, reason=reason)
        try:
            socket.send_all([commands.only_channel(call.channel), commands.subscribe(CALL_EVENTS)])
        except SwitchError as error:
            # The switch went on while this process was stopped: the call is listed all the same.
            call.log.warning("call.lost", error=error.message)
            call.release()
        call.act(actions)
        call.set_timer()
        if not call.released.wait(timeout=longest):
            call.log.error("call.release_failed")
        if not socket.closed.is_set():
            socket.stop()
        call.drop_socket()

    def adopt(self, start: CallStart, state: CallState) -> CallController:
        """Adopt a call that an earlier daemon began, or that continues unrecorded: it has no socket of its
        own."""
        call = self._register(
            CallController(
                start, state, self._writer(start), now=self.now, to_call=_no_socket,
                to_switch=self.node.send_later, ask=self.node.api, ended=self._forget,
                play_notice=self.conferences.play_notice, cut_notice=self.conferences.cut_notice,
                return_participants=self.conferences.return_participants,
            )
        )  # fmt: skip
        call.left_at = start.started_at
        return call

    def follow(self, channel: str, number: str, direction: str, external_party: Party, reason: str) -> None:
        """Follow a call that continues unrecorded, to list it when it ends."""
        if not _is_covered(self.config.decide(number)[0], direction):
            return
        start, refused = self._unannounced(channel, number, direction, external_party, reason, self.now())
        state, _ = initial.refuse(refused)
        self.adopt(start, state).writer.open(start)

    def stop_excess(self) -> None:
        """Stop the recordings for which the disk has no room left."""
        for call in self.headroom.excess():
            call.stop_for_disk()

    def _list_unhandled(self, event: EslEvent, number: str, reason: str) -> None:
        """Write a call that the switch let go by itself and that has ended."""
        translated = translate(event)
        assert translated is not None  # a hang-up is always translated
        direction = OUTBOUND if is_outbound(event.headers) else INBOUND
        if not _is_covered(self.config.decide(number)[0], direction):
            return
        party = external_party_of(event.headers, self.settings.region)
        start, refused = self._unannounced(event.uuid, number, direction, party, reason, translated.at)
        if refused == DID_NOT_ASK:
            self.bypassed.report(direction, event.header("Caller-Context"), number)
        writer = self._writer(start)
        writer.open(start)
        writer.close(CallEnd("not_recorded", refused, translated.at, None), lambda: None)
        metrics.CALLS.labels(refused).inc()
        log.info("call.excluded", recording=start.recording, reason=refused)

    def _end(self, channel: str, at: datetime) -> None:
        """End a call that hung up while the switch was asked about it; its own event has passed."""
        if call := self.calls.get(channel):
            call.feed(ChannelGone(at))

    def _unannounced(
        self, channel: str, number: str, direction: str, external_party: Party, reason: str, at: datetime
    ) -> tuple[CallStart, str]:
        """Return the ``call.json`` of a call that was not announced, and why it was not."""
        # The caller's number must not hide a fault of the dialplan.
        parties = () if reason == DID_NOT_ASK and direction != OUTBOUND else (external_party.value,)
        policy, refused = self.config.decide(number, parties)
        if reason == "never_record" or refused not in {"no_line", "never_record", "suspended"}:
            refused = reason
        return self._start(channel, number, direction, external_party, policy, at, refused=refused), refused

    def _start(
        self,
        channel: str,
        number: str,
        direction: str,
        external_party: Party,
        policy: LinePolicy | None,
        at: datetime,
        up: Uptime | None = None,
        refused: str | None = None,
    ) -> CallStart:
        recording = str(uuid7(at, self.entropy))
        self.recordings.append(recording)
        return CallStart(
            recording=recording,
            tenant=policy.tenant if policy else None,
            line=policy.line if policy else None,
            number=_number_of(policy, number),
            direction=direction,
            node=self.settings.node,
            channel=channel,
            external_party=external_party,
            started_at=at,
            formats=policy.formats if policy else (),
            announcement=policy.announcement if policy else None,
            mode=policy.mode if policy else NOTICE,
            at_pickup=policy is not None and policy.once_connected(direction),
            beep=policy.beep if policy else "",
            uptime=up,
            refused=refused,
        )

    def _writer(self, start: CallStart) -> SpoolWriter:
        self.created(start.recording)
        return SpoolWriter(
            self.settings.spool,
            start.recording,
            lambda error: self._opened(start.channel, error),
            self.journal.keep,
        )

    def _register(self, call: CallController) -> CallController:
        self.calls[call.channel] = call
        self.registered(call)
        return call

    def _forget(self, call: CallController) -> None:
        if self.calls.get(call.channel) is call:
            del self.calls[call.channel]
            self.unhandled.mark_written(call.channel)

    def _opened(self, channel: str, error: OSError | None) -> None:
        if call := self.calls.get(channel):
            now = self.now()
            call.feed(FolderWritten(now) if error is None else FolderFailed(now, reason_for(error)))


def _number_of(policy: LinePolicy | None, destination: str) -> str:
    """Return the number that a call is listed under: the line's, where it was dialled in another spelling."""
    number = strip_punctuation(destination)
    if policy is None or policy.number.removeprefix("+") == number.removeprefix("+"):
        return number
    return policy.number


def _by_language(start: CallStart, policy: LinePolicy) -> tuple[CallStart, ...]:
    """Return the content of ``call.json`` for each language of a line."""
    return tuple(
        replace(
            start,
            announcement=each.announcement,
            question=each.question,
            keep=each.keep,
            delete=each.delete,
            transfer_notice=each.transfer_notice,
        )
        for each in policy.languages
    )


def _is_covered(policy: LinePolicy | None, direction: str) -> bool:
    """Whether a call is to be recorded, or listed if it is not: an outbound call only where its line says
    so."""
    return direction != OUTBOUND or (policy is not None and policy.outbound != OFF)


def _no_socket(_orders: list[SwitchCommand]) -> None:
    raise SwitchError(
        "switch.gone",
        "this call was begun by an earlier daemon",
        "nothing needs to be done: the call is followed through the standing connection",
    )
