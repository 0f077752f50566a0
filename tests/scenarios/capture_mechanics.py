"""Records transcripts of how the real FreeSWITCH treats keys and sounds played into a call.

    ACCORD_FREESWITCH=/path/to/freeswitch python -m tests.scenarios.capture_mechanics [mechanic …]

For each of ``mechanics.py`` it writes ``transcripts/mechanics/<name>.txt.gz``;
``tests/integration/test_mechanics_transcripts.py`` compares the practice switch with them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.freeswitch.scenario_driver import RealDriver
from tests.freeswitch.switches import CONF, PASSWORD, Rig
from tests.scenarios.capture_scenarios import scrub
from tests.scenarios.manual_client import ManualClient
from tests.scenarios.mechanics import MECHANICS, write_configuration, write_sounds
from tests.scenarios.transcript import SUFFIX, TRANSCRIPTS, frames, write


def main() -> None:
    """Capture the mechanics named on the command line, or all of them."""
    names = sys.argv[1:] or [mechanic.name for mechanic in MECHANICS]
    target = TRANSCRIPTS / "mechanics"
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder) / "rig", write_configuration(Path(folder), CONF))
        sounds = write_sounds(rig.folder)
        try:
            rig.start()
            driver = RealDriver(rig)
            for mechanic in MECHANICS:
                if mechanic.name in names:
                    hand = ManualClient(driver, rig.switch.esl_port, rig.daemon_port, PASSWORD, sounds)
                    try:
                        hand.play(mechanic)
                    finally:
                        hand.close()
                        rig.hang_up_all()
                    blocks = scrub(frames(hand.wire_log), rig)
                    write(target / f"{mechanic.name}{SUFFIX}", blocks)
                    print(f"{mechanic.name}: {len(blocks)} messages", flush=True)
        finally:
            rig.stop()


if __name__ == "__main__":
    main()
