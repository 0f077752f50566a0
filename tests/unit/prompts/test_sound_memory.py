"""Sounds are read where the kernel refuses to make machine code, as for the hardened worker and panel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REFUSE_NEW_CODE = """
import ctypes, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit(77)
"""
"""What systemd's MemoryDenyWriteExecute does."""

READ = """
from recorder.prompts.dsp import RATE, make_silence, wav_bytes
from recorder.prompts.sound_check import read_wav
from recorder.prompts.sound_sources import SOUNDS
from recorder.prompts.sound_memory import open_sound

path = sorted(SOUNDS.glob("en/*.flac"))[0]
with open_sound(path.read_bytes()) as sound:
    print(sound.samplerate == RATE, len(sound.read()) > 0)
samples, rate = read_wav(wav_bytes(make_silence(1.0), RATE), "silence")
print(rate == RATE, len(samples) == RATE)
"""

BY_CALLBACKS = """
import io, soundfile
from recorder.prompts.dsp import RATE, make_silence, wav_bytes
try:
    soundfile.read(io.BytesIO(wav_bytes(make_silence(1.0), RATE)))
except MemoryError:
    print("refused")
"""


def run(script: str) -> list[str]:
    process = subprocess.run(
        [sys.executable, "-c", REFUSE_NEW_CODE + script],
        capture_output=True, text=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    if process.returncode == 77:
        pytest.skip("this kernel cannot refuse new machine code (Linux 6.3 or later)")
    assert process.returncode == 0, process.stderr
    return process.stdout.split()


def test_sounds_are_read_without_new_machine_code() -> None:
    assert run(READ) == ["True"] * 4


def test_the_kernel_refuses_callbacks() -> None:
    assert run(BY_CALLBACKS) == ["refused"]
