"""When an erasure is complete: no sooner than the last backup with a destroyed key has ended.

Erasing a recording destroys its wrapped key wherever Accord stores it.  An earlier copy of catalogue or
bucket still has that key, and opens the recording together with the key-encryption key until the copy is
destroyed, which the operator promises within a number of days (``[keys] backups_kept_days``).
"""

from __future__ import annotations

from datetime import datetime, timedelta


def erasure_complete_at(erased_at: datetime, backups_end_after: timedelta) -> datetime:
    """When nothing that held a key that was destroyed at ``erased_at`` is left, where every backup of
    catalogue and bucket ends that long after it was made.  Raises ``ValueError`` for a time that is less
    than none."""
    if backups_end_after < timedelta(0):
        raise ValueError("backups do not end before they are made")
    return erased_at + backups_end_after
