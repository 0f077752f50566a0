"""The gate with every way out that features add to it: what the panel is given."""

from __future__ import annotations

from recorder.features.offboarding.download import Handovers
from recorder.features.subject_requests.personal_copy import PersonalCopies
from recorder.playback.gate import Gate


class PanelGate(PersonalCopies, Handovers, Gate):
    """The panel's gate: playback, copies for persons, and the handover of a customer who leaves."""
