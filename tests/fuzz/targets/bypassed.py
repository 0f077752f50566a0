"""Calls that the dialplan did not ask about, from any events and any answers of the switch: each is listed
once, under a line that it is on by the switch's own words, and no other call is; nothing is sent but
questions; what a caller writes beside the dialled number changes nothing.

The rules are those of ``docs/reference/calls.md``, written anew."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

from recorder.capture import bypassed_calls
from recorder.capture.bypassed_calls import DID_NOT_ASK, BypassedCalls
from recorder.domain.line_policy import Announcement, LinePolicy
from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveChannel
from tests.fuzz.choices import Choices
from tests.fuzz.targets.events import FORGERIES, switch_writes

INSTRUMENT = ("recorder.capture.bypassed_calls", "recorder.switch")
LONGEST = 300

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
LEGS = (
    "7d890c2c-f075-48a5-b2e1-638c52f1ecad", "0e2f4f0f-42ce-45d1-b9c0-1e6a8a2f64a1", "a84b hupall@pc33",
)  # fmt: skip
"""The last one is in no command."""

ANNOUNCEMENT = Announcement("a", 1, "en", "text", ("agreement",), 30, "0" * 64, 1000)
LINES = {
    number: LinePolicy(
        "t", f"l{number}", number, "notice", "before_ringing", ("opus",), ANNOUNCEMENT, outbound=outbound
    )
    for number, outbound in (("1001", "off"), ("3225550101", "before_connected"), ("3225550102", "off"))
}
ASKING, OTHER = "public", "default"
"""A context that brings calls to Accord, and another one."""

DIALPLANS = (
    f'<section><context name="{ASKING}"><extension name="accord" continue="true"><condition>'
    '<action application="set" data="accord_state=waiting"/>'
    '<action application="socket" data="127.0.0.1:8084 async full"/>'
    "</condition></extension></context></section>",
    "<section/>", "<section", "",
)  # fmt: skip
PATTERNS = ("^(112|911)$", "^1001$", "", "(", "^3225550101$")
NUMBERS = (
    "1001", "3225550101", "+3225550101", "3225550102", "2125550123", "5551234", "112", "886", "", "²" * 7,
)  # fmt: skip
QUESTIONS = re.compile(r"api (uuid_dump|show channels( like)?|xml_locate dialplan|global_getvar)\b")

CALLER_IN = {
    "Call-Direction": "inbound", "Caller-Context": ASKING, "Caller-Destination-Number": "1001",
    "variable_bridge_uuid": LEGS[1],
}  # fmt: skip
CALLER_OUT = {
    "Call-Direction": "inbound", "Caller-Context": OTHER, "Caller-Destination-Number": "2125550123",
    "variable_accord_line": "3225550101", "variable_bridge_uuid": LEGS[1],
}  # fmt: skip
CALLEE = {"Call-Direction": "outbound", "variable_sip_gateway_name": "trunk", "variable_bridge_uuid": LEGS[0]}
FIELDS = {
    "Call-Direction": ("inbound", "outbound", ""),
    "Caller-Context": (ASKING, OTHER, ""),
    "Caller-Destination-Number": NUMBERS,
    "Caller-RDNIS": NUMBERS,
    "Caller-Transfer-Source": ("1:x:bl_xfer:1001/default/XML",),
    "variable_transfer_history": ("ARRAY::1:x|:2:y",),
    "variable_sip_req_user": NUMBERS,
    "variable_accord_state": ("announced", "unrecorded", "never_record"),
    "variable_accord_line": NUMBERS,
    "variable_accord_callee": NUMBERS,
    "variable_accord_external": ("true", "false", "maybe"),
    "variable_dialed_user": ("1001",),
    "variable_sip_gateway_name": ("trunk", ""),
    "variable_bridge_uuid": LEGS,
}
"""The fields of a leg, and what they may be instead."""

WRITTEN_BY_CALLERS = (
    "Caller-Caller-ID-Name", "Caller-Caller-ID-Number", "variable_sip_from_user",
    "variable_sip_h_X-accord_state", "variable_sip_h_X-accord_line", "Caller-Orig-Caller-ID-Name",
)  # fmt: skip
BAD_LISTS = (
    "", "{", "[]", "null", '{"rows": null}', '{"rows": [5]}', '{"rows": [{"uuid": []}]}',
    json.dumps({"rows": [{"uuid": leg, "initial_context": [], "initial_dest": 5} for leg in LEGS]}),
    json.dumps({"rows": [{"uuid": leg, "initial_context": None} for leg in LEGS]}),
)  # fmt: skip

ListedCall = tuple[str, str, str, str]
"""Channel, number, direction and reason."""


class Switch:
    """Answers about its legs, as it would, or with anything. ``is_plain``: its callers write nothing."""

    def __init__(self, choices: Choices, is_plain: bool) -> None:
        self.choices, self.is_plain = choices, is_plain
        bases = choices.pick(((CALLER_IN, CALLEE, CALLER_OUT), (CALLER_OUT, CALLEE, CALLER_IN)))
        self.legs = {leg: self._make_leg(leg, base) for leg, base in zip(LEGS, bases, strict=True)}
        self.first = {leg: self._first_routing(leg) for leg in LEGS}
        self.dialplan = choices.pick((DIALPLANS[0], *DIALPLANS))
        self.patterns = {name: choices.pick(PATTERNS) for name in ("accord_emergency", "accord_never_record")}
        self.ended_legs: set[str] = set()
        self.hang_up: Callable[[str], object] = self.ended_legs.add

    def _make_leg(self, leg: str, base: Mapping[str, str]) -> Mapping[str, str]:
        choices = self.choices
        fields = {name: base.get(name, "") for name in FIELDS} | {"Unique-ID": leg}
        for name in [choices.pick(tuple(FIELDS)) for _ in range(choices.below(4))]:
            fields[name] = choices.pick(FIELDS[name])
        for _ in range(choices.below(3)):
            name = choices.pick(WRITTEN_BY_CALLERS)
            text = choices.pick((b"1001", b"announced", b"3225550101", *FORGERIES)) + choices.blob(3)
            if not self.is_plain:
                fields[name] = text.decode("latin-1")
        return fields

    def _first_routing(self, leg: str) -> tuple[str, str]:
        fields = self.legs[leg]
        if not fields["Caller-Transfer-Source"]:
            return fields["Caller-Context"], fields["Caller-Destination-Number"]
        return self.choices.pick((ASKING, OTHER)), self.choices.pick(NUMBERS)

    def event(self, name: str, leg: str, **more: str) -> EslEvent:
        headers = {**self.legs[leg], "Event-Name": name, "Event-Date-Timestamp": "1764061200000000", **more}
        return EslEvent(b"\n" + serialize(headers))

    def api(self, command: object) -> str:
        words = str(command)
        assert QUESTIONS.match(words), words
        if self.choices.once_in(9):
            self.hang_up(self.choices.pick(LEGS))
        if self.choices.once_in(9):
            raise SwitchError("switch.gone", "the connection ended", "try again")
        match words.split()[1:]:
            case ["uuid_dump", leg] if leg in self.legs and leg not in self.ended_legs:
                return serialize(self.legs[leg]).decode()
            case ["show", "channels", *_]:
                return self._list_channels()
            case ["xml_locate", "dialplan"]:
                return self.dialplan
            case ["global_getvar", name]:
                return self.patterns[name]
        raise SwitchError("switch.refused", "-ERR", "try again")

    def _list_channels(self) -> str:
        if self.choices.once_in(9):
            return self.choices.pick(BAD_LISTS)
        rows = [
            {"uuid": leg, "initial_context": context, "initial_dest": number}
            for leg, (context, number) in self.first.items()
            if leg not in self.ended_legs
        ]
        return json.dumps({"rows": rows})


def serialize(headers: Mapping[str, str]) -> bytes:
    return b"".join(
        b"%s: %s\n" % (name.encode(), switch_writes(value.encode()) or b"_undef_")
        for name, value in headers.items()
    )


class CallList:
    """The calls that are listed: each is compared with the switch's words."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self.calls: dict[str, ListedCall] = {}
        self.contexts: set[str] = {ASKING} if switch.dialplan == DIALPLANS[0] else set()

    def line(self, number: str) -> LinePolicy | None:
        return LINES.get(number.removeprefix("+"))

    def follow(self, channel: str, number: str, direction: str, party: Party, reason: str) -> None:
        assert channel not in self.calls, "a call is listed once"
        policy, leg = self.line(number), self._switch.legs[channel]
        assert policy is not None
        assert leg["Call-Direction"] == direction
        assert not leg["variable_accord_state"]
        assert party.value.isprintable()
        if direction == "inbound":
            context, first_number = self._switch.first[channel]
            assert first_number == number
            assert context in self.contexts
            numbers = {number}
        else:
            assert policy.outbound != "off"
            numbers = self._check_outbound(leg, number)
        patterns = self._switch.patterns.values()
        if reason != DID_NOT_ASK:
            assert reason == "never_record"
            assert any(re.search(each, one) for each in patterns if each not in ("", "(") for one in numbers)
        self.calls[channel] = (channel, number, direction, reason)

    def _check_outbound(self, leg: Mapping[str, str], number: str) -> set[str]:
        """Returns the numbers of those who may have made the call, and whom they may have called."""
        callers = [
            each
            for each in self._switch.legs.values()
            if each["variable_accord_line"] == number and not each["variable_accord_state"]
        ]
        assert callers
        digits = max(len(re.sub(r"\D", "", each["Caller-Destination-Number"])) for each in callers)
        outside = leg["variable_accord_external"]
        assert outside == "true" or (
            outside != "false"
            and not leg["variable_dialed_user"]
            and (leg["variable_sip_gateway_name"] or digits >= 7)
        )
        names = ("variable_accord_callee", "Caller-Destination-Number")
        return {number} | {each[name] for each in callers for name in names}

    def end(self, channel: str, _at: datetime) -> None:
        assert channel in self.calls


