"""A number whose person heard a code at it and typed it: what they may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from recorder.verified_state import VerifiedState


@dataclass(frozen=True, slots=True)
class VerifiedNumber(VerifiedState):
    """The number of a customer's call that its person has opened, as sealed, and the id of that
    ``recording``: they can ask about no other. ``guest`` is the id of the user that the person is logged in
    as. Who verifies this makes a class of its own."""

    tenant: str
    number: str
    recording: str
    guest: str
