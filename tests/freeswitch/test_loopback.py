"""Calls that the dialplan sends through ``loopback/…``: mod_loopback takes itself out of a call once both
sides talk, and the recording must stay, with each party on its channel."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

import numpy as np
import pytest

from tests.freeswitch.lines import set_every_line
from tests.freeswitch.outbound_call import call_out
from tests.freeswitch.switches import CONF, NUMBER, RATE, Rig, level, read_wav, until

PHONE = f"{NUMBER}01"
BEFORE, BEHIND = f"8{PHONE}", f"{NUMBER}88"
"""Numbers whose calls go through loopback before Accord is asked, and behind it, on the way to the phone."""
OUT = "3247888000401"
ROUTES = {
    "public/000_before": (BEFORE, f"loopback/{PHONE}/public"),
    "public/85_behind": (BEHIND, f"loopback/{PHONE}/phones"),
    "outbound/85_out": (OUT, f"loopback/{OUT}/phones"),
}
"""Extensions by file: the number that is dialled, and the dial string."""
EXTENSION = """<include>
  <extension name="loopback">
    <condition field="destination_number" expression="^{}$">
      <action application="bridge" data="{}"/>
    </condition>
  </extension>
</include>
"""
PHONES = """<include>
  <context name="phones">
    <extension name="phone">
      <condition field="destination_number" expression="^([0-9]+)$">
        <action application="bridge" data="sofia/accord/$1@$${accord_route}"/>
      </condition>
    </extension>
  </context>
</include>
"""
TALK_S = 6
"""Seconds of talk: mod_loopback waits for two before it goes."""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("loopback")
    conf = folder / "conf"
    shutil.copytree(CONF, conf)
    modules = conf / "autoload_configs" / "modules.conf.xml"
    load = '<load module="mod_sofia"/>'
    modules.write_text(modules.read_text().replace(load, f'<load module="mod_loopback"/>{load}'))
    for name, (number, target) in ROUTES.items():
        (conf / "dialplan" / f"{name}.xml").write_text(EXTENSION.format(number, target))
    (conf / "dialplan" / "phones.xml").write_text(PHONES)
    rig = Rig(folder / "rig", conf)
    try:
        rig.start()
        rig.start_daemon()
        rig.wait_watching()
        set_every_line(rig, "out")
        yield rig
    finally:
        rig.stop()


@pytest.mark.parametrize("number", [BEFORE, BEHIND, OUT], ids=["before", "behind", "outbound"])
def test_recording_continues_when_loopback_would_go(rig: Rig, number: str) -> None:
    call = call_out(rig, number) if number == OUT else rig.call(number)
    until("they are connected", lambda: "bridged" in call.markers_now(), 30)
    time.sleep(TALK_S)
    call.hang_up()
    rig.switch.wait_empty()
    take = call.wait_take()
    kinds = [marker.kind for marker in take.markers]
    assert (take.end.outcome, take.end.reason) == ("recorded", None), kinds
    bridged = take.first("bridged")
    assert bridged is not None
    start = int((bridged - take.start.started_at).total_seconds() * RATE) + RATE // 2
    talk = read_wav(take.audio)[start:]
    assert len(talk) > (TALK_S - 1) * RATE, kinds
    outside, inside = (1000, 440) if number == OUT else (440, 1000)
    for channel, own, other in ((0, outside, inside), (1, inside, outside)):
        assert np.percentile(level(talk[:, channel], own), 5) > 0.2, kinds
        assert np.median(level(talk[:, channel], other)) < 0.02, kinds
