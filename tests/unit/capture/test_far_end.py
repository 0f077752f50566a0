"""Two calls are one between two lines only if each sends its audio to the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from recorder.call import initial
from recorder.call.state import Phase
from recorder.capture.call_controller import CallController
from recorder.capture.far_end import find_far_end
from recorder.capture.spool_writer import SpoolWriter
from recorder.domain.parties import NOBODY
from recorder.errors import SwitchError
from recorder.spool.layout import CallStart
from recorder.switch.commands import SwitchCommand
from recorder.switch.outbound_socket import Arrival
from tests.unit.call.driver import AT
from tests.unit.call.test_far_end import PLAN

OURS, THEIRS = ("192.0.2.1", "20000"), ("192.0.2.1", "20002")
ARRIVAL = Arrival("b", "100", "answered", "outbound", NOBODY, own_media=frozenset({OURS}), peer_media=THEIRS)


@pytest.fixture
def far_end(tmp_path: Path) -> CallController:
    """A call whose caller receives audio where the arriving leg does."""
    start = CallStart("r", "t", "l", "101", "inbound", "n", "a", NOBODY, AT, ("opus",), None)
    return CallController(
        start, initial.arrive(PLAN, AT)[0], SpoolWriter(tmp_path, "r", lambda _error: None), now=lambda: AT,
        to_call=lambda _orders: None, to_switch=lambda _command: None, ask=str, ended=lambda _call: None,
        peer_media=OURS,
    )  # fmt: skip


def test_call_is_found_by_where_both_legs_send_their_audio(far_end: CallController) -> None:
    assert find_far_end(ARRIVAL, [far_end], lambda _command: THEIRS[1]) is far_end


def test_caller_who_only_claims_the_address_is_not(far_end: CallController) -> None:
    """An SDP may name any address; the switch knows which port it has opened for this call."""
    assert find_far_end(ARRIVAL, [far_end], lambda _command: "20004") is None


def test_other_calls_are_not(far_end: CallController) -> None:
    def unasked(command: SwitchCommand) -> NoReturn:
        raise AssertionError(command)

    elsewhere = replace(ARRIVAL, own_media=frozenset({THEIRS}))
    assert find_far_end(elsewhere, [far_end], unasked) is None
    assert find_far_end(replace(ARRIVAL, direction="inbound"), [far_end], unasked) is None
    assert find_far_end(replace(ARRIVAL, peer_media=None), [far_end], unasked) is None
    far_end.state = replace(far_end.state, phase=Phase.ENDED)
    assert find_far_end(ARRIVAL, [far_end], unasked) is None


def test_switch_that_does_not_answer_finds_none(far_end: CallController) -> None:
    def silent(_command: SwitchCommand) -> NoReturn:
        raise SwitchError("switch.timeout", "no answer", "wait")

    assert find_far_end(ARRIVAL, [far_end], silent) is None
