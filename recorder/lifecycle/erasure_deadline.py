"""When an erasure is complete: once the last backup that contains a destroyed key has expired.

Erasing a recording destroys its wrapped key wherever Accord stores it. An earlier backup of catalogue or
bucket still contains that key, which opens the recording together with the key-encryption key until the
backup is destroyed. The operator states within how many days that is (``[keys] backups_kept_days``).
"""

from __future__ import annotations

from datetime import datetime, timedelta


def erasure_complete_at(erased_at: datetime, backups_end_after: timedelta) -> datetime:
    """When no backup contains a key that was destroyed at ``erased_at``, if backups are kept for
    ``backups_end_after``. Raises ``ValueError`` for a negative duration."""
    if backups_end_after < timedelta(0):
        raise ValueError("backups cannot be kept for a negative time")
    return erased_at + backups_end_after
