"""Sends a prompt's WAV, by byte range."""

from __future__ import annotations

from flask import Response

from recorder.features.tenants.setup import PreviewedPrompt
from recorder.playback.interface import OpenSound
from web.playback import sound_response


def send_prompt(prompt: PreviewedPrompt) -> Response:
    """The response with a prompt's sound."""
    opened = OpenSound(
        prompt.part, "audio/wav", len(prompt.wav), lambda start, end: iter([prompt.wav[start:end]])
    )
    return sound_response.send(opened, prompt.sha256)
