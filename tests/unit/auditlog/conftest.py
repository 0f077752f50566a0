from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.audit.findings import AuditFinding
from recorder.audit.service import Audit
from recorder.auditlog import checkpoint, mail_witness
from recorder.catalogue import queries, schema
from recorder.catalogue.database import connected, open_catalogue, writing
from recorder.catalogue.database import database as the_database
from recorder.catalogue.records import UserRow
from recorder.catalogue.tables import TABLES
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.features.subject_requests import service as request_register
from recorder.features.tenants import lines, service
from recorder.identity import api_tokens, users
from recorder.lifecycle import expiry
from recorder.playback import grants
from recorder.services import Services
from tests.clock import Clock
from tests.entropy import Repeating
from tests.house import Bakery
from tests.postgres import binaries
from tests.stored import put_small


@dataclass
class World:
    """An installation in which everything that the log speaks of happened, and whose log was signed three
    times: recordings ``kept`` and ``erased``."""

    house: Bakery
    kept: str
    erased: str
    user: str

    @property
    def tenant(self) -> str:
        return self.house.tenant

    def signing(self, **changes: Any) -> Services:
        means = self.house.means
        made = replace(means, checkpoints_seen={})
        return replace(made, **changes)

    def sign(self) -> int:
        """An hour later."""
        return checkpoint.keep(self.signing(), self.house.clock.forward(hours=1))

    def audit(self, **changes: Any) -> list[AuditFinding]:
        means = self.house.means
        made = Audit(means.store, means.root, self.house.clock(), means.keyring)
        made = replace(made, **changes)
        with connected():
            known = {row.id for row in TenantTable.select(TenantTable.id)}
        return [*made.tenant(self.tenant), *made.shared(known)]

    def note(self, number: int) -> Path:
        """A checkpoint in the bucket."""
        return self.house.bucket / checkpoint.place_of(self.tenant, number)

    def leaf(self, kind: str, at: int = 0) -> LeafTable:
        """One of the leaves of a kind."""
        with connected():
            mine = LeafTable.select().where((LeafTable.tenant == self.tenant) & (LeafTable.kind == kind))
            return list(mine.order_by(LeafTable.number))[at]

    def change(self, number: int, **columns: Any) -> None:
        """What somebody does to a leaf who has the database."""
        with writing():
            mine = (LeafTable.tenant == self.tenant) & (LeafTable.number == number)
            assert LeafTable.update(**columns).where(mine).execute() == 1

    def checkpoint(self, number: int) -> CheckpointTable:
        with connected():
            return CheckpointTable.get_by_id(f"{self.tenant}/{number}")

    def happen(self) -> None:
        """One leaf more."""
        said = {"now": self.house.clock(), "entropy": self.house.entropy}
        service.set_tenant(self.tenant, name="Boulangerie Martin", language="fr", **said)


BEGAN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""In the past: a timestamp authority looks at the machine's own clock."""


class Kept:
    """A world as it was made, to which it is put back after each test: making one takes longer than any
    test."""

    def __init__(self, world: World, database: Any) -> None:
        self.world, self.database, self.at = world, database, world.house.clock()
        self._rows = {model: list(model.select().dicts()) for model in TABLES}
        bucket = world.house.bucket
        self._files = {path: path.read_bytes() for path in bucket.rglob("*") if path.is_file()}

    def put_back(self) -> None:
        self.world.house.clock.at = self.at
        with writing():
            for model in reversed(TABLES):
                model.delete().execute()
            for model, rows in self._rows.items():
                for row in rows:
                    model.insert(**row).execute()
        for path in self.world.house.bucket.rglob("*"):
            if path.is_file() and path not in self._files:
                path.unlink()
        for path, content in self._files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@pytest.fixture(scope="session")
def worlds(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Kept]]:
    """A world for each kind of catalogue, made when it is first asked for."""
    # First, so that it ends last.
    server = None if binaries() is None else request.getfixturevalue("postgres")
    made: dict[str, Kept] = {}
    with ExitStack() as stack:

        def world(kind: str) -> Kept:
            if kind not in made:
                root = tmp_path_factory.mktemp(kind)
                url = f"sqlite:///{root / 'catalogue.db'}"
                if server is not None and kind == "postgresql":
                    url = stack.enter_context(server.database())
                schema.migrate(url)
                database = open_catalogue(url)
                stack.callback(getattr(database, "close_all", database.close))
                with connected():
                    made[kind] = Kept(make_world(Bakery(root, Clock(BEGAN), Repeating(), url)), database)
            return made[kind]

        yield world


@pytest.fixture
def world(catalogue_kind: str, worlds: Callable[[str], Kept]) -> Iterator[World]:
    """See :class:`World`; on SQLite and on PostgreSQL."""
    kept = worlds(catalogue_kind)
    the_database.initialize(kept.database)
    yield kept.world
    the_database.initialize(kept.database)
    kept.put_back()


def make_world(house: Bakery) -> World:
    said = {"now": house.clock(), "entropy": house.entropy}
    user = users.create_user(
        house.tenant, login="claire@example.com", name="Claire", role="customer_admin", language="fr",
        password_hash="$argon2id$…", signer=house.means.signer, **said,
    )  # fmt: skip
    erased = put_small(house)
    house.clock.forward(days=20)
    world = World(house, put_small(house), erased, user.id)
    assert world.sign() == 1
    house.work(house.unrecorded())
    for recording in (world.kept, world.erased):
        _listen(house, user.id, recording)
    assert world.sign() == 1
    _change_settings(house)
    _let_in(house, user)
    house.clock.forward(days=11)
    means = house.means
    assert expiry.destroy_due(means, house.clock()) == 1
    assert world.sign() == 1
    return world


def _listen(house: Bakery, user: str, recording: str) -> None:
    said = {"now": house.clock(), "entropy": house.entropy}
    row = queries.recording(house.tenant, recording)
    assert row is not None
    grant = grants.create_grant(
        tenant=house.tenant, user=user, session=None, recording=recording, purpose="agreement",
        manifest_sha256=row.manifest_sha256, until=house.clock() + timedelta(minutes=15), **said,
    )  # fmt: skip
    listen = grants.count_sent(grant, "play", "audio.opus", 100, **said)
    assert listen is not None
    assert grants.close_listen(listen, **said)


def _change_settings(house: Bakery) -> None:
    said = {"now": house.clock(), "entropy": house.entropy}
    lines.set_line_timing(house.tenant, house.line.id, "at_pickup", **said)
    service.set_tenant_country(house.tenant, "nl", **said)
    house.limit(20, purpose="training")
    request_register.enter(
        house.tenant, number="+32470123456", wants="copy", language="fr", received_on=house.clock().date(),
        by_kind="operator", by=None, **said,
    )  # fmt: skip


def _let_in(house: Bakery, user: UserRow) -> None:
    """A session that was closed, a token that was revoked, and somebody who gets the checkpoints."""
    said = {"now": house.clock(), "entropy": house.entropy}
    until = house.clock() + timedelta(hours=8)
    session = users.open_session(user, token_sha256="cd" * 32, until=until, **said)
    users.end_session(user, session.id, **said)
    token = api_tokens.create(
        house.tenant, name="desk", token_sha256="ef" * 32, **said, signer=house.means.signer
    )
    assert api_tokens.revoke(house.tenant, token.id, **said)
    mail_witness.add(house.tenant, "claire@example.com", **said)
