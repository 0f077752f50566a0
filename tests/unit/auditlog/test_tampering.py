"""An audit finds every tampering with the catalogue or the bucket, and every restored old copy of one."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.audit.findings import NOT_CHECKED
from recorder.audit.service import Audit
from recorder.auditlog import signed_note
from recorder.auditlog.append import append
from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.records import KeepOptions
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable, SubtreeTable
from recorder.catalogue.tables.dispute import DisputeTable
from recorder.catalogue.tables.grant import ListenTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.listed_call import ListedCallTable
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.features.tenants import composition
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.transfer_options import NoticeChoice
from recorder.identity import users
from recorder.lifecycle import line_history, recordings, search_index
from tests.unit.auditlog.column_coverage import COMPARED

from . import (
    tampered_bucket,
    tampered_erasures,
    tampered_later,
    tampered_log,
    tampered_mailed,
    tampered_rows,
    tampered_settings,
)
from .conftest import World, make_world
from .tampering import TAMPERINGS, object_of

assert all((tampered_bucket, tampered_erasures, tampered_later, tampered_log, tampered_mailed, tampered_rows,
            tampered_settings))  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found(world: World, name: str) -> None:
    change, code, where = TAMPERINGS[name]
    found = world.audit(**(change(world) or {}))
    assert [each for each in found if each.code.startswith(code) and where in each.where], [
        (each.code, each.where, each.message) for each in found
    ]
    assert all(each.hint for each in found)


def test_cached_subtree_hashes_are_compared(house, monkeypatch) -> None:
    for name in ("merkle.WIDTH", "auditlog.tree_cache.WIDTH"):
        monkeypatch.setattr(f"recorder.{name}", 4)
    for name in ("merkle.HEIGHT", "auditlog.tree_cache.HEIGHT", "audit.leaves.HEIGHT"):
        monkeypatch.setattr(f"recorder.{name}", 2)
    world = make_world(house)
    assert world.audit() == []
    with connected():
        assert SubtreeTable.select().where(SubtreeTable.level == 2).count() >= 1
    with writing():
        mine = (SubtreeTable.level == 1) & (SubtreeTable.number == 1)
        assert SubtreeTable.update(hash="00" * 32).where(mine).execute() == 1
    (found,) = world.audit()
    assert (found.code, found.where) == ("subtree.changed", f"{world.tenant}: leaves 4 to 7")


def test_ordinary_changes_cause_no_findings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting is changed and changed back, in several languages; rows are compared two at a time."""
    monkeypatch.setattr("recorder.audit.rows.PAGE", 2)
    house, time_and_entropy = world.house, {"now": world.house.clock(), "entropy": world.house.entropy}
    line, tenant = house.line.id, house.tenant
    change_line(tenant, line, LineChange(timing="before_ringing"), **time_and_entropy)
    announcement = composition.compose(
        tenant,
        name="asking",
        language="fr",
        mode="opt-out",
        purposes=["agreement"],
        keep_days=30,
        **time_and_entropy,
    )
    assert change_line(tenant, line, LineChange(announcements=[announcement.id]), **time_and_entropy)
    for languages in (["fr", "en"], ["fr"]):
        assert change_line(tenant, line, LineChange(languages=languages), **time_and_entropy)
        assert world.audit(recordings=False) == []
    for keep in (KeepOptions(keep_days=30), None):
        assert change_line(tenant, line, LineChange(keep=keep), **time_and_entropy)
        assert world.audit(recordings=False) == []
    for on in (True, False):
        assert change_line(tenant, line, LineChange(deletable=on), **time_and_entropy)
        assert change_line(
            tenant, line, LineChange(notice=NoticeChoice("alone") if on else None), **time_and_entropy
        )
        assert change_line(tenant, line, LineChange(beep="both" if on else ""), **time_and_entropy)
        assert world.audit(recordings=False) == []
    assert change_line(tenant, line, LineChange(outbound="before_connected"), **time_and_entropy)
    assert change_line(tenant, line, LineChange(mode="opt-in"), **time_and_entropy)
    second = house.add_line(tenant, "+3225550177", announcement.id)
    assert line_history.end_line(tenant, second.id, **time_and_entropy)
    assert users.set_password(
        tenant, world.user, "$argon2id$other", signer=house.services.signer, **time_and_entropy
    )
    person = users.user(tenant, world.user)
    assert person is not None
    until = house.clock() + timedelta(hours=1)
    session = users.open_session(person, token_sha256="ab" * 32, until=until, **time_and_entropy)
    users.end_session(person, session.id, **time_and_entropy)
    users.end_session(person, session.id, **time_and_entropy)
    assert users.revoke_user(tenant, world.user, **time_and_entropy, last_admin=True)
    recordings.note_quarantine_erasure(NotRecordedTable.select().first().id, **time_and_entropy)
    assert world.audit() == []
    kinds = {each.kind for each in LeafTable.select(LeafTable.kind)}
    assert {"session.closed", "quarantine.erased", "line.ended", "line.changed"} <= kinds
    assert LeafTable.select().where(LeafTable.kind == "session.closed").count() == 2
    changed = json.loads(world.leaf("line.changed", -1).body)
    assert (changed["mode_was"], changed["mode"]) == ("opt-out", "opt-in")


