"""The services of an installation in a folder, for processes that tests start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recorder.seal import kek_files, signing
from recorder.services import Services
from recorder.store.contract import Store


def services_in(root: Path, store: Store, **more: Any) -> Services:
    """The services with the keys below ``root``."""
    keys = root / "keys"
    return Services(
        **{
            "store": store,
            "keyring": kek_files.keyring(keys),
            "signer": signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT),
            "root": signing.load_public(keys / signing.ROOT_PUBLIC),
            "spool": root / "spool",
            "snapshot": root / "snapshot",
            **more,
        }
    )
