"""Faults of dialplans as the switch returns them: the shipped one, and broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.practice.dialplan import PracticeDialplan
from recorder.errors import SwitchError
from recorder.switch import dialplan_lint, dialplan_lint_outbound
from recorder.switch.dialplan_model import Action, LoadedDialplan
from tests.expected_errors import expect_error
from tests.scenarios.broken_dialplans import BROKEN_OUTWARD, FAULTS, DialplanFault, apply, copy


def load(conf: Path) -> LoadedDialplan:
    answer = PracticeDialplan(conf, {"ACCORD_DAEMON": "127.0.0.1:8084"}).locate(["dialplan"])
    assert answer is not None
    return LoadedDialplan(answer)


def faults(loaded: LoadedDialplan) -> list[str]:
    found = [f"the extension {name} is missing" for name in dialplan_lint.missing_extensions(loaded)]
    for entry in loaded.entries():
        found += [fault.what for fault in dialplan_lint.entry_faults(entry)]
        found.append("sends calls to " + ", ".join(f"{host}:{port}" for host, port in entry.addresses))
    if not list(loaded.entries()):
        found.append("no extension sends calls to the daemon")
    for each in (dialplan_lint.guard_faults, dialplan_lint.begin_faults, dialplan_lint.timeout_faults):
        found += [fault.what for fault in each(loaded)]
    limit = dialplan_lint.fixed_announcement_limit(loaded)
    return found if limit is None else [*found, f"announcements are cut off after {limit} s"]


def test_shipped_dialplan_has_no_fault(tmp_path: Path) -> None:
    loaded = load(copy(tmp_path))
    assert faults(loaded) == ["sends calls to 127.0.0.1:8084"]
    (entry,) = loaded.entries()
    assert (entry.context, entry.extension, dialplan_lint.wait_limit(entry)) == ("public", "accord", 3)


def outbound_faults(loaded: LoadedDialplan) -> list[str]:
    found = [f"the extension {name} is missing" for name in dialplan_lint_outbound.missing_extensions(loaded)]
    found += [fault.what for fault in dialplan_lint_outbound.callee_faults(loaded)]
    for setup in dialplan_lint_outbound.callee_setups(loaded):
        found += [fault.what for fault in dialplan_lint_outbound.setup_faults(setup, loaded)]
    return found


def test_shipped_outbound_dialplan_has_no_fault(tmp_path: Path) -> None:
    loaded = load(copy(tmp_path))
    assert outbound_faults(loaded) == []
    (setup,) = dialplan_lint_outbound.callee_setups(loaded)
    assert (setup.context, setup.extension) == ("outbound", "accord_outbound")
    entry = dialplan_lint_outbound.callee_entry(loaded)
    assert entry is not None
    assert entry.addresses == (("127.0.0.1", 8084),)
    assert dialplan_lint_outbound.wait_limit(entry) == 3


@pytest.mark.parametrize("fault", BROKEN_OUTWARD, ids=lambda fault: fault.name)
def test_finds_outbound_faults(tmp_path: Path, fault: DialplanFault) -> None:
    conf = copy(tmp_path)
    apply(conf, fault)
    found = outbound_faults(load(conf))
    assert any(fault.says in each for each in found), found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_finds_inbound_faults(tmp_path: Path, fault: DialplanFault) -> None:
    conf = copy(tmp_path)
    apply(conf, fault)
    found = faults(load(conf))
    assert any(fault.says in each for each in found), found


def test_reads_several_daemon_addresses() -> None:
    (entry,) = LoadedDialplan(
        '<section><context name="public"><extension name="accord"><condition>'
        '<action application="set" data="accord_state=waiting"/>'
        '<action application="socket" data="10.0.0.1:8084|10.0.0.2 async full"/>'
        "</condition></extension></context></section>"
    ).entries()
    assert entry.addresses == (("10.0.0.1", 8084), ("10.0.0.2", 8084))


def test_evaluates_as_the_switch_does() -> None:
    loaded = LoadedDialplan(
        '<section name="dialplan"><context name="c">'
        '<extension name="no"><condition field="destination_number" expression="^2$" break="on-true">'
        '<action application="a"/><anti-action application="b" data="${x}"/></condition></extension>'
        '<extension name="on" continue="true"><condition field="${x}" expression="(.)(.)">'
        '<action application="c" data="$2$1$3 ${y}"/></condition></extension>'
        '<extension name="last"><condition><action application="d"/></condition></extension>'
        '<extension name="never"><condition><action application="e"/></condition></extension>'
        "</context></section>"
    )
    assert loaded.walk("c", "1", {"x": "hi"}) == (
        Action("b", "hi"), Action("c", "ih ${y}"), Action("d", ""),
    )  # fmt: skip
    assert loaded.walk("nowhere", "1", {}) == ()


def test_rejects_invalid_xml() -> None:
    with expect_error(SwitchError, "switch.answer"):
        LoadedDialplan("<section")