@contextmanager
def without_greenlets() -> Iterator[None]:
    """What the module begins in greenlets is done at once, so that its exceptions arrive here."""
    before = bypassed_calls.gevent
    bypassed_calls.gevent = SimpleNamespace(  # type: ignore[assignment]
        spawn=lambda work, *values: work(*values), sleep=lambda _seconds: None
    )
    try:
        yield
    finally:
        bypassed_calls.gevent = before


def check(data: bytes) -> None:
    with without_greenlets():
        assert list_calls(Choices(data), is_plain=False) == list_calls(Choices(data), is_plain=True)


def list_calls(choices: Choices, is_plain: bool) -> list[ListedCall]:
    """Carry out some steps, and return the calls that are listed then."""
    switch = Switch(choices, is_plain)
    listed = CallList(switch)
    bypassed = BypassedCalls(
        switch,  # type: ignore[arg-type]
        choices.pick((None, "BE")),
        lambda: AT,
        line=listed.line,
        follow=listed.follow,
        end=listed.end,
        is_known=listed.calls.__contains__,
        elapsed=lambda: 0.0,
    )

    def hang_up(leg: str) -> None:
        switch.ended_legs.add(leg)
        bypassed.handle_hangup(switch.event("CHANNEL_HANGUP_COMPLETE", leg))

    switch.hang_up = hang_up
    for _ in range(12):
        if not choices.left:
            break
        leg, other = choices.pick(LEGS), choices.pick((*LEGS, ""))
        match choices.below(8):
            case 0 | 1 | 2:
                theirs = switch.legs.get(other, {})
                ends = {
                    "Bridge-A-Unique-ID": leg,
                    "Bridge-B-Unique-ID": other,
                    "Other-Leg-Direction": theirs.get("Call-Direction", ""),
                    "Other-Leg-Destination-Number": theirs.get("Caller-Destination-Number", ""),
                    "Other-Leg-RDNIS": theirs.get("Caller-RDNIS", ""),
                }
                bypassed.handle_bridge(switch.event("CHANNEL_BRIDGE", leg, **ends))
            case 3:
                bypassed.handle_conference_join(switch.event("CUSTOM", leg))
            case 4:
                hang_up(leg)
            case 5:
                context = choices.pick(("", OTHER))
                listed.contexts |= {context} - {""}
                bypassed.note_context(context)
            case _:
                direction = switch.legs[leg]["Call-Direction"]
                live = LiveChannel(leg, direction, "ACTIVE", OTHER, (), *switch.first[leg])
                try:
                    bypassed.check(live)
                except SwitchError as error:
                    assert error.error_id in ("switch.gone", "switch.answer")
    assert bypassed.count == sum(reason == DID_NOT_ASK for *_, reason in listed.calls.values())
    return sorted(listed.calls.values())


_NOTHING_CHANGED = bytes(2)
"""A leg as its base has it, whose caller writes nothing."""

SEEDS = tuple(
    bytes([base]) + _NOTHING_CHANGED * 3 + bytes(3) + bytes([region]) + steps + bytes(8)
    for base in (0, 1)
    for region in (0, 1)
    for steps in (
        bytes([0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 4]),
        bytes([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
        bytes([0, 0, 3, 0, 0, 0, 0, 0, 0, 2, 0, 0]),
        bytes([0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 6]),
    )
)
