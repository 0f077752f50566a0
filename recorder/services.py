"""What the pipeline, the worker's duties and the audit log work with, as one value.

``recorder.processes.services`` builds it from the settings, once per process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.clock import Now, Uptime, utc_now
from recorder.clock import uptime as machine_uptime
from recorder.fault_log import FaultLog
from recorder.ids import Entropy
from recorder.seal.keyring import Keyring
from recorder.seal.revocation import Revoked, Trust, none_revoked
from recorder.seal.signing import Signer
from recorder.store.contract import Store


def no_boundary(_name: str) -> None:
    """Called at each boundary between two durable states; a crash test stops the process there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLogServices:
    """What the audit log needs to sign checkpoints; it opens no recording, so it has no key-encryption key.
    ``root`` verifies the ``signer``'s endorsement."""

    store: Store
    signer: Signer
    root: Ed25519PublicKey
    entropy: Entropy = os.urandom
    checkpoint_lock: timedelta = timedelta(days=365)
    """How long a checkpoint cannot be deleted from a bucket that locks objects."""
    owner: str = field(default_factory=lambda: os.urandom(8).hex())
    """Names this process in leases, among all that share the catalogue."""
    checkpoints_seen: dict[str, int] = field(default_factory=dict)
    """The highest checkpoint number that this process has seen in each customer's log."""
    faults: FaultLog = field(default_factory=FaultLog)
    """The faults that this process has met and that last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(AuditLogServices):
    """Everything that the worker needs. ``spool`` and ``snapshot`` are folders of the node."""

    keyring: Keyring
    spool: Path
    snapshot: Path
    now: Now = utc_now
    uptime: Callable[[], Uptime] = machine_uptime
    """Reads the time since the machine's boot, which no clock adjustment changes."""
    revoked: Callable[[], Revoked] = none_revoked
    """Returns the signing keys that the root has revoked."""
    lock: Callable[[str, datetime], None] | None = None
    """Locks a stored object until a time; ``None`` if the bucket locks nothing."""
    lock_eraser: Store | None = None
    """The store opened to erase locked objects too; ``None`` if ``store`` can erase everything."""
    backups_kept: timedelta = timedelta(days=30)
    """How long copies of catalogue and bucket are kept."""
    boundary: Callable[[str], None] = no_boundary

    @property
    def trust(self) -> Trust:
        """Verifies signed statements."""
        return Trust(self.root, self.revoked)

    @property
    def eraser(self) -> Store:
        """The store that erases, locked objects included."""
        return self.lock_eraser or self.store
