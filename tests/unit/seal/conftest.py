from __future__ import annotations

from pathlib import Path

import pytest

from recorder.seal.sealing import SealedTake

from .recording import Bucket, Keys, make_bucket, make_keys, make_sealed


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return make_keys(tmp_path / "keys")


@pytest.fixture
def sealed(tmp_path: Path, keys: Keys) -> SealedTake:
    return make_sealed(tmp_path / "take", keys)


@pytest.fixture
def bucket(sealed: SealedTake, keys: Keys) -> Bucket:
    return make_bucket(sealed, keys.tenant_key)
