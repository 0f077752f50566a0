"""A model-based test of retention: recordings are sealed for random purposes, in random countries, held,
withdrawn, deleted and limited, while a panel's clock differs slightly from the worker's. After each day the
gate plays what the model (``tests/retention_model.py``) allows, and the worker erases what the model says is
over, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from peewee import SqliteDatabase

from recorder.catalogue import queries
from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import RetentionError
from recorder.features.tenants import announcements, lines
from recorder.identity import tenants, users
from recorder.ids import uuid7
from recorder.lifecycle import expiry, limit_application
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.amendment_store import chain_of
from recorder.playback.interface import Actor
from recorder.processes.gate import PanelGate
from recorder.prompts.country_file import shipped_packs
from recorder.seal.amendment import By
from recorder.seal.usage_terms import RetentionLimit
from tests.amendments import amend
from tests.announcements import announcement_in
from tests.example_count import share
from tests.house import Bakery
from tests.retention_model import ModelledRecording
from tests.stored_recordings import put_small

OPERATOR = By("operator")
CODES = ("agreement", "quality", "training", "legal-duty")
ROLES = ("customer_admin", "customer", "auditor")
ANSWERS = {"notice": None, "opt-in": "yes", "opt-out": "none"}
some_codes = st.lists(st.sampled_from(CODES), min_size=1, max_size=3, unique=True)
statement_lists = st.one_of(
    st.tuples(st.just("withdraw"), st.fixed_dictionaries({"purposes": some_codes})),
    st.tuples(st.just("narrow"), st.fixed_dictionaries({"purposes": some_codes})),
    st.tuples(
        st.just("agree"),
        st.fixed_dictionaries({"purpose": st.sampled_from(CODES), "keep_days": st.integers(1, 200)}),
    ),
    st.tuples(
        st.just("hold"),
        st.fixed_dictionaries({
            "purposes": st.sampled_from([["agreement"], ["legal-duty"], ["agreement", "legal-duty"]]),
            "roles": st.sampled_from([["customer_admin"], ["customer"], ["customer_admin", "auditor"]]),
        }),
    ),
    st.tuples(st.just("lift"), st.fixed_dictionaries({"hold": st.integers(1, 4)})),
    st.tuples(st.just("delete"), st.fixed_dictionaries({})),
    st.tuples(
        st.just("limit"),
        st.fixed_dictionaries({
            "purpose": st.none() | st.sampled_from(CODES),
            "here": st.booleans(),
            "keep_days": st.none() | st.integers(1, 60),
            "covers_consents": st.booleans(),
        }),
    ),
    st.tuples(st.just("nothing"), st.fixed_dictionaries({})),
)  # fmt: skip
when = st.one_of(
    st.integers(0, 48).map(lambda hours: timedelta(hours=hours)),
    st.integers(1, 40).map(lambda days: timedelta(days=days)),
    st.sampled_from(["at its end", "just before its end"]),
)
lives = st.fixed_dictionaries({
    "kind": st.sampled_from(["announced", "announced", "announced", "imported", "not_announced"]),
    "codes": some_codes,
    "keep_days": st.integers(5, 60),
    "mode": st.sampled_from(sorted(ANSWERS)),
    "country": st.sampled_from(sorted(shipped_packs())),
    "days": st.lists(
        st.tuples(when, statement_lists, st.sampled_from([0, 0, -3, 3]), st.sampled_from(ROLES)),
        min_size=3, max_size=10,
    ),
})  # fmt: skip


@dataclass
class LivingRecording:
    """One recording of a customer of its own, and the model's knowledge of it."""

    house: Bakery
    sealed: dict[str, Any]
    life: ModelledRecording = field(init=False)

    def __post_init__(self) -> None:
        house = self.house
        tenant = str(uuid7(house.clock(), house.entropy))
        more = {"now": house.clock(), "entropy": house.entropy}
        key = house.services.keyring.new_tenant_key(tenant, house.entropy).to_bytes().decode()
        tenants.create_tenant(tenant, name=tenant, wrapped_key=key, **more)
        announcement = announcements.create_announcement(
            tenant, name="default", language="fr", text="…", purposes=["agreement"], keep_days=30,
            wav=house.services.store.read("sound"), **more,
        )  # fmt: skip
        line = lines.create_line(
            tenant,
            number="+32255" + str(int(house.entropy(4).hex(), 16)),
            announcement=announcement.id,
            **more,
        )
        with writing():
            TenantTable.update(country=self.sealed["country"]).where(TenantTable.id == tenant).execute()
        pack = shipped_packs()[self.sealed["country"]]
        self.longest_days = {code: pack.rule(code).longest_keep_days for code in CODES}
        self.people: dict[str, Actor] = {}
        self.house = house.replaced(tenant=tenant, line=line)
        self._seal()

    def _seal(self) -> None:
        house, sealed, kind = self.house, self.sealed, self.sealed["kind"]
        keep = timedelta(days=sealed["keep_days"])
        announcement = replace(
            house.announcement, purposes=tuple(sealed["codes"]), keep_days=sealed["keep_days"]
        )
        start_time = house.clock()
        start: dict[str, Any] = {"announcement": announcement, "mode": sealed["mode"]}
        if kind == "imported":
            start = {"announcement": None, "channel": "5a" * 32, "import_keep_until": start_time + keep}
        answer = ANSWERS[start.get("mode", "notice")]
        self.id = put_small(house, announced=kind == "announced", answer=answer, **start)
        until = {
            "announced": house.clock() + keep,
            "imported": start_time + keep,
            "not_announced": house.clock() + timedelta(days=30),
        }
        self.life = ModelledRecording(
            kind,
            tuple(sealed["codes"]) if kind == "announced" else (),
            until[kind],
            start_time + timedelta(seconds=60) if kind == "imported" else house.clock(),
            start_time,
            house.line.id,
            start.get("mode", "notice"),
        )

    def somebody(self, role: str) -> Actor:
        """A person of the customer's."""
        if role not in self.people:
            tenant, more = self.house.tenant, {"now": self.house.clock(), "entropy": self.house.entropy}
            options = {"login": f"{role}@{tenant}", "name": "…", "role": role, "language": "fr"}
            user = users.create_user(tenant, password_hash="…", **options, **more)
            self.people[role] = Actor(user.id, tenant, role, "fr")
        return self.people[role]

    def say(self, what: str, words: dict[str, Any], now: datetime) -> None:
        """Whatever somebody wants at a time; what may not be said is refused, and changes nothing."""
        if what == "limit":
            return self._limit(words, now)
        services, house = self.house.services, self.house
        changes = Changes(services.store, services.root, services.signer, lambda: now, house.entropy)
        if what == "hold":
            words = {**words, "owner": "ada", "review_at": now + timedelta(days=30)}
        if what != "nothing":
            with suppress(RetentionError):
                amend(getattr(changes, what), house.tenant, self.id, OPERATOR, reason="…", **words)
        row = queries.recording(house.tenant, self.id)
        signed = chain_of(services.store, row.prefix, services.root).amendments
        for each in signed[len(self.life.statements) :]:
            assert each.at == now
            self.life = replace(self.life, statements=(*self.life.statements, (now, each.data)))

    def _limit(self, words: dict[str, Any], now: datetime) -> None:
        house, purpose, days = self.house, words["purpose"], words["keep_days"]
        line = house.line.id if words["here"] else None
        if days is not None and purpose is not None:
            days = min(days, self.longest_days[purpose])  # more its country does not allow
        covers_consents = words["covers_consents"]
        house.limit(days, purpose=purpose, line=line, covers_consents=covers_consents, now=now)
        ended = tuple(
            replace(each, until=now)
            if each.until is None and (each.purpose, each.line) == (purpose, line)
            else each
            for each in self.life.limits
        )
        added = (
            ()
            if days is None
            else (RetentionLimit(days, purpose, line, now, covers_consents=covers_consents),)
        )
        self.life = replace(self.life, limits=ended + added)


