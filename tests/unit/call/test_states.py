"""docs/states.md shows what the state machine does."""

from __future__ import annotations

import pytest

from recorder.call.state import Phase
from tests.unit.call import states


def written() -> str:
    return states.PAGE.read_text("utf-8").removeprefix(states.HEADER)


def test_table_lists_the_transitions_of_some_lines() -> None:
    listed = states.outcomes_in(written())
    for (where, name), outcomes in states.explored(states.SOME).items():
        assert set(states.said_of(where, outcomes)) <= listed.get((where, name), set()), (where, name)


@pytest.mark.long
def test_table_equals_the_state_machine() -> None:
    assert written() == states.table(), "python -m tests.unit.call.states writes it anew"


def test_every_phase_is_reached_and_ends() -> None:
    found = states.explored(states.SOME)
    reached = {where.partition(":")[0] for where, _ in found}
    assert {phase.name for phase in Phase} - {"ENDED"} <= reached
    for where in {where for where, _ in found} - {"ENDED"}:
        assert any(
            becomes == "ENDED" and "finish" in orders
            for becomes, orders in found[where, "the channel is gone"]
        ), f"{where} has no end"
    begins = [key for key, outcomes in found.items() if any("begin" in orders for _, orders in outcomes)]
    asked = [key for key in begins if key[0].startswith("ASKING")]
    assert asked == [("ASKING: recording", "key 1")], "recorded without the one answer"
    # At pick-up: once two are connected, and again with whoever is there then.
    assert set(begins) - set(asked) == {
        ("RINGING", "they are connected"),
        ("RINGING", "the end of a hold"),
        ("RINGING", "the folder is on disk"),
        ("RINGING", "the time is over"),
        ("ANNOUNCING", "they are connected"),
        ("RINGING", "somebody else comes"),
        ("ANNOUNCING", "somebody else comes"),
        ("ANNOUNCING", "the codec changes"),
    }
