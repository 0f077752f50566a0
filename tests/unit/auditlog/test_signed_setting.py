"""A signed setting counts where it was signed for, and only as the newest in the log."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.auditlog.append import sha256_of
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.auditlog.signed_setting import SignedSetting, newest_leaf, newest_number
from recorder.catalogue.tables.download_permission import DownloadPermissionTable
from recorder.errors import SealError
from recorder.seal.download_permission import KIND, DownloadPermission
from recorder.seal.revocation import Revoked, Trust
from tests.unit.seal.recording import NOW, TENANT, Keys, make_keys

PERMISSION = SignedSetting(
    KIND,
    DownloadPermissionTable,
    "user.download_changed",
    lambda found: (found.tenant, found.user, found.number),
)
PLACE = (TENANT, "ada", 2)
VALUE = DownloadPermission(*PLACE, allowed=True)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return make_keys(tmp_path / "keys")


def statement(keys: Keys, **changes: Any) -> str:
    return KIND.write(replace(VALUE, **changes), keys.signer, NOW).decode()


def leaf(number: int, content: str, at: datetime = LATER) -> LoggedLeaf:
    return LoggedLeaf(number + 10, "changed", at, {"number": number, "statement_sha256": sha256_of(content)})


def refusal(keys: Keys, content: str, leaves: list[LoggedLeaf], revoked: Revoked | None = None) -> str | None:
    trust, (tenant, user, number) = Trust(keys.root.public_key(), lambda: revoked or {}), PLACE
    row = DownloadPermissionTable(id=user, tenant_id=tenant, number=number, statement=content)
    try:
        assert PERMISSION.check(row, leaves, trust).value == VALUE
    except SealError as error:
        return error.error_id
    return None


def test_the_newest_in_the_log_counts(keys: Keys) -> None:
    content = statement(keys)
    assert refusal(keys, content, [leaf(2, content)]) is None
    assert refusal(keys, content, [leaf(1, "x"), leaf(2, content)]) is None
    assert refusal(keys, content, [leaf(2, content), leaf(1, "x")]) is None
    assert refusal(keys, content, [leaf(2, content), leaf(3, "x")]) == "setting.superseded"
    assert refusal(keys, content, [leaf(1, content)]) == "setting.superseded"
    assert refusal(keys, content, [leaf(2, "x")]) == "setting.superseded"
    assert refusal(keys, content, []) == "setting.superseded"


@pytest.mark.parametrize("changes", [{"tenant": "another"}, {"user": "paul"}, {"number": 3}])
def test_one_that_was_signed_for_another_place_does_not_count(keys: Keys, changes: dict[str, Any]) -> None:
    content = statement(keys, **changes)
    assert refusal(keys, content, [leaf(2, content)]) == "setting.differs"


def test_one_by_a_key_that_was_revoked_before_does_not_count(keys: Keys) -> None:
    content, key = statement(keys), keys.signer.key_id
    entries = [leaf(2, content)]
    assert refusal(keys, content, entries, {key: LATER}) == "seal.key_revoked"
    assert refusal(keys, content, entries, {key: LATER + timedelta(seconds=1)}) is None
    assert refusal(keys, content, entries, {"another": NOW}) is None


def test_the_largest_number_is_the_newest() -> None:
    entries = [leaf(9, "x"), leaf(10, "y"), leaf(2, "z")]
    assert (newest_leaf(entries), newest_number(entries)) == (entries[1], 10)
    assert (newest_leaf([]), newest_number([])) == (None, 0)
