"""Media settings of a phone system on a real switch: bypassing the switch, or a jitter buffer. The media of a
recorded call passes through the switch, complete and in sync."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.freeswitch.switches import CONF, NUMBER
from tests.freeswitch.telephones.endpoints import jitters, loses
from tests.freeswitch.telephones.rig import Pair, PhoneRig
from tests.freeswitch.test_codecs import LATE_S, check

AWAY = ("bypass_media_after_bridge", "bypass_media", "proxy_media")
BUFFERED = ("60", "120", "60:200:20")


def files(conf_lines: dict[str, str]) -> str:
    """Return extensions that set a variable on the way to a number, and continue."""
    return "<include>\n" + "".join(
        f'<extension name="media_{n}" continue="true"><condition field="destination_number" '
        f'expression="{number}"><action application="set" data="{what}"/></condition></extension>\n'
        for n, (number, what) in enumerate(conf_lines.items())
    ) + "</include>\n"  # fmt: skip


def line(number: int) -> str:
    return f"^{NUMBER}{number}$"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhoneRig]:
    folder = tmp_path_factory.mktemp("media")
    conf = folder / "conf"
    shutil.copytree(CONF, conf)
    public, outbound = conf / "dialplan" / "public", conf / "dialplan" / "outbound"
    buffers = {line(70 + n): f"jitterbuffer_msec={length}" for n, length in enumerate(BUFFERED)}
    before = {line(50 + n): f"{name}=true" for n, name in enumerate(AWAY)}
    (public / "00_a.xml").write_text(files({**before, **buffers}))
    after = {line(60 + n): f"{name}=true" for n, name in enumerate(AWAY)}
    (public / "85_media.xml").write_text(files(after))
    out = {f"[{2 * n}{2 * n + 1}]$": f"{name}=true" for n, name in enumerate(AWAY)}
    (outbound / "05_media.xml").write_text(files(out))
    it = PhoneRig(folder / "phone_rig", conf)
    try:
        it.rig.switch.start()
        it.rig.start_daemon()
        it.rig.wait_watching()
        yield it
    finally:
        it.exchange.stop()
        it.rig.kill_daemon()
        it.rig.switch.stop()


def test_media_of_a_recorded_call_passes_through_the_switch(place: PhoneRig) -> None:
    """The phone system requests the bypass before Accord or after it, on calls in either direction."""
    pairs: list[Pair] = []
    for first, where in ((50, "before"), (60, "after")):
        pairs += [place.place(f"{name}, {where}", line=first + n) for n, name in enumerate(AWAY)]
    pairs += [place.place_out(f"out {n}") for n in range(10)]
    place.until_connected(*pairs)
    place.talk(6, *pairs)
    for pair in pairs:
        recording = pair.listen()
        check(recording, 6)
        # A callee's leg waits for each of the daemon's orders, and is not recorded meanwhile: that is told.
        missing_s = recording.missing_s if recording.take.start.direction == "outbound" else 0.0
        assert abs(recording.encoded.drift_ms - 1000 * missing_s) < 300, recording
        assert not [gap for gap in recording.encoded.gaps if gap.reason == "write_error"], recording


def test_jitter_buffer_keeps_the_channels_in_sync(place: PhoneRig) -> None:
    """The buffer delays audio to the internal party, too; the recording is no later than the packets."""
    pairs = [place.place(f"a buffer of {length}", line=70 + n) for n, length in enumerate(BUFFERED)]
    place.until_connected(*pairs)
    place.talk(6, *pairs)
    for pair in pairs:
        check(pair.listen(), 6)
    for weather, late in ((jitters(LATE_S), LATE_S + 0.02), (loses(0.05), 0.0)):
        pairs = [
            place.place(f"a buffer of {length}", line=70 + n, weather=weather)
            for n, length in enumerate(BUFFERED)
        ]
        place.until_connected(*pairs)
        place.talk(8, *pairs)
        for pair in pairs:
            check(pair.listen(), 6, late)
