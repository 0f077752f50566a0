"""A line's number in every usual spelling is the line's, on a real switch."""

from __future__ import annotations

import pytest

from tests.freeswitch.switches import NUMBER, Rig, heard_whole, read_wav, until

LINE = f"{NUMBER}01"
NATIONAL = LINE[2:]


@pytest.mark.parametrize("number", [LINE, f"+{LINE}", f"00{LINE}", f"0{NATIONAL}"])
def test_line_is_announced_and_listed_however_it_is_dialled(daemon: Rig, number: str) -> None:
    call = daemon.call(number)
    until("they are connected", lambda: "bridged" in call.markers_now(), 30)
    until("the caller is connected", call.heard_by_caller.exists)
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.start.line, take.start.number.removeprefix("+")) == (
        "recorded",
        "l1",
        LINE,
    )
    assert heard_whole(read_wav(call.heard_by_caller)[:, 0], daemon.prompt)


def test_call_of_another_number_is_listed_and_logged(daemon: Rig) -> None:
    call = daemon.call("0033123456701")
    until("the caller is connected", call.heard_by_caller.exists, 30)
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason, take.start.line) == ("not_recorded", "no_line", None)
    assert b"call.without_line" in (daemon.folder / "daemon.log").read_bytes()
