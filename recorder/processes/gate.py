"""The gate that the panel is given: playback, and the exits that features add."""

from __future__ import annotations

from recorder.features.offboarding.download import HandoverExit
from recorder.features.subject_requests.personal_copy import PersonalCopyExit
from recorder.playback.pack_gate import PackGate


class PanelGate(PersonalCopyExit, HandoverExit, PackGate):
    """The panel's gate: playback, packs, copies for persons, and the handover of a customer who leaves."""
