"""From when an erasure is complete: no sooner than the last backup that holds a destroyed key has ended.

Destroying a recording destroys its wrapped key wherever Accord keeps it.  A copy of the catalogue or of the
bucket that somebody made before still has that key, and whoever has the copy and the key-encryption key can
open it: until the copy goes, which the operator promises for a number of days (``[keys] backups_kept_days``).
"""

from __future__ import annotations

from datetime import datetime, timedelta


def complete_from(erased_at: datetime, backups_end_after: timedelta) -> datetime:
    """When nothing that held a key that was destroyed at ``erased_at`` is left, where every backup of
    catalogue and bucket ends that long after it was made.  Raises ``ValueError`` for a time that is less
    than none."""
    if backups_end_after < timedelta(0):
        raise ValueError("backups do not end before they are made")
    return erased_at + backups_end_after
