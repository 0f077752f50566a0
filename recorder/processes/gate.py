"""The gate that the panel is given: playback, and the exits that features add."""

from __future__ import annotations

from recorder.features.offboarding.download import HandoverExit
from recorder.features.subject_requests.personal_copy import PersonalCopyExit
from recorder.playback.gate import Gate


class PanelGate(PersonalCopyExit, HandoverExit, Gate):
    """The panel's gate: playback, copies for persons, and the handover of a customer who leaves."""
