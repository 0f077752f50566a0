"""Outbound calls from an internal phone."""

from __future__ import annotations

import uuid
from pathlib import Path

from tests.freeswitch.switches import NUMBER, CallUnderTest, Rig

LINE = f"{NUMBER}31"


class OutboundCall(CallUnderTest):
    """A call whose take is the callee's."""

    @property
    def outside(self) -> str:
        return self.number

    @property
    def heard_outside(self) -> Path:
        return self.heard_by_callee

    @property
    def leg(self) -> str | None:
        for row in self.rig.switch.channels():
            if row["direction"] == "outbound" and row["dest"] == self.number:
                return row["uuid"]
        return None

    def outside_hangs_up(self) -> None:
        for row in self.rig.phones.channels():
            if row["direction"] == "inbound" and row["dest"] == self.number:
                self.rig.phones.esl.api(f"uuid_kill {row['uuid']}")


def call_out(rig: Rig, number: str, more: str = "ignore_early_media=true", line: str = LINE) -> OutboundCall:
    """Have a phone on a line call a number."""
    phone = str(uuid.uuid4())
    answer = rig.phones.esl.command(
        f"bgapi originate {{origination_uuid={phone},origination_caller_id_number={line},"
        f"absolute_codec_string=PCMU,{more}}}sofia/phones/{number}@127.0.0.1:{rig.out_port} talk XML caller"
    )
    assert "ERR" not in answer, answer
    return OutboundCall(rig, phone, number, line)
