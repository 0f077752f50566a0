from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from peewee import SqliteDatabase

from recorder.audit.findings import AuditFinding
from recorder.audit.service import Audit
from recorder.auditlog import checkpoint, mail_witness
from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.database import database as the_database
from recorder.catalogue.records import UserRow
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable
from recorder.catalogue.tables.registry import TABLES
from recorder.catalogue.tables.tenant import TenantTable
from recorder.features.subject_requests import service as request_register
from recorder.features.tenants import service
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.identity import api_tokens, tenants, users
from recorder.lifecycle import expiry
from recorder.playback import grants
from recorder.services import Services
from tests.catalogue_template import make_catalogue, open_catalogue
from tests.clock import Clock
from tests.entropy import RepeatableEntropy
from tests.house import Bakery
from tests.stored_recordings import put_small

TENANT = "01930000-0000-7000-8000-00000000000a"


@pytest.fixture
def tenant(catalogue: str, clock: Clock, entropy: RepeatableEntropy) -> str:
    """A customer whose log has one leaf."""
    tenants.create_tenant(TENANT, name="Martin", wrapped_key="{}", now=clock(), entropy=entropy)
    return TENANT


@dataclass
class World:
    """An installation with leaves of many kinds, signed three times; and with two recordings, of which one
    is erased."""

    house: Bakery
    live_recording: str
    erased: str
    user: str

    @property
    def tenant(self) -> str:
        return self.house.tenant

    def signing(self, **changes: Any) -> Services:
        """The services of a worker that was just started."""
        return replace(self.house.services, **{"checkpoints_seen": {}, **changes})

    def sign(self) -> int:
        """Sign the log an hour later."""
        return checkpoint.sign_due(self.signing(), self.house.clock.forward(hours=1))

    def audit(self, **changes: Any) -> list[AuditFinding]:
        means = self.house.services
        audit = Audit(means.store, means.root, self.house.clock(), means.keyring)
        audit = replace(audit, **changes)
        with connected():
            known = {row.id for row in TenantTable.select(TenantTable.id)}
        return [*audit.tenant(self.tenant), *audit.shared(known)]

    def note(self, number: int) -> Path:
        """A checkpoint in the bucket."""
        return self.house.bucket / checkpoint.place_of(self.tenant, number)

    def leaf(self, kind: str, at: int = 0) -> LeafTable:
        """One of the leaves of a kind."""
        with connected():
            mine = LeafTable.select().where((LeafTable.tenant == self.tenant) & (LeafTable.kind == kind))
            return list(mine.order_by(LeafTable.number))[at]

    def change(self, number: int, **columns: Any) -> None:
        """Change a leaf's row, as an attacker with the database can."""
        with writing():
            mine = (LeafTable.tenant == self.tenant) & (LeafTable.number == number)
            assert LeafTable.update(**columns).where(mine).execute() == 1

    def checkpoint(self, number: int) -> CheckpointTable:
        with connected():
            return CheckpointTable.get_by_id(f"{self.tenant}/{number}")

    def happen(self) -> None:
        """Append one leaf."""
        when = {"now": self.house.clock(), "entropy": self.house.entropy}
        service.set_tenant(self.tenant, name="Boulangerie Martin", language="fr", **when)


FIRST_DAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""In the past: a timestamp authority uses the machine's own clock."""


class WorldBackup:
    """A world and its initial state, which is restored after each test: creating a world takes longer than
    any test."""

    def __init__(self, world: World, database: Any) -> None:
        self.world, self.database, self.at = world, database, world.house.clock()
        self._copy = sqlite3.connect(":memory:")
        self._rows = {}
        if isinstance(database, SqliteDatabase):
            database.connection().backup(self._copy)
        else:
            self._rows = {model: list(model.select().dicts()) for model in TABLES}
        bucket = world.house.bucket
        self._files = {path: path.read_bytes() for path in bucket.rglob("*") if path.is_file()}

    def restore(self) -> None:
        self.world.house.clock.at = self.at
        self._put_rows_back()
        for path in self.world.house.bucket.rglob("*"):
            if path.is_file() and path not in self._files:
                path.unlink()
        for path, content in self._files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def _put_rows_back(self) -> None:
        if isinstance(self.database, SqliteDatabase):
            with closing(sqlite3.connect(self.database.database)) as file:
                self._copy.backup(file)
            return
        with writing():
            # Without triggers: the call list's index is put back as it was, not filled a second time.
            self.database.execute_sql("SET LOCAL session_replication_role = replica")
            for model in reversed(TABLES):
                model.delete().execute()
            for model, rows in self._rows.items():
                for row in rows:
                    model.insert(**row).execute()


