"""What the bucket does not hold is backed up and restored: every row of every table, or nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest

from recorder.auditlog import checkpoint
from recorder.auditlog.complete_log import signed_length
from recorder.catalogue import queries
from recorder.catalogue.change_counter import increment
from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.records import KeepOptions
from recorder.catalogue.tables.announcement import PurposeTable, SoundTable
from recorder.catalogue.tables.audit_log import LeafTable, RecipientTable
from recorder.catalogue.tables.change_counter import ChangeCounterTable
from recorder.catalogue.tables.identity import InvitationTable, SessionTable
from recorder.catalogue.tables.notification import NotificationChoiceTable, NotificationTable
from recorder.catalogue.tables.offboarding import HandedRecordingTable, HandoverFetchTable, OffboardingTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.saved_filter import SavedFilterTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tables.usage import UsageTable
from recorder.domain import line_policy
from recorder.errors import BackupError
from recorder.features.branding.service import save_branding
from recorder.features.contacts import service as contacts
from recorder.features.disputes.dial_in import DialIn
from recorder.features.disputes.invitations import GuestInvitations
from recorder.features.disputes.service import Disputes
from recorder.features.notes import service as notes
from recorder.features.own_call import codes as own_calls
from recorder.features.own_call.tenant_rule import change_rule
from recorder.features.recovery import backup, dump
from recorder.features.subject_requests import call_erasure, reviews, service
from recorder.features.team import extensions
from recorder.features.team.invitations import Invitations
from recorder.features.tenants import composition, snapshot
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.transfer_options import NoticeChoice
from recorder.identity import api_tokens, download_permission, tenants, users
from recorder.lifecycle import hold_review, limits, recordings
from recorder.mail.outbox import Outbox
from recorder.playback import grants
from recorder.playback.interface import Actor
from recorder.prompts.composer import Greeting
from recorder.seal import call_erasure as call_notes
from recorder.seal.amendment import By
from recorder.seal.branding import Branding
from recorder.seal.keyring import Keyring, make_secret
from recorder.spool.snapshot import read_snapshot
from recorder.verification_calls.policy import CallPolicy
from tests.announcements import announcement_in
from tests.conftest import KINDS
from tests.expected_errors import expect_error
from tests.house import Bakery
from tests.identity_proof import vouch

from .conftest import catalogued, rows


@pytest.fixture
def full(house: Bakery, recorded) -> Bakery:
    """An installation in which every copied table has rows."""
    time_and_entropy = {"now": house.clock(), "entropy": house.entropy}
    user = house.user(house.tenant, "claire@example.com", "customer_admin")
    with connected():
        PurposeTable.create(
            id="0198c0de-0000-7000-8000-0000000000cc", tenant=house.tenant, code="school",
            labels={"fr": "École"}, legal_basis="consent", longest_days=10, roles=["customer"],
            created_at=house.clock(),
        )  # fmt: skip
    prompt_options = {"language": "fr", "mode": "opt-in", "purposes": ["agreement"], "keep_days": 30}
    greeting = Greeting("Bonjour.", announcement_in("fr").path.read_bytes())
    announcement = composition.compose(
        house.tenant, name="asking", greeting=greeting, **prompt_options, **time_and_entropy
    )
    line = house.add_line(house.tenant, "+3225550109", announcement.id)
    change_line(house.tenant, line.id, LineChange(languages=["fr", "en"]), **time_and_entropy)
    change_line(house.tenant, line.id, LineChange(keep=KeepOptions(keep_days=365)), **time_and_entropy)
    change_line(house.tenant, line.id, LineChange(deletable=True), **time_and_entropy)
    change_line(house.tenant, line.id, LineChange(notice=NoticeChoice("alone")), **time_and_entropy)
    house.limit(3000, purpose="agreement")
    recording = recorded()
    house.work(house.unrecorded())
    until = house.clock() + timedelta(hours=8)
    session = users.open_session(
        user, token_sha256="ab" * 32, now=house.clock(), until=until, entropy=house.entropy
    )
    row = queries.recording(house.tenant, recording)
    grant = grants.create_grant(grants.PermittedUse(
        tenant=house.tenant, user=user.id, session=session.id, recording=recording, purpose="agreement",
        manifest_sha256=row.manifest_sha256, until=house.clock() + timedelta(minutes=15)), **time_and_entropy,
    )  # fmt: skip
    grants.count_sent(grant, "play", "audio.opus", 100, **time_and_entropy)
    contacts.write_names(house.tenant, user.id, {"+32470000011": "Jan Peeters"}, **time_and_entropy)
    extensions.set_extensions(house.tenant, user.id, ["2001"], by=By("operator"), **time_and_entropy)
    notes.add_note(house.tenant, recording, user.id, text="Call back", at_ms=None, **time_and_entropy)
    change_rule(house.tenant, on=True, days=14, names=False, by=By("user", user.id), **time_and_entropy)
    facts = house.gate.facts(Actor(user.id, user.tenant, user.role, user.language), recording)
    own_calls.give_code(
        facts, By("user", user.id), key=b"s" * 32, policy=CallPolicy(), signer=house.changes.signer,
        **time_and_entropy,
    )  # fmt: skip
    disputes = Disputes(house.changes)
    day = (house.clock() + timedelta(days=9)).date()
    dispute = disputes.open(user, [recording], subject="The price", settle_by=day)
    dial_in = DialIn("+3225550199", house.keyring, house.trust)
    GuestInvitations(disputes, Outbox(), dial_in).invite(
        user, dispute.id, name="Jan", language="nl", address=None
    )
    disputes.close(user, dispute.id)
    api_tokens.create(
        house.tenant, name="till", token_sha256="cd" * 32, signer=house.services.signer, **time_and_entropy
    )
    app = house.factors.new_app_key(user)
    assert house.factors.add_app(user, app, pyotp.TOTP(house.factors.secret(user, app)).at(house.clock()))
    admin = house.factors
    boss = house.user(house.tenant, "boss", "customer_admin")
    admin.require_second_factor(boss, True)
    admin.request_reset(user, boss)
    signing = {"signer": house.services.signer, "trust": house.trust, **time_and_entropy}
    download_permission.set_permission(house.tenant, user.id, True, By("operator"), **signing)
    branding = Branding(house.tenant, 1, user.id, name="Telvoip", logo=b"a logo")
    save_branding(branding, signer=house.services.signer, **time_and_entropy)
    Invitations(house.services.signer, house.trust, Outbox(), house.clock, house.entropy).invite(
        house.tenant, address="eva@example.com", name="Eva", role="customer", lines=None, language="fr",
        by=By("operator"),
    )  # fmt: skip
    means = house.services
    signing = replace(means, checkpoints_seen={})
    assert checkpoint.sign_due(signing, house.clock()) == 1
    with connected():
        RecipientTable.create(
            id="r", tenant_id=house.tenant, address="claire@example.com", since=house.clock()
        )
        at = house.clock()
        OffboardingTable.create(
            tenant_id="another", announced_at=at, until=at, layout={"at": 1024, "papers": []}
        )
        HandedRecordingTable.create(
            id="h/0", tenant_id="another", number=0, recording_id=recording, row_length=80, at=1024, length=0,
            files=[["manifest.json", 900]],
        )  # fmt: skip
        HandoverFetchTable.create(id="h/u", tenant_id="another", leaf=0)
        InvitationTable.create(
            id="i", tenant_id=house.tenant, address="luc@example.com", name="Luc", role="customer",
            language="fr", token_sha256="ef" * 32, created_at=house.clock(), until=until,
        )  # fmt: skip
        SavedFilterTable.create(
            id="f", tenant_id=house.tenant, user=user.id, name="Refused", arguments={"agreement": "refused"},
            created_at=at,
        )  # fmt: skip
        NotificationTable.create(
            id="n", tenant=house.tenant, kind="not_recorded", cause="daemon_away", key="daemon_away/l",
            line_id="l", data={}, since=at, changed_at=at,
        )  # fmt: skip
        NotificationChoiceTable.create(
            id=user.id, tenant_id=house.tenant, choices={"review": "page"},
            read_markers={"n": ["2026-11-25T09:00:00.000Z", True]},
        )  # fmt: skip
        UsageTable.create(
            id="u", tenant=house.tenant, day="2026-11-24", part=1, time_zone="Europe/Brussels",
            lines=[["l", "+3225550100", 1, 1000, 10]], calls=1, duration_ms=1000, bytes=10, until=at,
            through=1, counted_at=at,
        )  # fmt: skip
    number = row.external_party.value
    request = service.enter(
        house.tenant, number=number, wants="copy", language="fr", received_on=house.clock().date(),
        by_kind="operator", by=None, **time_and_entropy,
    )  # fmt: skip
    vouch(house.tenant, request.id, signer=house.services.signer, **time_and_entropy)
    decision = {"decision": "own", "why": "", "who": user.id, **time_and_entropy}
    reviews.decide(house.tenant, request.id, recording, **decision)
    signed = (house.clock(), house.services.signer, house.services.root)
    record = call_notes.put(
        house.services.store, "n", house.tenant, request.id, ["a call of before"], *signed
    )
    length = signed_length(house.tenant, house.services.store, house.services.root)
    call_erasure.drop_calls("n", record, length, who=user.id, **time_and_entropy)
    assert [model.__name__ for model in dump.TABLES if not rows(model)] == []
    return house


@pytest.fixture
def file(full: Bakery) -> Path:
    path = full.folder / "accord.backup"
    backup.write(path, full.services.keyring, full.clock(), full.entropy, lambda _table, _rows: None)
    return path


def bring_back(house: Bakery, path: Path, **changes) -> None:
    keyring = changes.get("keyring", house.services.keyring)
    backup.restore(path, keyring, house.clock(), house.entropy, lambda _table, _rows: None)


def everything() -> dict[str, list]:
    return {model._meta.table_name: rows(model) for model in dump.TABLES}


@pytest.mark.postgresql
def test_restores_every_row(full: Bakery, file: Path, recovery) -> None:
    before, sealed = everything(), catalogued()
    with recovery.empty_catalogue():
        bring_back(full, file)
        after = everything()
        fresh = sorted(after["log_leaf"], key=lambda leaf: leaf["number"])[len(before["log_leaf"]) :]
        assert [leaf["kind"] for leaf in fresh] == ["catalogue.restored", "holds.unconfirmed"]
        for leaf in fresh:
            after["log_leaf"].remove(leaf)
        (tenant,) = after["tenant"]
        assert tenant["log_size"] == len(before["log_leaf"]) + 2
        tenant["log_size"] -= 2
        (session,) = before["session"]
        session["ended_at"] = full.clock()
        for recording in before["recording"]:
            recording.update(dict.fromkeys(dump.OMITTED[RecordingTable]))
        assert after == before
        assert recovery.rebuild().outcomes == {"completed": 1}
        assert catalogued() == sealed


def test_restores_a_line_with_several_languages(full: Bakery, file: Path, recovery) -> None:
    def read_line() -> line_policy.LinePolicy | None:
        folder = full.folder / "nodes"
        snapshot.write(folder, full.folder / "spool", [], full.clock())
        assert snapshot.is_intact(folder)
        return read_snapshot(folder).line("+3225550109")

    before = read_line()
    assert before.consent_prompt is not None
    assert [one.announcement.language for one in before.languages] == ["fr", "en"]
    for prompt in (full.folder / "nodes" / "prompts").iterdir():
        prompt.unlink()
    with recovery.empty_catalogue():
        bring_back(full, file)
        assert read_line() == before


@pytest.mark.parametrize("catalogue_kind", KINDS)
def test_restores_across_databases(full: Bakery, file: Path, recovery, catalogue_kind, request) -> None:
    request.getfixturevalue("postgres")
    before, sealed = everything(), catalogued()
    with recovery.empty_catalogue("sqlite" if catalogue_kind == "postgresql" else "postgresql"):
        bring_back(full, file)
        after = everything()
        for table in set(before) - {"log_leaf", "tenant", "session", "recording"}:
            assert after[table] == before[table], table
        log = {leaf["id"]: leaf for leaf in after["log_leaf"]}
        assert all(log[leaf["id"]] == leaf for leaf in before["log_leaf"])
        assert recovery.rebuild().outcomes == {"completed": 1}
        assert catalogued() == sealed
        path = file.with_suffix(".again")
        backup.write(path, full.services.keyring, full.clock(), full.entropy, lambda _table, _rows: None)
        assert backup.check(path, full.services.keyring)["listen"] == 1


def test_a_restore_ends_sessions_and_suspends_expiry(full: Bakery, file: Path, recovery) -> None:
    with recovery.empty_catalogue():
        bring_back(full, file)
        (session,) = rows(SessionTable)
        assert session["ended_at"] is not None
        full.clock.forward(days=40)
        assert recovery.destroy_due() == 0
        assert hold_review.holds_unconfirmed() is not None


def test_contains_no_recording_keys_and_no_parties(full: Bakery, file: Path) -> None:
    (row,) = rows(RecordingTable)
    key = json.loads(row["wrapped_key"])["wrapped"]
    text = ""
    for _table, _names, values in backup.read_tables(file, full.services.keyring):
        text += json.dumps(list(values))
    assert "Boulangerie Martin" in text
    assert key not in text
    assert '"1001"' not in text, "whom the call was put through to"
    assert b"Boulangerie" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_old_backup_restores_nothing_that_was_erased(full: Bakery, file: Path, recovery) -> None:
    (row,) = rows(RecordingTable)
    full.clock.forward(days=31)
    assert recovery.destroy_due() == 1
    sealed = catalogued()
    with recovery.empty_catalogue():
        bring_back(full, file)
        assert any(leaf["body"] for leaf in rows(LeafTable) if leaf["recording_id"] == row["id"])
        assert recovery.rebuild().outcomes == {"erased": 1}
        assert catalogued() == sealed
        left = queries.recording(full.tenant, row["id"])
        assert (left.erasure_reason, left.external_party, left.wrapped_key) == ("expired", None, None)
        leaves = [leaf for leaf in rows(LeafTable) if leaf["recording_id"] == row["id"]]
        assert {(leaf["body"], leaf["salt"]) for leaf in leaves} == {(None, None)}
        full.confirm_holds()
        assert recordings.due(full.clock()) == ()


def test_a_rebuild_adds_recordings_newer_than_the_backup(
    full: Bakery, file: Path, recovery, recorded
) -> None:
    later = recorded()
    sealed = catalogued()
    with recovery.empty_catalogue():
        bring_back(full, file)
        assert recovery.rebuild().outcomes == {"completed": 1, "made": 1}
        assert catalogued() == sealed
        assert queries.recording(full.tenant, later).external_party is not None


def test_every_customers_log_names_the_backup_and_its_key(full: Bakery, file: Path, recovery) -> None:
    """In the backup itself, too: whoever restores it sees that there was one, and under which key."""

    def logged() -> dict[str, dict]:
        backed_up = LeafTable.select().where(LeafTable.kind == dump.BACKED_UP)
        return {leaf.tenant_id: json.loads(leaf.body) for leaf in backed_up}

    _, kek = full.services.keyring.backup_key()
    with connected():
        everybody = {row.id: {"kek": kek} for row in TenantTable.select()}
        assert logged() == everybody
    with recovery.empty_catalogue():
        bring_back(full, file)
        assert dump.last_backup() == full.clock()
        with connected():
            assert logged() == everybody


@pytest.mark.postgresql
def test_refuses_a_catalogue_with_rows(full: Bakery, file: Path) -> None:
    before = everything()
    with expect_error(BackupError, "backup.not_empty") as failure:
        bring_back(full, file)
    assert "accord migrate" in failure.value.hint
    assert everything() == before


def test_restores_into_a_catalogue_that_has_counted_changes(full: Bakery, file: Path, recovery) -> None:
    """A new catalogue has no customers, but it may count already."""
    before = rows(ChangeCounterTable)
    with recovery.empty_catalogue():
        with writing():
            for counter in before:
                increment(counter["name"])
        bring_back(full, file)
        assert rows(ChangeCounterTable) == before


def test_last_backup_is_the_newest_by_the_log(house: Bakery) -> None:
    assert dump.last_backup() is None
    for _ in range(2):
        house.clock.forward(hours=1)
        at = house.clock()
        dump.note_backup(at, "a key", house.entropy)
    house.clock.forward(hours=1)
    house.limit(3000, purpose="agreement")
    assert dump.last_backup() == at


def test_a_session_keeps_its_end(full: Bakery) -> None:
    with writing():
        assert SessionTable.update(ended_at=full.clock()).execute() == 1
    with connected():
        before = list(dump.rows(SessionTable, full.clock()))
        assert list(dump.rows(SessionTable, full.clock() + timedelta(hours=1))) == before


def make_sounds(house: Bakery, count: int) -> None:
    """Sounds of six bytes, which are eight characters in a backup."""
    with writing():
        for number in range(count):
            SoundTable.create(sha256=f"{number:064x}", wav=bytes(6), duration_ms=1, created_at=house.clock())


def test_few_sounds_are_in_memory_at_once(house: Bakery, recovery) -> None:
    """Rows that are deleted once the first one was read are those that were read with it."""
    with recovery.empty_catalogue():
        make_sounds(house, 6)
        for number in range(6):
            when = {"now": house.clock(), "entropy": house.entropy}
            tenants.create_tenant(str(number), name=f"Martin {number}", wrapped_key="{}", **when)
        for model, together in ((SoundTable, 4), (LeafTable, 6)):
            assert len(rows(model)) == 6
            with connected():
                values = dump.rows(model, house.clock())
                next(values)
            with writing():
                model.delete().execute()
            with connected():
                assert 1 + len(list(values)) == together


@pytest.mark.parametrize(
    ("page", "page_bytes", "inserted"),
    [
        (2, 1000, [0, 0, 2, 2, 4]),
        (100, 9, [0, 0, 2, 2, 4]),
        (100, 8, [0, 0, 2, 2, 4]),
        (100, 7, [0, 1, 2, 3, 4]),
        (100, 1000, [0, 0, 0, 0, 0]),
    ],
)
def test_few_rows_are_inserted_at_once(
    house: Bakery,
    recovery,
    monkeypatch: pytest.MonkeyPatch,
    page: int,
    page_bytes: int,
    inserted: list[int],
) -> None:
    monkeypatch.setattr(dump, "PAGE", page)
    monkeypatch.setattr(dump, "PAGE_BYTES", page_bytes)
    counts = []

    def note_count() -> Iterator[list[object]]:
        for value in values:
            counts.append(SoundTable.select().count())
            yield value

    with recovery.empty_catalogue():
        make_sounds(house, 5)
        before = rows(SoundTable)
        with connected():
            values = list(dump.rows(SoundTable, house.clock()))
        with writing():
            SoundTable.delete().execute()
            assert dump.insert(SoundTable, dump.columns(SoundTable), note_count()) == 5
        assert counts == inserted
        assert rows(SoundTable) == before


def test_tells_how_many_rows_are_restored(full: Bakery, file: Path, recovery) -> None:
    numbers: dict[str, int] = {}
    with recovery.empty_catalogue():
        backup.restore(file, full.services.keyring, full.clock(), full.entropy, numbers.__setitem__)
    assert numbers == backup.check(file, full.services.keyring)


def altered(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def begin(content: bytes) -> int:
    return content.index(b"\n") + 1


DAMAGES = {
    "cut in the middle": lambda content: content[: len(content) // 2],
    "cut by a byte": lambda content: content[:-1],
    "cut at a block": lambda content: content[: begin(content) + 65536],
    "only its first line": lambda content: content[: begin(content)],
    "longer by a byte": lambda content: content + b"\0",
    "a bit of a block": lambda content: altered(content, begin(content) + 70_000),
    "a bit of the last byte": lambda content: altered(content, len(content) - 1),
    "another time in its first line": lambda content: content.replace(
        b'"made_at":"2026', b'"made_at":"2027', 1
    ),
}


OTHERS = {
    "nothing": ("backup.not_one", lambda content: b""),
    "a letter": ("backup.not_one", lambda content: b"Dear Sir or Madam,\n"),
    "a database": ("backup.not_one", lambda content: b"SQLite format 3\0" + bytes(1000)),
    "another version": ("backup.version", lambda content: content.replace(b'"version":1', b'"version":2', 1)),
    "another schema": ("backup.schema", lambda content: content.replace(b"0001_initial", b"0001_initiax", 1)),
}


def test_refuses_a_damaged_file_without_any_change(full: Bakery, file: Path, recovery) -> None:
    whole = file.read_bytes()
    cases = {name: ("backup.damaged", alter) for name, alter in DAMAGES.items()} | OTHERS
    with recovery.empty_catalogue():
        for name, (error_id, alter) in cases.items():
            file.write_bytes(alter(whole))
            with pytest.raises(BackupError) as failure:
                bring_back(full, file)
            assert failure.value.error_id == error_id, name
            assert rows(TenantTable) == rows(LeafTable) == [], name
            assert hold_review.holds_unconfirmed() is None, name
            if error_id == "backup.damaged":
                with pytest.raises(BackupError):
                    backup.check(file, full.services.keyring)
        file.write_bytes(whole)
        bring_back(full, file)


def test_refuses_another_schema(full: Bakery, file: Path, recovery) -> None:
    with recovery.empty_catalogue():
        with connected():
            database.execute_sql(
                "INSERT INTO schema_migration (name, applied) VALUES ('0099_later', '2030-01-01')"
            )
        for refused in (
            lambda: bring_back(full, file),
            lambda: backup.write(full.folder / "two", full.services.keyring, full.clock(), os.urandom, print),
        ):
            with pytest.raises(BackupError, match="0099_later") as error:
                refused()
            assert error.value.error_id == "backup.schema"
        assert not (full.folder / "two").exists()


def test_names_the_missing_key_encryption_key(full: Bakery, file: Path, recovery) -> None:
    with recovery.empty_catalogue(), pytest.raises(BackupError) as failure:
        bring_back(full, file, keyring=Keyring(make_secret(bytes(32))))
    assert failure.value.error_id == "backup.kek"


def test_opens_with_an_older_key_encryption_key(full: Bakery, file: Path) -> None:
    ring = full.services.keyring
    both = Keyring(make_secret(bytes(32)), *ring._keks.values())
    assert backup.check(file, both)["tenant"] == 1


def test_overwrites_no_file(full: Bakery, file: Path) -> None:
    before = file.read_bytes()
    with expect_error(BackupError, "backup.exists"):
        backup.write(file, full.services.keyring, full.clock(), full.entropy, print)
    assert file.read_bytes() == before
    assert [path.name for path in full.folder.glob(".accord*")] == []


@pytest.mark.postgresql
def test_a_backup_is_a_consistent_snapshot(full: Bakery, monkeypatch) -> None:
    """Rows that others add meanwhile are in none of its tables."""
    path, name = full.folder / "moment", "Van Dyck NV"
    others = iter(range(99))

    def meanwhile(table: str, _rows: int) -> None:
        if table == "tenant":
            identity = f"0198c0de-0000-7000-8000-{next(others):012}"
            import threading

            def add() -> None:
                tenants.create_tenant(
                    identity, name=name, wrapped_key="{}", now=full.clock(), entropy=os.urandom
                )

            thread = threading.Thread(target=add)
            thread.start()
            thread.join()

    backup.write(path, full.services.keyring, full.clock(), full.entropy, meanwhile)
    assert name in {row["name"] for row in rows(TenantTable)}
    counted = backup.check(path, full.services.keyring)
    assert counted["log_leaf"] == len(rows(LeafTable)) - 1


@pytest.mark.postgresql
def test_restores_more_rows_than_a_page(full: Bakery, recovery, monkeypatch) -> None:
    monkeypatch.setattr(dump, "PAGE", 2)
    (row,) = [queries.recording(full.tenant, each["id"]) for each in rows(RecordingTable)]
    for number in range(5):
        identity = f"0198c0de-0000-7000-8000-{number:012}"
        other = replace(row, id=identity, prefix=f"{full.tenant}/2026/11/25/{identity}/")
        mine = limits.version_of(full.tenant)
        recordings.add_recording(other, now=full.clock(), entropy=full.entropy, limits=mine)
    path = full.folder / "many"
    backup.write(path, full.services.keyring, full.clock(), full.entropy, lambda _table, _rows: None)
    before = [each["id"] for each in rows(RecordingTable)]
    with recovery.empty_catalogue():
        bring_back(full, path)
        assert [each["id"] for each in rows(RecordingTable)] == before
