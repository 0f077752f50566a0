"""A fax machine at either end, on a real switch: it works as without Accord, by tones in the audio or by
T.38, and the gap in the recording is explained."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile

from recorder.audio.encoding import encode
from tests.freeswitch.switches import CONF, NUMBER, RATE, level, read_wav, until
from tests.freeswitch.telephones.codecs import PCMU, Beeps
from tests.freeswitch.telephones.endpoints import FAX_PACKET
from tests.freeswitch.telephones.rig import PhoneRig, phone_rig

TAKEN_BY_ONE = 80
"""Numbers from here on: the switch passes T.38 on."""

TAKES = f"""<include>
  <extension name="takes_t38" continue="true">
  <condition field="destination_number" expression="^{NUMBER}8[0-9]$">
    <action application="export" data="fax_enable_t38=true"/>
    <action application="export" data="t38_passthru=true"/>
  </condition></extension>
</include>
"""

CNG, CED = Beeps(1100, 0.5, 3.0), Beeps(2100, 3.0, 0.5)
"""What a fax machine says that calls (T.30's CNG), and one that answers (CED, which here is said again and
again)."""

SIDES = ("caller", "called")
TALKED_S = 3.0
ENDS_S = 5.0
"""So much later the switch ends a call that goes on as a fax, whoever hangs up; recorded or not."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhoneRig]:
    conf = tmp_path_factory.mktemp("conf") / "conf"
    shutil.copytree(CONF, conf)
    (conf / "dialplan" / "public" / "01_fax.xml").write_text(TAKES)
    with phone_rig(tmp_path_factory.mktemp("phone_rig"), conf) as it:
        yield it


@pytest.mark.long
def test_call_switches_to_t38(place: PhoneRig) -> None:
    """If the switch refuses T.38, the call stays audio and is recorded. If it accepts, the packets pass
    through, and the end of the recording is marked as a fax, not as a failure."""
    refused = {who: place.place(f"refused, the {who} asks", line=n) for n, who in enumerate(SIDES)}
    one_side = {
        who: place.place(f"taken, the {who} asks", line=TAKEN_BY_ONE + n) for n, who in enumerate(SIDES)
    }
    place.until_connected(*refused.values(), *one_side.values())
    for pair in (*refused.values(), *one_side.values()):
        pair.outside.faxes = pair.inside.faxes = True
    time.sleep(TALKED_S)
    for calls, code in ((refused, 488), (one_side, 200)):
        for who, pair in calls.items():
            end = pair.dialogue if who == "caller" else place.end_of(pair.inside)
            assert end.fax() == code, pair.name
    for pair in one_side.values():
        assert pair.outside.image, pair.name
        assert pair.inside.image, pair.name
        for leg in (pair.outside, pair.inside):
            leg.ear = []
    place.talk(TALKED_S, *refused.values(), *one_side.values())
    for pair in one_side.values():
        for leg in (pair.outside, pair.inside):
            packets = [payload for _, payload in leg.ear or ()]
            assert packets.count(FAX_PACKET) > 0.8 * TALKED_S * 50, (pair.name, len(packets))
    for pair in refused.values():
        recording = pair.listen()
        assert [gap.reason for gap in recording.encoded.gaps] == ["before_announcement_end", "ringing"], (
            recording
        )
        assert abs(recording.encoded.drift_ms) < 300, recording
        assert min(len(recording.left), len(recording.right)) > TALKED_S, recording
    for pair in one_side.values():
        until(f"{pair.name} is over", lambda pair=pair: place.end_of(pair.inside).state == "over")
        recording = pair.listen()
        last = recording.encoded.gaps[-1]
        assert (last.reason, last.channel) == ("fax", "both"), recording.encoded.gaps
        missing_s = (last.end_ms - last.start_ms) / 1000
        assert TALKED_S - 0.3 < missing_s < TALKED_S + ENDS_S + 2, recording.encoded.gaps
        assert abs(recording.encoded.drift_ms - (last.end_ms - last.start_ms)) < 500, (
            "nothing else is missing"
        )
        assert recording.left, "what was said before is there"
        (stopped,) = (marker for marker in recording.take.markers if marker.kind == "recording_stopped")
        assert stopped.data == {"fax": "t38"}


def beep_share(sound: np.ndarray, tone: Beeps) -> float:
    """Return the longest run in seconds of tenths of a second in which this tone is heard; 0 if another sound
    is as loud."""
    loud = np.abs(sound[: len(sound) // 800 * 800]).reshape(-1, 800).max(axis=1) > 0.1
    own = level(sound, tone.hertz) > 0.1
    if (loud[1:-1] & ~own[1:-1] & ~own[:-2] & ~own[2:]).any():
        return 0.0
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], own.astype(int), [0]]))))[::2]
    return float(runs.max(initial=0)) / 10


@pytest.mark.long
def test_fax_by_audio_tones(place: PhoneRig) -> None:
    """The call is handled as its line says. To a number that is never recorded, the fax hears nothing of
    Accord and nothing is kept."""
    recorded, never = place.place("by tones", line=30), place.place("never", line=99)
    for pair in (recorded, never):
        pair.outside.voice, pair.inside.voice, pair.outside.ear = CNG, CED, []
    place.until_connected(recorded, never)
    place.talk(8, recorded, never)
    take = recorded.take()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    whole = read_wav(take.audio)
    talk = whole[2 * RATE :]
    assert 0.4 <= beep_share(talk[:, 0], CNG) <= 0.7
    assert 2.8 <= beep_share(talk[:, 1], CED) <= 3.2
    encoded = encode(take, place.prompts / f"{take.start.announcement.sha256}.wav")  # type: ignore[union-attr]
    assert encoded.announced is not None
    assert [gap.reason for gap in encoded.gaps] == ["before_announcement_end", "ringing"]
    take = never.take()
    assert (take.end.outcome, take.end.reason) == ("not_recorded", "never_record")
    assert not take.audio.exists()
    assert 2.8 <= beep_share(by_law(never.outside.ear or []), CED) <= 3.2, "and no announcement"
    assert beep_share(by_law(recorded.outside.ear or []), CED) == 0.0, "which the other has heard"


def by_law(packets: list[tuple[int, bytes]]) -> np.ndarray:
    """Return the audio that a phone received in PCMU."""
    sound, _ = soundfile.read(
        io.BytesIO(b"".join(content for kind, content in packets if kind == PCMU.payload)),
        format="RAW", subtype="ULAW", channels=1, samplerate=RATE,
    )  # fmt: skip
    return np.asarray(sound)
