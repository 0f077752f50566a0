"""The recording that a command is about, by its id alone."""

from __future__ import annotations

import click

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.records import RecordingRow
from recorder.errors import CatalogueError

recording_argument = click.argument("recording_id", metavar="RECORDING")


def find_recording(recording_id: str) -> RecordingRow:
    """A recording of any tenant, or its tombstone.  Raises :class:`CatalogueError`
    (``recording.unknown``)."""
    owner = tenant_queries.recording_owner(recording_id)
    row = None if owner is None else queries.recording(owner, recording_id)
    if row is None:
        raise CatalogueError(
            "recording.unknown",
            f"there is no recording {recording_id}",
            "`accord recording list` shows the ids; so does a recording's page in the panel",
        )
    return row
