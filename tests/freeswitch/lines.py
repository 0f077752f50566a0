"""Line settings and extensions for a rig."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from recorder.clock import utc_now
from recorder.spool.snapshot import write_snapshot
from tests.freeswitch.switches import CONF, NUMBER, Rig
from tests.scenarios.definitions import Line
from tests.scenarios.files import Sounds


def set_every_line(rig: Rig, name: Line) -> Sounds:
    """Give every line of the rig the settings of ``name``."""
    sounds = Sounds(rig.snapshot / "prompts")
    lines = [sounds.line(name, f"{NUMBER}{number:02}") for number in range(90)]
    write_snapshot(rig.snapshot, lines, [], utc_now())
    rig.wait_snapshot()
    return sounds


def configuration(folder: Path, dialplan: Mapping[str, str]) -> Path:
    """Copy the shipped configuration, with more files in its dialplan, by their paths there."""
    conf = folder / "conf"
    shutil.copytree(CONF, conf)
    for path, text in dialplan.items():
        (conf / "dialplan" / path).write_text(text)
    return conf


def extension(name: str, number: str, *actions: str, goes_on: bool = False) -> str:
    """An extension for a number. Its actions are ``application:data``; ``goes_on``: later ones apply, too."""
    lines = "\n".join(
        f'      <action application="{application}" data="{data}"/>'
        for application, _, data in (action.partition(":") for action in actions)
    )
    return f"""<include>
  <extension name="{name}"{' continue="true"' if goes_on else ""}>
    <condition field="destination_number" expression="^{number}$">
{lines}
    </condition>
  </extension>
</include>
"""
