from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from recorder.catalogue.records import LineRow, NotRecordedRow, ObjectRow, RecordingRow
from recorder.domain.parties import Party
from recorder.fault_log import FaultLog
from recorder.features.tenants import announcements, lines, snapshot
from recorder.features.tenants.line_policies import PolicyCache
from recorder.identity.tenants import create_tenant
from recorder.ids import uuid7
from recorder.lifecycle import recordings
from recorder.spool.snapshot import Snapshot, read_snapshot
from tests.unit.catalogue.promised_world import PromisedWorld, make_world

TENANT = "01930000-0000-7000-8000-00000000000a"
OTHER = "01930000-0000-7000-8000-00000000000b"


@pytest.fixture
def tenants(catalogue, clock, entropy) -> tuple[str, str]:
    """Two customers who must not see each other's data."""
    for identity, name in ((TENANT, "Boulangerie Martin"), (OTHER, "Van Dyck NV")):
        create_tenant(identity, name=name, wrapped_key="{}", now=clock(), entropy=entropy)
    return TENANT, OTHER


@pytest.fixture
def announce(tenants, clock, entropy, tone) -> Callable[..., str]:
    """Creates an announcement of a tenant; returns its id."""

    def make(tenant: str = TENANT, level: int = 1000, name: str = "default") -> str:
        return announcements.create_announcement(
            tenant,
            name=name,
            language="fr",
            text="Cet appel est enregistré pour garder clair ce qui est convenu, pendant 30 jours.",
            purposes=["agreement"],
            keep_days=30,
            wav=tone(1000, level=level),
            now=clock(),
            entropy=entropy,
        ).id

    return make


@pytest.fixture
def stored(tenants, clock, entropy) -> Callable[..., RecordingRow]:
    """Lists a recording."""

    def make(tenant: str = TENANT, started_at: datetime | None = None, **changes) -> RecordingRow:
        started_at = started_at or clock()
        identity = str(uuid7(started_at, entropy))
        row = RecordingRow(
            id=identity,
            tenant=tenant,
            line="a-line",
            number="+3225550100",
            direction="inbound",
            external_party=Party("e164", "+32470123456"),
            internal_party=Party("extension", "1001"),
            started_at=started_at,
            duration_ms=61_000,
            announcement="an-announcement",
            announcement_version=1,
            announced=True,
            purposes=("agreement",),
            restricted=(),
            keep_answer=None,
            keep_until=started_at + timedelta(days=30),
            prefix=f"{tenant}/2026/11/25/{identity}/",
            manifest_sha256="ab" * 32,
            wrapped_key="{}",
            objects=(ObjectRow("audio.opus", "audio/ogg", 90_000),),
            stored_bytes=91_000,
            stored_at=clock(),
            erased_at=None,
            erasure_reason=None,
        )
        row = replace(row, **changes)
        assert recordings.add_recording(row, now=clock(), entropy=entropy)
        return row

    return make


@pytest.fixture
def unrecorded(tenants, clock, entropy) -> Callable[..., NotRecordedRow]:
    def make(tenant: str | None = TENANT, **changes) -> NotRecordedRow:
        row = NotRecordedRow(
            id=str(uuid7(clock(), entropy)),
            tenant=tenant,
            line="a-line",
            number="+3225550100",
            direction="inbound",
            node="node1",
            external_party=Party("withheld", ""),
            started_at=clock(),
            ended_at=clock() + timedelta(seconds=9),
            reason="never_connected",
            quarantined_until=None,
        )
        row = replace(row, **changes)
        assert recordings.add_not_recorded(row, now=clock(), entropy=entropy)
        return row

    return make


@pytest.fixture
def line(tenants, announce, clock, entropy) -> Callable[..., LineRow]:
    def make(number: str, level: int, tenant: str = tenants[0]) -> LineRow:
        text_id = announce(tenant, level=level, name=f"told-{number}")
        return lines.create_line(tenant, number=number, announcement=text_id, now=clock(), entropy=entropy)

    return make


@pytest.fixture
def faults() -> FaultLog:
    return FaultLog()


@pytest.fixture
def read(tmp_path: Path, clock, faults) -> Callable[[], Snapshot]:
    """Writes the snapshot as the duty does, and reads it as the daemon does."""
    cache, folder = PolicyCache(), tmp_path / "snapshot"

    def make() -> Snapshot:
        snapshot.write(folder, tmp_path / "spool", [], clock(), read=cache.read, faults=faults)
        assert snapshot.is_current(folder, [])
        return read_snapshot(folder)

    return make


@pytest.fixture
def empty(tenants, clock, entropy) -> PromisedWorld:
    """A customer with people and a number, without any recording."""
    return make_world(tenants, clock, entropy)


@pytest.fixture
def world(empty, stored) -> PromisedWorld:
    stored(empty.tenant)
    return empty
