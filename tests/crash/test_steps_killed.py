"""Amendments, checkpoints and catalogue restores are killed at each of their points. Started again, each
finishes once, with the same result."""

from __future__ import annotations

import os
import signal
from itertools import chain

import pytest

from recorder.audit.service import Audit
from recorder.catalogue import database, queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.features.recovery import backup
from recorder.lifecycle import amendments, expiry
from recorder.lifecycle.expired_recording import check_expired
from recorder.seal.verification import verify
from tests.catalogue_template import make_catalogue
from tests.stored_recordings import put_small

from .conftest import step

KILLED = -signal.SIGKILL


@pytest.mark.long
def test_killed_at_any_point_the_legal_hold_is_set_once(house) -> None:
    to_hold = [put_small(house) for _ in range(3)]
    house.clock.forward(minutes=1)
    for recording, boundary in zip(to_hold, ("begun", "put", "listed"), strict=True):
        assert step(house, "hold", boundary, argument=recording) == [KILLED]
    assert step(house, "finish", "-", "-", days=1) == [0, 0], "the worker does it every minute"
    found = {each.recording for each in amendments.holds(house.tenant)}
    assert found == set(to_hold[1:]), "what was stored is listed; the first attempt stored nothing"
    with connected():
        leaves = [leaf.recording_id for leaf in LeafTable.select() if leaf.kind == "recording.amended"]
    assert sorted(leaves) == sorted(to_hold[1:]), "each once"
    assert step(house, "hold", "-", argument=to_hold[0], days=2) == [0]
    for recording in to_hold:
        row = queries.recording(house.tenant, recording)
        report = verify(house.services.store, row.prefix, house.services.root)
        assert (report.findings, len(report.chain.holds)) == ([], 1)


def test_killed_at_any_point_the_checkpoint_is_signed_once(house) -> None:
    put_small(house)
    points = ("putting json", "has put json", "putting note", "has put note")
    ended = step(house, "sign", *chain.from_iterable((point, "-") for point in points), days=1)
    assert ended == [KILLED, 0] * len(points)
    with connected():
        rows = list(CheckpointTable.select().order_by(CheckpointTable.number))
        assert rows[-1].size == TenantTable.get_by_id(house.tenant).log_size
    assert [row.number for row in rows] == list(range(1, len(ended) + 1)), "none twice, none missing"
    assert all(row.stored_at for row in rows)
    house.clock.forward(days=len(ended), minutes=5)
    means = house.services
    audit = Audit(means.store, means.root, house.clock(), means.keyring)
    assert list(audit.tenant(house.tenant)) == []


@pytest.mark.long
def test_killed_at_any_point_the_catalogue_is_restored_once(house) -> None:
    live, erased_id = put_small(house), put_small(house)
    file, means = house.folder / "day.backup", house.services
    backup.write(file, means.keyring, house.clock(), os.urandom, lambda _table, _count: None)
    row = queries.recording(house.tenant, erased_id)
    house.clock.forward(days=400)
    over = check_expired(row, means.store, means.trust, house.clock())
    services = means
    expiry.destroy(over, services, house.clock())
    url = f"sqlite:///{house.folder / 'again.db'}"
    make_catalogue(url)
    own = database.database.obj
    tables = ("tenant", "recording", "log_leaf")
    assert step(house, "restore", *tables, argument=str(file), url=url) == [KILLED] * len(tables)
    opened = database.open_catalogue(url)
    try:
        with connected():
            assert TenantTable.select().count() == 0, "all of it or nothing"
        assert step(house, "restore", "-", argument=str(file), url=url) == [0]
        phases = ("list", "read", "keys")
        assert step(house, "rebuild", *phases, "-", "-", url=url, days=1) == [KILLED] * len(phases) + [0, 0]
        with connected():
            assert RecordingTable.select().count() == 2
        back, tombstone = queries.recording(house.tenant, live), queries.recording(house.tenant, erased_id)
        assert verify(means.store, back.prefix, means.root, means.keyring).findings == []
        assert back.wrapped_key is not None
        assert (tombstone.erasure_reason, tombstone.wrapped_key) == ("expired", None), "it stays erased"
    finally:
        opened.close()
        database.database.initialize(own)
