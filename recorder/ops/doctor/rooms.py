"""Checks rooms by telephone."""

from __future__ import annotations

from collections.abc import Iterator

from recorder.ops.doctor.findings import DoctorFinding, Patient, ok, warning


def dial_in_budget(patient: Patient) -> Iterator[DoctorFinding]:
    """Whether callers have used up the day's budget of wrong codes, where guests can call."""
    from recorder.features.disputes.dial_in import share_used

    if not patient.settings.rooms.number:
        return
    patient.context.open_catalogue()
    share = share_used(patient.now())
    if share < 1:
        yield ok(f"dial-in budget: {share:.0%} of a day's wrong codes were entered")
    else:
        what = "dial-in budget: used up by wrong codes; only callers from invited numbers get in"
        hint = "find out who calls the room's number; another code can be tried every half hour"
        yield warning(what, hint)