@connected()
def live(house: Bakery, sealed: dict[str, Any]) -> None:
    """Runs a recording's days, on one connection that waits for no disk."""
    if isinstance(database.obj, SqliteDatabase):
        database.execute_sql("PRAGMA synchronous = OFF")
    erased_at = house.clock()
    recording, means = LivingRecording(house, sealed), house.services
    services = means
    gate = PanelGate(means.store, means.keyring, means.root, now=house.clock, entropy=house.entropy)
    house.clock.forward(minutes=5)
    for wait, (what, words), behind, role in sealed["days"]:
        end = recording.life.over()[0]
        if isinstance(wait, timedelta):
            house.clock.at += wait
        elif end - timedelta(milliseconds=1) > house.clock():
            house.clock.at = end if wait == "at its end" else end - timedelta(milliseconds=1)
        now = house.clock()
        recording.say(what, words, now + timedelta(minutes=behind))
        limit_application.apply_limits(means.store, means.root, now)
        life = recording.life
        choices = {each.code: each.allowed for each in gate.purposes(recording.somebody(role), recording.id)}
        assert choices == {
            code: life.may_be_heard(code, role, now, recording.longest_days) for code in life.known
        }, (
            life,
            now,
        )
        assert expiry.destroy_due(services, now) == life.due(now), (life, now)
        row = queries.recording(recording.house.tenant, recording.id)
        if life.due(now):
            assert row.erased_at == now
            assert row.erasure_reason in life.over()[1]
            assert not [key for key in means.store.list("") if recording.id in key and "/keys/" in key]
            break
        assert row.erased_at is None
        house.clock.forward(minutes=5)
    with writing():  # the next one lives in an empty house
        RecordingTable.update(erased_at=erased_at).where(RecordingTable.erased_at.is_null()).execute()
    house.clock.at = erased_at


@pytest.fixture
def empty(house) -> Bakery:
    """A house with a sound at hand."""
    house.bucket.mkdir(exist_ok=True)
    (house.bucket / "sound").write_bytes(announcement_in("fr").path.read_bytes())
    return house


RELAXED = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
    "phases": (Phase.explicit, Phase.reuse, Phase.generate),  # making one smaller would take minutes
}


@settings(max_examples=25, **RELAXED)
@given(sealed=lives)
def test_code_agrees_with_the_model(empty, sealed) -> None:
    live(empty, sealed)


@pytest.mark.long
@pytest.mark.timeout(3000)
@settings(max_examples=share(2000), **RELAXED)
@given(sealed=lives)
def test_code_agrees_with_the_model_thousands_of_times(empty, sealed) -> None:
    live(empty, sealed)
