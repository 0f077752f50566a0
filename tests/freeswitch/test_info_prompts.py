"""The info prompt of a number, on a real switch without a daemon."""

from __future__ import annotations

import soundfile

from tests.freeswitch.switches import NUMBER, RATE, Rig, heard_whole, read_wav, until
from tests.scenarios.files import chirp


def test_info_prompt_of_a_number(rig: Rig) -> None:
    sounds = rig.snapshot / "info_prompts" / "sounds"
    sounds.mkdir(parents=True, exist_ok=True)
    sound = chirp(2.0, low=500)
    soundfile.write(sounds / "a.wav", sound, RATE, subtype="PCM_16")
    link = rig.snapshot / "info_prompts" / f"{NUMBER}01.wav"
    link.unlink(missing_ok=True)
    link.symlink_to("sounds/a.wav")
    call = rig.call(f"*58{NUMBER}01")
    until("the call is over", lambda: call.heard_by_caller.exists() and not call.alive(), 20)
    assert heard_whole(read_wav(call.heard_by_caller)[:, 0], sound)


def test_info_prompt_of_an_unknown_number(rig: Rig) -> None:
    call = rig.call(f"*58{NUMBER}77")
    until("it was there", lambda: call.heard_by_caller.exists(), 10)
    until("the call is over", lambda: not call.alive(), 10)
    assert len(read_wav(call.heard_by_caller)) < 5 * RATE
