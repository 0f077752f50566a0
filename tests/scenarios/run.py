"""Plays a scenario through a driver and checks its result."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from recorder.domain.markers import Marker
from recorder.spool import layout
from tests.scenarios.definitions import Expected, Scenario, Step
from tests.scenarios.driver import Call, Driver

LONGEST = 30.0
"""Seconds that a phase may take to start."""

UNANSWERED = 90.0
"""Seconds after which a call that nobody ends has ended by itself."""


def play(scenario: Scenario, driver: Driver) -> None:
    """Make the call, carry out its steps, and assert the expected result."""
    expected = scenario.expected
    driver.daemon("start" if scenario.daemon else "kill")
    if any(step == Step("asked", 0.0, "stall_daemon") for step in scenario.steps):
        driver.daemon("stall")
    call = driver.place(scenario)
    first_times: dict[str, float] = {}
    seconds_passed = 0.0
    seen_state, seen_recorded = "", False
    for step in scenario.steps:
        if step.phase not in first_times:
            _wait(step.phase, call, driver)
            first_times[step.phase] = seconds_passed
        wait = first_times[step.phase] + step.after - seconds_passed
        if wait > 0:
            driver.sleep(wait)
            seconds_passed += wait
        if step.action in {"hang_up", "callee_hangs_up"}:
            seen_state, seen_recorded = call.state(), call.recorded()
        _do(step, call, driver)
    bridged = call.wait("bridged", 0) if scenario.steps else False
    assert call.wait("ended", LONGEST if scenario.steps else UNANSWERED), "the call never ended"
    if not scenario.steps:
        seen_state = call.state()
    assert bridged == expected.bridged, "connected" if bridged else "not connected"
    assert seen_state == expected.state, f"the switch's word was {seen_state!r}"
    if expected.bridged:
        assert seen_recorded == expected.recorded, f"the switch was recording: {seen_recorded}"
    assert call.played("announcement") == expected.plays, f"announced {call.played('announcement')} times"
    if not scenario.daemon and expected.outcome is not None:
        driver.daemon("start")
    if any(step.action == "kill_daemon" for step in scenario.steps):
        driver.daemon("start")
    _check_spool(call, expected, driver)


def _wait(phase: str, call: Call, driver: Driver) -> None:
    """Wait until the call is in a phase (:data:`tests.scenarios.definitions.Phase`)."""
    kind, name, number = [*phase.split(), "", ""][:3]
    times = int(number or 1)
    if kind == "plays":
        driver.until(f"{phase}", lambda: call.played(name) >= times, LONGEST)
    elif kind == "mark":

        def is_written() -> bool:
            folder = folder_of(call.caller, driver)
            markers = layout.read_markers(folder) if folder is not None else ()
            return sum(marker.kind == name for marker in markers) >= times

        driver.until(f"{phase}", is_written, LONGEST)
    else:
        assert call.wait(phase, LONGEST), f"the call never was {phase}"


def _do(step: Step, call: Call, driver: Driver) -> None:
    match step.action:
        case "press":
            call.press(step.with_)
        case "speak":
            call.speak()
        case "hold":
            call.hold()
        case "unhold":
            call.unhold()
        case "hang_up":
            call.hang_up()
        case "callee_presses":
            call.callee_presses(step.with_)
        case "callee_holds":
            call.callee_holds()
        case "callee_unholds":
            call.callee_unholds()
        case "callee_hangs_up":
            call.callee_hangs_up()
        case "transfer":
            call.transfer(step.with_ or "line")
        case "kill_daemon" | "stall_daemon" | "wake_daemon" | "start_daemon":
            driver.daemon(step.action.removesuffix("_daemon"))


def folder_of(caller: str, driver: Driver) -> Path | None:
    """The call's folder in the spool."""
    for start in driver.spool.glob(f"*/{layout.CALL}"):
        if _caller(start.parent) == caller.lstrip("+"):
            return start.parent
    return None


@cache
def _caller(folder: Path) -> str:
    """The caller of a call in the spool; kept, since many calls at a time look for theirs again and again."""
    return layout.read_start(folder).external_party.value.lstrip("+")


def _who(marker: Marker, driver: Driver) -> str:
    """The participant who joined or left, by the name of their number."""
    value = marker.data.get("value", "").lstrip("+")
    names = [name for name, number in driver.numbers.items() if number.lstrip("+") == value]
    return ("+" if marker.kind == "bridged" else "-") + (names[0] if names else value)


def _check_spool(call: Call, expected: Expected, driver: Driver) -> None:
    if expected.outcome is None:
        assert folder_of(call.caller, driver) is None
        return

    def closed() -> bool:
        folder = folder_of(call.caller, driver)
        return folder is not None and (folder / layout.END).exists()

    driver.until(f"the take of {call.caller} is closed", closed, 20.0)
    folder = folder_of(call.caller, driver)
    assert folder is not None
    take = layout.read_take(folder)
    kinds = [marker.kind for marker in take.markers]
    assert take.end.outcome == expected.outcome, kinds
    assert (take.end.reason or "") in (expected.reason or "").split("|"), (take.end.reason, kinds)
    rest = iter(kinds)
    for kind in expected.markers:
        assert kind in rest, f"{kind} is not where it must be in {kinds}"
    assert not set(expected.absent) & set(kinds), kinds
    for kind in expected.once:
        assert kinds.count(kind) == 1, f"{kind} is not there once in {kinds}"
    answers = [
        " ".join(marker.data[name] for name in ("answer", "by", "how") if name in marker.data)
        for marker in take.markers
        if marker.kind in ("question_answered", "keep_question_answered")
    ]
    assert answers == list(expected.answers), kinds
    there = [_who(marker, driver) for marker in take.markers if marker.kind in ("bridged", "unbridged")]
    assert not expected.there or there == list(expected.there), there
    driver.until(f"sound in the spool: {expected.sound}", lambda: take.audio.exists() == expected.sound, 5.0)
