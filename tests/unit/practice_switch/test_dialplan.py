"""The practice switch walks the real switch's dialplan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from demo.practice.dialplan import DialplanStep, PracticeDialplan, expand
from demo.practice.switch import CONF
from recorder.errors import SwitchError


def hunt(
    dialplan: PracticeDialplan,
    context: str,
    number: str,
    variables: dict[str, str],
    caller: str = "+32470000001",
) -> list[DialplanStep]:
    fields = {"destination_number": number, "caller_id_number": caller, "context": context}

    def put_in(text: str) -> str:
        return expand(text, lambda name: variables.get(name, ""), lambda name, argument: "")

    def inline(step: DialplanStep) -> None:
        assert step.application == "set"
        name, _, value = step.argument.partition("=")
        variables[name] = value

    return dialplan.hunt(context, lambda name: fields[name], put_in, inline)


@pytest.fixture(scope="module")
def shipped() -> PracticeDialplan:
    return PracticeDialplan(
        CONF, {"ACCORD_DAEMON": "127.0.0.1:9999", "ACCORD_NEVER_RECORD": r"^(\+32255010099)$"}
    )


def applications(steps: list[DialplanStep]) -> list[str]:
    return [step.application for step in steps]


def test_a_call_reaches_the_daemon_then_the_guard_then_the_route(shipped: PracticeDialplan) -> None:
    steps = hunt(shipped, "public", "+3225550101", {})
    names = applications(steps)
    assert names.index("sched_transfer") < names.index("socket") < names.index("bridge")
    assert steps[names.index("socket")].argument == "127.0.0.1:9999 async full"
    guard = steps[names.index("socket") + 1]
    assert (guard.application, guard.argument) == (
        "execute_extension", "accord_after_${accord_state} XML accord",
    )  # fmt: skip
    assert DialplanStep("set", "accord_line=+3225550101") in steps


@pytest.mark.parametrize(
    ("number", "caller"),
    [
        ("112", "+32470000001"),
        ("+3225550101", "112"),
        ("+32255010099", "+32470000001"),
        ("+3225550101", "+32255010099"),
    ],
)
def test_unrecorded_numbers_are_only_routed(shipped: PracticeDialplan, number: str, caller: str) -> None:
    variables: dict[str, str] = {}
    steps = hunt(shipped, "public", number, variables, caller)
    names = applications(steps)
    assert DialplanStep("set", f"accord_line={number}") in steps
    assert variables["accord_state"] == "never_record"
    assert "socket" not in names
    assert names[-1] == "bridge"


@pytest.mark.parametrize("caller", ["+32470000001", "112", "+32255010099"])
@pytest.mark.parametrize("number", ["+32 255", "evil", "32*", "", "+", "3" * 40])
def test_invalid_number_is_not_routed(shipped: PracticeDialplan, number: str, caller: str) -> None:
    assert hunt(shipped, "public", number, {}, caller) == []


@pytest.mark.parametrize("state", ["late", "unrecorded", "announced", "announcing", "never_record", ""])
def test_a_late_beginning_is_refused_by_the_state(shipped: PracticeDialplan, state: str) -> None:
    assert hunt(shipped, "accord", "accord_begin", {"accord_state": state}) == []
    assert "record_session" in applications(
        hunt(shipped, "accord", "accord_begin", {"accord_state": "waiting"})
    )


@pytest.mark.parametrize("state", ["waiting", "late", "unrecorded", "passed", ""])
def test_late_confirmation_is_refused(shipped: PracticeDialplan, state: str) -> None:
    assert hunt(shipped, "accord", "accord_announced", {"accord_state": state}) == []


@pytest.mark.parametrize("state", ["announcing", "late", "failed", "anything"])
def test_guard_stops_a_recording_in_every_state_but_one(shipped: PracticeDialplan, state: str) -> None:
    assert "stop_record_session" in applications(hunt(shipped, "accord", f"accord_after_{state}", {}))


def test_the_guard_lets_an_announced_recording_go_on(shipped: PracticeDialplan) -> None:
    steps = hunt(shipped, "accord", "accord_after_announced", {})
    assert steps
    assert "stop_record_session" not in applications(steps)


@pytest.fixture
def make_dialplan(tmp_path: Path) -> Callable[[str], PracticeDialplan]:
    def write(extensions: str, environment: Mapping[str, str] | None = None) -> PracticeDialplan:
        (tmp_path / "freeswitch.xml").write_text(
            '<document><!-- <X-PRE-PROCESS cmd="set" data="a=commented"/> -->\n'
            '<X-PRE-PROCESS cmd="set" data="a=one"/>\n<X-PRE-PROCESS cmd="env-set" data="b=$B"/>\n'
            f'<section name="dialplan"><context name="c">\n{extensions}\n</context></section></document>'
        )
        return PracticeDialplan(tmp_path, environment or {})

    return write


def test_actions_before_a_failed_condition_still_run(
    make_dialplan: Callable[[str], PracticeDialplan],
) -> None:
    """As in mod_dialplan_xml: actions are added condition by condition, and stay."""
    dialplan = make_dialplan(
        '<extension name="x"><condition field="destination_number" expression="^1$">'
        '<action application="set" data="kept=$${a}"/></condition>'
        '<condition field="destination_number" expression="^2$"><action application="answer"/></condition>'
        '</extension><extension name="y"><condition field="destination_number" expression="^(.)$">'
        '<action application="log" data="$1"/><anti-action application="hangup"/></condition></extension>'
    )
    assert hunt(dialplan, "c", "1", {}) == [DialplanStep("set", "kept=one"), DialplanStep("log", "1")]
    assert hunt(dialplan, "c", "23", {}) == [DialplanStep("hangup", "")]


def test_a_break_never_goes_on(make_dialplan: Callable[[str], PracticeDialplan]) -> None:
    dialplan = make_dialplan(
        '<extension name="x"><condition field="destination_number" expression="^9$" break="never">'
        '<action application="answer"/></condition><condition><action application="park"/></condition>'
        "</extension>"
    )
    assert hunt(dialplan, "c", "1", {}) == [DialplanStep("park", "")]


def test_unknown_dialplan_elements_raise(make_dialplan: Callable[[str], PracticeDialplan]) -> None:
    for extensions in (
        '<X-PRE-PROCESS cmd="magic" data="x"/>',
        '<extension name="x"><condition regex="xor"><regex field="context" expression="a"/></condition>'
        "</extension>",
    ):
        with pytest.raises(SwitchError, match="does not know"):
            hunt(make_dialplan(extensions), "c", "1", {})
    with pytest.raises(SwitchError, match="cannot be read"):
        make_dialplan("<extension>")


def test_variables_are_put_in_once_and_inside_out() -> None:
    values = {"a": "1", "b": "${a}", "name1": "deep"}
    calls = []

    def function(name: str, argument: str) -> str:
        calls.append((name, argument))
        return "+OK"

    def put_in(text: str) -> str:
        return expand(text, lambda name: values.get(name, ""), function)

    assert put_in("x${a}y${none}z") == "x1yz"
    assert put_in("${name${a}}") == "deep"
    assert put_in("${b}") == "${a}"  # a value is not expanded again
    assert put_in("r=${sched_del(${a})}") == "r=+OK"
    assert calls == [("sched_del", "1")]
    assert put_in("open ${a") == "open ${a"
