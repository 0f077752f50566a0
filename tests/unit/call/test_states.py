"""docs/reference/states.md agrees with the state machine."""

from __future__ import annotations

import pytest

from recorder.call.state import Phase
from tests.unit.call import states


def table_on_page() -> str:
    return states.PAGE.read_text("utf-8").removeprefix(states.HEADER)


def test_table_lists_the_transitions_of_some_lines() -> None:
    listed = states.parse_table(table_on_page())
    for (where, name), outcomes in states.explore(states.SOME).items():
        assert set(states.describe(where, outcomes)) <= listed.get((where, name), set()), (where, name)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_table_equals_the_state_machine() -> None:
    assert table_on_page() == states.table(), "regenerate: python -m tests.unit.call.states"


def test_every_phase_is_reached_and_ends() -> None:
    found = states.explore(states.SOME)
    phases = {where.partition(":")[0] for where, _ in found}
    assert {phase.name for phase in Phase} - {"ENDED"} <= phases
    for where in {where for where, _ in found} - {"ENDED"}:
        assert any(
            becomes == "ENDED" and "finish" in orders for becomes, orders in found[where, "channel is gone"]
        ), f"{where} has no end"
    begins = [key for key, outcomes in found.items() if any("begin" in orders for _, orders in outcomes)]
    keys = [key for key in begins if key[0].startswith("ASKING")]
    assert keys == [("ASKING: recording", "external party: key 1")], "recorded without a yes"
    # On answer: once two are connected and it is this call's turn, and again after an interruption, or where
    # the party at the far end hears the call only from now on.
    assert set(begins) - set(keys) == {
        ("RINGING", "connected with a colleague"),
        ("RINGING", "external party's hold ends"),
        ("RINGING", "folder is on disk"),
        ("RINGING", "timer expires"),
        ("ANNOUNCING", "connected with a colleague"),
        ("RINGING", "connected with another party"),
        ("ANNOUNCING", "connected with another party"),
        ("ANNOUNCING", "codec changes"),
        ("ANNOUNCING", "far end is reached"),
        ("RINGING", "far end has announced"),
    }
