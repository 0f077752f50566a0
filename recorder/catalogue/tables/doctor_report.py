"""What the doctor last found on each node."""

from __future__ import annotations

from peewee import TextField

from recorder.catalogue.database import MomentField, Table


class DoctorReportTable(Table):
    """The latest findings of ``accord doctor --report`` on a node: the names of the checks that found
    something ``wrong``, and of those that only gave ``warnings``, with blanks between.

    Nobody signs it, so it decides nothing: operators see it, in the panel's own words for each check. A row
    that is made up sends them to a node where the doctor says otherwise, or hides what it says there."""

    not_copied = "of nodes that run now"
    not_compared = (
        (
            "node made_at wrong warnings",
            "tells operators what the doctor found on a node, until the next report replaces it",
        ),
    )

    node = TextField(primary_key=True)
    made_at = MomentField()
    wrong = TextField()
    warnings = TextField()

    class Meta:
        table_name = "doctor_report"
