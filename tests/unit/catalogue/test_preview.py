"""The preview of a retention limit counts recordings by day, and agreements separately."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from recorder.catalogue.database import writing
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.lifecycle import retention_limits
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.preview import LimitPreview, preview_limit
from recorder.lifecycle.retention_limits import NewLimit
from recorder.seal import signing
from recorder.seal.amendment import By
from recorder.seal.revocation import Trust
from recorder.seal.usage_terms import RetentionLimit
from recorder.store.directory import DirectoryStore

from .conftest import OTHER, TENANT


@pytest.fixture
def changes(tmp_path, clock, entropy) -> Changes:
    """The service that sets limits."""
    signing.init(tmp_path / "keys", clock() - timedelta(days=9), entropy)
    signer = signing.load_signer(
        tmp_path / "keys" / signing.SIGNING_KEY, tmp_path / "keys" / signing.ENDORSEMENT
    )
    root = signing.load_public(tmp_path / "keys" / signing.ROOT_PUBLIC)
    return Changes(DirectoryStore(tmp_path / "bucket", entropy), root, signer, clock, entropy)


@pytest.fixture
def preview(changes, clock) -> Callable[..., LimitPreview]:
    def forecast(
        days: int, purpose: str | None = "agreement", *, covers_consents: bool = False, line=None
    ) -> LimitPreview:
        limit = RetentionLimit(days, purpose, line, clock(), covers_consents=covers_consents)
        return preview_limit(TENANT, limit, clock(), Trust(changes.root))

    return forecast


def test_preview_counts_by_day(stored, clock, preview) -> None:
    now = clock()  # 25 November 2026, 9:00
    for days in (20, 10, 10, 2, 40):  # the last one is over
        stored(started_at=now - timedelta(days=days))
    both = {"purposes": ("agreement", "quality"), "keep_until": now + timedelta(days=300)}
    stored(started_at=now - timedelta(days=3), **both)
    stored(purposes=("quality",))
    stored(OTHER)
    result = preview(12)
    at_once, soon, later = date(2026, 11, 25), date(2026, 11, 27), date(2026, 12, 5)
    assert result.ends == {at_once: 1, soon: 2, date(2026, 12, 4): 1, later: 1}
    assert list(result.ends) == sorted(result.ends)
    assert (result.there, result.earlier, result.alone, result.agreed, result.on_hold) == (5, 5, 4, 0, 0)
    assert preview(30).ends == {date(2026, 12, 22): 1}, "the one that others keep"
    assert preview(1, "training") == LimitPreview()
    whatever = preview(12, None)
    assert (whatever.there, whatever.earlier, whatever.alone) == (6, 6, 6), "every purpose at once"


def test_preview_excludes_agreements_and_counts_holds(stored, clock, preview) -> None:
    now = clock()
    start = now - timedelta(days=20)
    year = (now + timedelta(days=345)).date()
    plain = stored(started_at=start)
    agreed = [
        stored(started_at=start, keep_until=now + timedelta(days=345), consented_until=(("agreement", year),))
        for _ in range(3)
    ]
    for each in (plain, agreed[0]):
        hold(each.id, now)
    result = preview(12)
    assert (result.there, result.ends, result.alone) == (4, {now.date(): 1}, 1)
    assert (result.agreed, result.on_hold, result.agreed_on_hold) == (3, 1, 1)
    with_consents = preview(12, covers_consents=True)
    assert (with_consents.ends, with_consents.alone) == ({now.date(): 4}, 4)
    assert (with_consents.agreed, with_consents.on_hold, with_consents.agreed_on_hold) == (3, 2, 1)
    short = stored(started_at=start, consented_until=(("agreement", (now - timedelta(days=10)).date()),))
    assert short.keep_until > now
    assert preview(12).earlier == 2, "what it was agreed to keep shorter than announced ends with the limit"


def hold(recording: str, at) -> None:
    """Insert the row of a legal hold."""
    with writing():
        AmendmentTable.create(
            id=f"{recording}/1", tenant=TENANT, recording=recording, number=1, kind="hold_set", at=at,
            by_kind="operator", by_id=None, data={}, sha256="00" * 32, ended_by=None,
        )  # fmt: skip


def test_preview_respects_existing_limits(stored, clock, changes, preview) -> None:
    stored(started_at=clock() - timedelta(days=2))
    stored(started_at=clock() - timedelta(days=2), line="another-line")
    retention_limits.set_limit(changes, TENANT, NewLimit("agreement", None, 12), By("operator"))
    before = clock.at
    clock.forward(days=1)
    retention_limits.set_limit(changes, TENANT, NewLimit("agreement", None, None), By("operator"))
    clock.at = before
    assert preview(15).ends == {}, "lifted, it holds for these still"
    assert preview(11).ends == {date(2026, 12, 4): 2}
    assert preview(11, line="another-line").ends == {date(2026, 12, 4): 1}


def test_a_recording_that_expires_now_is_not_counted(stored, clock, preview) -> None:
    stored(started_at=clock() - timedelta(days=30), keep_until=clock())
    stored(started_at=clock() - timedelta(days=30), keep_until=clock() + timedelta(milliseconds=1))
    assert preview(40).there == 1