@pytest.fixture(scope="session")
def worlds(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], WorldBackup]]:
    """A world for each kind of catalogue, created when it is first needed."""
    backups: dict[str, WorldBackup] = {}
    with ExitStack() as stack:

        def world_of(kind: str) -> WorldBackup:
            if kind not in backups:
                root = tmp_path_factory.mktemp(kind)
                url = f"sqlite:///{root / 'catalogue.db'}"
                if kind == "postgresql":
                    url = stack.enter_context(request.getfixturevalue("postgres").database())
                make_catalogue(url)
                database = open_catalogue(url)
                stack.callback(getattr(database, "close_all", database.close))
                with connected():
                    world = make_world(Bakery(root, Clock(FIRST_DAY), RepeatableEntropy(), url))
                    assert world.audit() == []
                    backups[kind] = WorldBackup(world, database)
            return backups[kind]

        yield world_of


@pytest.fixture
def world(catalogue_kind: str, worlds: Callable[[str], WorldBackup]) -> Iterator[World]:
    """A :class:`World`, on SQLite and on PostgreSQL."""
    backup = worlds(catalogue_kind)
    the_database.initialize(backup.database)
    yield backup.world
    the_database.initialize(backup.database)
    backup.restore()


def make_world(house: Bakery) -> World:
    user = house.user(house.tenant, "claire@example.com", "customer_admin")
    erased = put_small(house)
    house.clock.forward(days=20)
    world = World(house, put_small(house), erased, user.id)
    assert world.sign() == 1
    house.work(house.unrecorded())
    for recording in (world.live_recording, world.erased):
        _listen(house, user.id, recording)
    assert world.sign() == 1
    _change_settings(house)
    _let_in(house, user)
    house.clock.forward(days=11)
    assert expiry.destroy_due(house.services, house.clock()) == 1
    assert world.sign() == 1
    return world


def _listen(house: Bakery, user: str, recording: str) -> None:
    when = {"now": house.clock(), "entropy": house.entropy}
    row = queries.recording(house.tenant, recording)
    assert row is not None
    grant = grants.create_grant(grants.PermittedUse(
        tenant=house.tenant, user=user, session=None, recording=recording, purpose="agreement",
        manifest_sha256=row.manifest_sha256, until=house.clock() + timedelta(minutes=15)), **when,
    )  # fmt: skip
    listen = grants.count_sent(grant, "play", "audio.opus", 100, **when)
    assert listen is not None
    assert grants.close_listen(listen, **when)


def _change_settings(house: Bakery) -> None:
    when = {"now": house.clock(), "entropy": house.entropy}
    change_line(house.tenant, house.line.id, LineChange(timing="at_pickup"), **when)
    service.set_tenant_country(house.tenant, "nl", **when)
    house.limit(20, purpose="training")
    request_register.enter(
        house.tenant, number="+32470123456", wants="copy", language="fr", received_on=house.clock().date(),
        by_kind="operator", by=None, **when,
    )  # fmt: skip


def _let_in(house: Bakery, user: UserRow) -> None:
    """A closed session, a revoked token, and a recipient of checkpoints."""
    when = {"now": house.clock(), "entropy": house.entropy}
    until = house.clock() + timedelta(hours=8)
    session = users.open_session(user, token_sha256="cd" * 32, until=until, **when)
    users.end_session(user, session.id, **when)
    token = api_tokens.create(
        house.tenant, name="desk", token_sha256="ef" * 32, **when, signer=house.services.signer
    )
    assert api_tokens.revoke(house.tenant, token.id, **when)
    mail_witness.add(house.tenant, "claire@example.com", **when)
