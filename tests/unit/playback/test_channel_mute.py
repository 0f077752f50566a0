"""One party's channel is kept unchanged and in full, and the other becomes zeros."""

from __future__ import annotations

import io
import wave
from dataclasses import replace

import numpy as np
import pytest

from recorder.errors import SealError
from recorder.playback import channel_mute
from recorder.playback.verified_recording import RecordingVerifier
from tests.expected_errors import expect_error


@pytest.fixture
def manifest(house, recording):
    means = house.services
    return RecordingVerifier(means.store, means.keyring, means.root).open(recording, house.clock()).manifest


@pytest.fixture
def sound(gate, ada, recording) -> bytes:
    grant = gate.grant(ada, recording.id, "agreement")
    opened = gate.open(ada, grant.id, "audio.wav")
    return b"".join(opened.read(0, opened.length))


def channels(content: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_keeps_only_the_left_channel(manifest, sound, size: int) -> None:
    pieces = (sound[at : at + size] for at in range(0, len(sound), size))
    muted = b"".join(channel_mute.only_left(pieces, manifest))
    assert len(muted) == channel_mute.length(manifest)
    before, after = channels(sound), channels(muted)
    assert before[:, 1].any(), "there was something to silence"
    assert not after[:, 1].any()
    assert np.array_equal(after[: len(before), 0], before[:, 0])


def test_pads_what_the_codec_omits_with_silence(manifest, sound) -> None:
    longer = replace(manifest, duration_ms=manifest.duration_ms + 2500)
    muted = b"".join(channel_mute.only_left(iter([sound]), longer))
    assert len(muted) == channel_mute.length(longer)
    assert not channels(muted)[len(channels(sound)) :].any()


def test_refuses_what_is_not_audio(manifest) -> None:
    with expect_error(SealError, "seal.no_sound"):
        list(channel_mute.only_left(iter([b"no sound" * 100]), manifest))
