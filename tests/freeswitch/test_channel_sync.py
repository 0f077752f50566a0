"""A recording's channels stay in sync for the length of a call, through holds and transfers: part of ``make
test-long``."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.freeswitch.switches import NUMBER, until
from tests.freeswitch.telephones import alignment
from tests.freeswitch.telephones.codecs import G722, OPUS, PCMA, PCMU, Voice
from tests.freeswitch.telephones.endpoints import Leg, loses
from tests.freeswitch.telephones.rig import PERIOD, Pair, PhoneRig, phone_rig

IN_STEP_S, BRIDGE_S = 0.040, 0.020
SEED = 20261125


@pytest.mark.long
@pytest.mark.parametrize("minutes", [2, 60])
@pytest.mark.timeout(6000)
def test_channels_stay_in_sync(tmp_path: Path, minutes: int) -> None:
    chance = random.Random(SEED)
    with phone_rig(tmp_path) as place:
        pairs = [
            place.place("PCMU", PCMU, PCMU),
            place.place("G.722", G722, PCMA),
            place.place("Opus", OPUS, OPUS),
            place.place("1 % lost", PCMA, PCMA, weather=loses(0.01)),
        ]
        mute = place.place("sends nothing", PCMU, PCMU, speaks=False)
        place.until_connected(*pairs, mute)
        over = time.monotonic() + minutes * 60
        while time.monotonic() < over:
            time.sleep(chance.uniform(5, 20))
            pair = chance.choice(pairs)
            move = chance.choice(["held", "holds", "refers", "transferred"])
            if move in ("held", "holds"):
                who = pair.dialogue if move == "holds" else place.end_of(pair.inside)
                who.hold()
                time.sleep(chance.uniform(1, 4))
                who.unhold()
            else:
                transfer(place, pair, by_telephone=move == "refers")
        place.talk(3, *pairs, mute)
        for pair in pairs:
            recording = pair.listen()
            print(recording)
            assert len(recording.steps) > minutes * 60 / alignment.EVERY_S / 2, recording
            assert round(max(abs(step + BRIDGE_S) for step in recording.steps), 3) <= IN_STEP_S, recording
        recording = mute.listen()
        print(recording)
        assert not recording.left
        assert abs(recording.encoded.drift_ms) < 300, recording
        assert round(max(abs(late) for _, late in alignment.pace(recording.right, PERIOD)), 3) <= IN_STEP_S, (
            recording
        )


def transfer(place: PhoneRig, pair: Pair, *, by_telephone: bool) -> None:
    """Somebody else takes the call, in the same codec and with the same voice; by REFER, with a hold first,
    or by the switch."""
    before = pair.inside
    number = 80 + place.transfers % 10
    place.transfers += 1
    after = Leg(before.codec, Voice(before.voice.seed, PERIOD))
    place.answers(number, after)
    if by_telephone:
        colleague = place.end_of(before)
        colleague.hold()
        time.sleep(0.5)
        colleague.refer(f"{NUMBER}{number}")
    else:
        place.rig.switch.esl.api(f"uuid_transfer {place.leg_of(pair)} {NUMBER}{number} XML public")
    until(f"{pair.name} is with another", lambda: after.to is not None, 10)
    pair.inside = after