def damage_everything(world: World) -> None:
    """Values at which an audit could stop, in rows of different steps; and one ordinary change."""
    first = {"request": "r", "recording": world.live_recording, "actor": ""}
    reviewed = {"request": "r", "recording": world.live_recording, "actor": "", "given": "both", "reason": ""}
    when = (world.house.clock(), world.house.entropy)
    with writing():
        for kind, body in (("heard", first), ("reviewed", reviewed)):
            kind = f"subject_request.recording_{kind}"
            append(world.tenant, kind, body, *when, recording=world.live_recording)
        mine = LeafTable.kind == "subject_request.recording_heard"
        LeafTable.update(body=None, salt=None).where(mine).execute()
        DisputeTable.create(
            id=world.live_recording, tenant_id=world.tenant, opened_at=when[0], settle_by="2026-03-09",
            copied_beside=world.live_recording,
        )  # fmt: skip
        SubtreeTable.create(id="x", tenant_id=world.tenant, level=2**31 - 1, number=0, hash="00" * 32)
        LineTable.update(timing="before_ringing").execute()


def test_calls_that_are_missing_in_the_list_are_found(world: World) -> None:
    with writing():
        ListedCallTable.delete().execute()
    missing = {(each.code, each.message) for each in world.audit(recordings=False)}
    assert missing == {("index.differs", "it is not listed")}
    search_index.rebuild()
    assert world.audit(recordings=False) == []
    with writing():
        ListedCallTable.update(id="made-up").where(ListedCallTable.recorded == 1).execute()
    assert {each.message for each in world.audit(recordings=False)} == {
        "it is not listed", "it is listed, but there is no such call",
    }  # fmt: skip


def test_nothing_stops_an_audit(world: World) -> None:
    damage_everything(world)
    found = {(each.code, each.where.split(": ", 1)[-1].split(" ")[0]) for each in world.audit(deep=True)}
    assert {
        ("body.missing", "leaf"), ("row.unlogged", "dispute"), ("subtree.changed", "level"),
        ("row.changed", "line"),
    } <= found  # fmt: skip
    assert not {each for each in found if each[0] == NOT_CHECKED}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE tenant SET log_size = 'x'", "UPDATE tenant SET created_at = 'x'",
        "UPDATE tenant SET languages = 'x'", "UPDATE log_subtree SET level = 'x'",
        "UPDATE log_checkpoint SET number = 'x' WHERE number = 2", "UPDATE recording SET wrapped_key = 'x'",
        "UPDATE log_leaf SET number = 9223372036854775807 WHERE number = 3",
        "UPDATE amendment SET data = '{\"x\":1}'", "UPDATE sound SET wav = 1",
    ],
)  # fmt: skip
def test_a_value_that_accord_never_writes_hides_nothing_else(
    world: World, catalogue_kind: str, sql: str
) -> None:
    if catalogue_kind != "sqlite":
        pytest.skip("PostgreSQL takes no such value")
    with writing():
        LineTable.update(timing="before_ringing").execute()
        ListenTable.update(sent_bytes=1).execute()
        database.execute_sql(sql)
    object_of(world, "audio.opus").unlink()
    found = world.audit()
    assert {"object.missing", "row.changed"} <= {each.code for each in found}, found
    assert len({each.where for each in found}) > 2


def test_a_step_that_fails_is_a_finding_and_hides_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr("recorder.audit.service.compare_credentials", fail)
    object_of(world, "audio.opus").unlink()
    found = {(each.code, each.where) for each in world.audit()}
    assert (NOT_CHECKED, f"{world.tenant}: credentials") in found
    assert "object.missing" in {code for code, _ in found}


def test_leaf_number_that_is_not_a_number_is_found(world: World, catalogue_kind: str) -> None:
    if catalogue_kind != "sqlite":
        pytest.skip("PostgreSQL takes nothing but numbers there")
    with writing():
        database.execute_sql("UPDATE log_leaf SET number = 'x' WHERE number = 3")
    found = {(each.code, each.message) for each in world.audit(recordings=False)}
    assert ("leaf.changed", "a leaf has the number 'x'") in found
    assert ("leaf.missing", "leaf 3 was deleted") in found


def test_lost_customer_is_found(world: World) -> None:
    means = world.house.services
    audit = Audit(means.store, means.root, world.house.clock())
    assert list(audit.lost_logs({world.tenant})) == []
    (found,) = audit.lost_logs({"01930000-0000-7000-8000-00000000000b"})
    assert (found.code, found.where) == ("log.missing", f"checkpoints/{world.tenant}/0000000001.note")


def test_checkpoints_after_a_revocation_are_found(world: World) -> None:
    head = signed_note.read(world.note(2).read_bytes()).head
    found = world.audit(revoked={head.key: head.at})
    assert [(each.code, each.where[-1]) for each in found if each.code.startswith("checkpoint")] == [
        ("checkpoint.key_revoked", "2"),
        ("checkpoint.key_revoked", "3"),
    ]


def test_witness_signature_changes_no_checkpoint(world: World) -> None:
    """C2SP: readers ignore signatures by unknown keys."""
    witness = Ed25519PrivateKey.generate()
    name = "witness.example/1"
    lines = {}
    for number in (1, 2, 3):
        text = world.note(number).read_text()
        head = signed_note.read(text.encode()).head
        signature = signed_note.key_hash(name, witness.public_key()) + witness.sign(head.text().encode())
        lines[number] = f"{text}\u2014 {name} {base64.b64encode(signature).decode()}\n"
    world.note(2).write_text(lines[2])
    assert world.audit() == []
    with writing():
        CheckpointTable.update(note=lines[3]).where(CheckpointTable.number == 3).execute()
    assert world.audit() == []
    note = signed_note.read(lines[1].encode())
    assert world.audit(external_notes=[note]) == []
    world.happen()
    assert world.sign() == 1
    assert world.audit() == [], "the next one follows the checkpoint, not its bytes"


def test_number_of_tamperings() -> None:
    """Those that are registered, and the generated ones: each column, deletion and forged row."""
    generated = sum(len(columns) for columns in COMPARED.values()) + 2 * len(COMPARED) - 6
    assert len(TAMPERINGS) >= 220
    assert generated >= 240
    assert len(TAMPERINGS) + generated >= 460
