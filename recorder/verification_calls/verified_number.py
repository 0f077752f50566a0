"""A number whose person heard a code at it and typed it: what they may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from recorder.verified_state import VerifiedState


@dataclass(frozen=True, slots=True)
class VerifiedNumber(VerifiedState):
    """The number of a customer's call that its person has opened, as sealed, with the ``recording`` of that
    call (its id), and the id of the user that they are meanwhile. They speak of that recording alone. Who
    verifies that makes a class of its own."""

    tenant: str
    number: str
    recording: str
    guest: str
