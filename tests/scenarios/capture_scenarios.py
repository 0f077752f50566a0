"""Records transcripts of both sockets of the real FreeSWITCH through a proxy.

    ACCORD_FREESWITCH=/path/to/freeswitch python -m tests.scenarios.capture_scenarios [scenario …]

For each scenario it writes ``transcripts/<scenario>.txt.gz``: the messages between switch and daemon, one
block each, in the order in which they went through the proxy, without names, addresses and ids.
``tests/integration/test_scenarios_transcripts.py`` compares the practice switch with them.
"""

from __future__ import annotations

import re
import socket
import sys
import tempfile
from pathlib import Path

from recorder.spool.snapshot import read_snapshot
from tests.freeswitch.scenario_driver import RealDriver
from tests.freeswitch.switches import Rig, free_ports
from tests.scenarios.at_pickup import AT_PICKUP
from tests.scenarios.codes import CODES
from tests.scenarios.compare import HEADERS, OURS
from tests.scenarios.definitions import SCENARIOS, Scenario
from tests.scenarios.proxy import Proxy
from tests.scenarios.questions import BEFORE, IN_TALK
from tests.scenarios.run import play
from tests.scenarios.transcript import SUFFIX, TRANSCRIPTS, Block, frames, write

CAPTURED = (
    "normal", "callee_ends_it", "hangs_up_in_announcement", "hangs_up_while_ringing", "busy",
    "hold_and_back_in_announcement", "hold_in_conversation", "daemon_killed_in_announcement",
    "daemon_stalled_before_the_call", "unknown_number", "forged_name", "opt_in_yes", "opt_in_no",
    "opt_out_silence", "opt_out_refused_while_it_rings",
    "agreed_by_key", "at_pickup", "at_pickup_busy", "at_pickup_hold_in_announcement",
)  # fmt: skip


def capture(scenario: Scenario, rig: Rig) -> list[Block]:
    """Play a scenario and return the messages."""
    blocks: list[tuple[str, bytes]] = []
    outer = rig.daemon_port
    (inner,) = free_ports(1)
    standing_proxy = Proxy("standing", 0, rig.switch.esl_port, blocks)
    call = Proxy("call", outer, inner, blocks)
    rig.daemon_port = inner
    rig.settings |= {"switch_port": standing_proxy.port, "listen_port": inner}
    driver = RealDriver(rig)
    try:
        play(scenario, driver)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{(rig.folder / 'daemon.log').read_text()}") from error
    finally:
        driver.close()
        standing_proxy.close()
        call.close()
        rig.settings |= {"switch_port": rig.switch.esl_port, "listen_port": outer}
        rig.daemon_port = outer
    return scrub(frames(blocks), rig)


_OTHERS = re.compile(rf"(?m)^(?!{'|'.join((*OURS, *HEADERS))})variable_[^:\n]*: .*\n?")
"""Variables that are not compared: omitted except from the first event of the call's own socket."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def scrub(blocks: list[Block], rig: Rig) -> list[Block]:
    """Remove everything specific to the machine: ids become ``uuid-1`` and so on, in order of appearance."""
    announcement = next(iter(read_snapshot(rig.snapshot).lines.values())).announcement
    names: dict[str, str] = {}
    plain = {
        str(rig.snapshot): "/var/lib/accord/snapshot",
        str(rig.spool): "/var/lib/accord/spool",
        str(rig.folder): "/var/lib/accord",
        announcement.sha256: "f" * 64,
        socket.gethostname(): "switch",
    }

    def clean(text: str) -> str:
        for real, replacement in plain.items():
            if real == socket.gethostname():
                text = re.sub(rf"(Hostname|Switchname): {re.escape(real)}(?=\n)", rf"\1: {replacement}", text)
                text = text.replace(f'"hostname":"{real}"', f'"hostname":"{replacement}"')
            else:
                text = text.replace(real, replacement)
        text = re.sub(r"(?m)^auth .*$", "auth PASSWORD", text)
        text = re.sub(r"(?m)^(FreeSWITCH-IPv[46]): .*$", r"\1: 192.0.2.1", text)
        text = re.sub(r"192\.0\.2\.\d+|10\.\d+\.\d+\.\d+", "192.0.2.1", text)
        return _UUID.sub(lambda found: names.setdefault(found[0], f"uuid-{len(names) + 1}"), text)

    return [
        Block(block.who, clean(block.text if block.event == "CHANNEL_DATA" else _OTHERS.sub("", block.text)))
        for block in blocks
    ]


def main() -> None:
    """Capture the scenarios named on the command line, or all of :data:`CAPTURED`."""
    names = sys.argv[1:] or list(CAPTURED)
    TRANSCRIPTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder))
        try:
            rig.start()
            for scenario in (*SCENARIOS, *BEFORE, *IN_TALK, *AT_PICKUP, *CODES):
                if scenario.name in names:
                    blocks = capture(scenario, rig)
                    write(TRANSCRIPTS / f"{scenario.name}{SUFFIX}", blocks)
                    print(f"{scenario.name}: {len(blocks)} messages")
                    rig.fresh()
        finally:
            rig.stop()


if __name__ == "__main__":
    main()
