"""``accord audit run`` as an operator runs it, with the worker's duties that sign."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recorder import config
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.ops.doctor import storage
from recorder.ops.doctor.findings import Patient, examine
from recorder.processes.checkpoint_witnesses import CheckpointWitnesses
from recorder.processes.duties import DUTIES, Duties
from recorder.processes.services import Context
from recorder.seal import signing
from tests.unit.cli.shell import Shell


class AuditShell(Shell):
    """A shell with the worker's duties."""

    def context(self) -> Context:
        return Context(config.load(None, self.environment), None)

    def sign(self, later: timedelta = timedelta()) -> None:
        """One round of the worker's duties."""
        context = self.context()
        context.open_catalogue()
        now = _Now(later)
        (self.folder / "spool").mkdir(exist_ok=True)
        house = Duties(replace(context.services(), now=now), CheckpointWitnesses(), now)
        house.keep()


class _Now:
    """A trusted clock."""

    def __init__(self, later: timedelta) -> None:
        self.later = later

    def __call__(self):
        from recorder.clock import utc_now

        return utc_now() + self.later

    check = __call__


@pytest.fixture
def shell(tmp_path: Path) -> AuditShell:
    shell = AuditShell(tmp_path)
    shell.good("key", "init")
    shell.good("migrate")
    shell.good("tenant", "create", "Dubois")
    shell.good("line", "add", "--tenant", "Dubois", "+3225550101")
    shell.join("Dubois", "claire@example.com")
    return shell


def test_an_installation_is_signed_audited_and_shown_to_others(shell: AuditShell, tmp_path: Path) -> None:
    assert "logs" in DUTIES
    assert shell("audit", "run").exit_code == 0, "nothing is late yet"
    shell.sign()
    assert shell.good("audit", "run") == "everything is as it was written\n"
    printed = shell.json("audit", "run", "--tenant", "Dubois")
    assert (printed["state"], printed["findings"]) == ("ok", [])
    with connected():
        leaf = LeafTable.get(LeafTable.kind == "user.created")
        (signed,) = list(CheckpointTable.select())
    file = tmp_path / "leaf.json"
    shell.good("audit", "prove", leaf.id, "-o", str(file))
    note = tmp_path / "store" / signed.place
    # Only files: no catalogue, no store.
    elsewhere = Shell(tmp_path / "elsewhere")
    words = ("audit", "verify-proof", str(file), "--root", str(tmp_path / "keys" / "root.pub"))
    output = elsewhere.good(*words, "--checkpoint", str(note))
    assert "user.created" in output
    assert '"role": "customer"' in output
    file.write_bytes(file.read_bytes().replace(b"customer", b"operator"))
    assert elsewhere(*words).exit_code == 1
    assert shell.good("audit", "leaves", leaf.id).split()[-1] == "user.created"
    shell.good(
        "audit", "prove-consistency", "--tenant", "Dubois", "--from", "1", "--to", "1", "-o", str(file)
    )
    output = elsewhere.good(*words, "--checkpoint", str(note))
    assert output.splitlines()[-1] == "the later checkpoint extends the earlier one"
    file.write_bytes(file.read_bytes().replace(b"number 1", b"number 2"))
    assert elsewhere(*words).exit_code == 1


def test_deep_audit_opens_every_wrapped_key(shell: AuditShell, tmp_path: Path) -> None:
    shell.sign()
    assert shell.good("audit", "run", "--deep") == "everything is as it was written\n"
    assert shell("audit", "run", "--deep", "--without-recordings").exit_code == 2
    with connected():
        tenant = TenantTable.select().get()
    folder = tmp_path / "store" / "keys" / tenant.id
    folder.mkdir(parents=True)
    (folder / "tenant.json").write_text(tenant.wrapped_key)
    assert shell.good("audit", "run", "--deep") == "everything is as it was written\n"
    (tmp_path / "keys" / "kek").rename(tmp_path / "keys" / "kek.lost")
    assert shell("audit", "run").exit_code == 0, "the hash that was logged needs no key"
    assert shell("audit", "run", "--deep").exit_code == 2, "there is nothing to open them with"
    (tmp_path / "keys" / "kek.lost").rename(tmp_path / "keys" / "kek")
    (folder / "tenant.json").write_text(tenant.wrapped_key.replace('"nonce":"', '"nonce":"A', 1))
    result = shell("audit", "run", "--deep")
    assert (result.exit_code, "key.differs" in result.output) == (1, True), result.output


def test_unknown_objects_in_the_bucket_are_reported(shell: AuditShell, tmp_path: Path) -> None:
    shell.sign()
    (tmp_path / "store" / "notes.txt").write_text("x")
    result = shell("audit", "run")
    assert (result.exit_code, "object.unknown  notes.txt" in result.output) == (1, True), result.output


def test_mailed_checkpoint_is_compared(shell: AuditShell, tmp_path: Path) -> None:
    shell.sign()
    with connected():
        (signed,) = list(CheckpointTable.select())
    note = tmp_path / "checkpoint-1.note"
    note.write_bytes((tmp_path / "store" / signed.place).read_bytes())
    assert shell.good("audit", "run", "--checkpoint", str(note)) == "everything is as it was written\n"
    (tmp_path / "store" / signed.place).unlink()
    with writing():
        CheckpointTable.delete().execute()
    assert shell("audit", "run").exit_code == 0, "nothing that is here shows it"
    result = shell("audit", "run", "--tenant", "Dubois", "--checkpoint", str(note))
    assert result.exit_code == 1
    assert "checkpoint.missing" in result.output
    shell.good("tenant", "create", "Martin")
    result = shell("audit", "run", "--tenant", "Martin", "--checkpoint", str(note))
    assert (result.exit_code, "checkpoint 1 belongs to tenant" in result.output) == (1, True)
    note.write_text("nothing")
    assert (
        "this is not one of Accord's checkpoints" in shell("audit", "run", "--checkpoint", str(note)).output
    )


def test_findings_have_hints(shell: AuditShell) -> None:
    shell.sign()
    with writing():
        LeafTable.update(body="{}").where(LeafTable.kind == "user.created").execute()
    result = shell("audit", "run", "--without-recordings")
    assert result.exit_code == 1
    assert "wrong   body.changed" in result.output
    assert "accord restore" in result.output
    assert json.loads(shell("audit", "run", "--json").output)["state"] == "wrong"
    other = (
        shell.folder / "store" / "checkpoints" / "01930000-0000-7000-8000-00000000000b" / "0000000001.note"
    )
    other.parent.mkdir()
    other.write_text("x")
    assert "log.missing" in shell("audit", "run").output
    assert shell("audit", "run", "--tenant", "nobody").exit_code == 1


def test_signing_key_is_revoked(shell: AuditShell) -> None:
    shell.sign()
    old = shell.context().signer().key_id
    shell.good("key", "renew")
    shell.good("key", "revoke", old, "--since", "2026-01-01", "--yes")
    result = shell("audit", "run")
    assert result.exit_code == 1
    assert "checkpoint.key_revoked" in result.output
    assert shell("key", "revoke", old, "--yes").exit_code == 2, "never written over"


def test_log_continues_after_the_catalogue_was_lost(shell: AuditShell, tmp_path: Path) -> None:
    shell.sign()
    backup = tmp_path / "accord.backup"
    shell.good("backup", str(backup))
    shell.good("tenant", "set", "Dubois", "--country", "nl")
    shell.sign(timedelta(hours=1))
    for path in tmp_path.glob("catalogue.db*"):
        path.unlink()
    shell.good("migrate")
    shell.good("restore", str(backup), "--yes")
    command = ("audit", "reopen", "--tenant", "Dubois", "--reason", "the disk broke")
    assert shell(*command).exit_code == 1, "the last was signed in an hour"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recorder.cli.audit.utc_now", _Now(timedelta(hours=2)))
        found = shell("audit", "run")
        assert found.exit_code == 1
        assert "log.rewritten" in found.output
        assert "after a restore, `accord audit reopen`" in found.output
        # Signing needs no key-encryption key: it may still be in its safe.
        (tmp_path / "keys" / "kek").rename(tmp_path / "kek")
        assert "signed checkpoint 3" in shell.good(*command)
        (tmp_path / "kek").rename(tmp_path / "keys" / "kek")
        after = shell("audit", "run")
    assert after.exit_code == 1, after.output
    assert "warning log.begun_again" in after.output


def test_recipients_of_checkpoint_mails(shell: AuditShell) -> None:
    claire = ("--tenant", "Dubois", "claire@example.com")
    assert shell.json("audit", "mail", "add", *claire)["recipients"] == [
        {"address": "claire@example.com", "sent_at": None}
    ]
    assert "no mail is sent" not in shell.good(
        "audit", "mail", "list", "--tenant", "Dubois", ACCORD_MAIL_HOST="localhost"
    )
    assert "claire" not in shell.good("audit", "mail", "remove", *claire)
    assert shell("audit", "mail", "add", "--tenant", "Dubois", "claire").exit_code == 1


def test_doctor_checks_that_logs_are_signed(shell: AuditShell) -> None:
    def findings(later: timedelta) -> list[tuple[str, str]]:
        patient = Patient(shell.context(), _Now(later))
        checks = (storage.logs, storage.log_lock)
        return [(each.state, each.what) for check in checks for each in examine(check, patient)]

    assert findings(timedelta())[0][0] == "ok"
    assert findings(timedelta(hours=4))[0] == ("wrong", findings(timedelta(hours=4))[0][1])
    shell.sign()
    (signed, lock) = findings(timedelta(hours=4))
    assert signed[0] == "ok"
    assert lock == ("ok", "logs: checkpoints are in the store's folder, where its owner can delete them")


def test_an_older_key_is_named_and_renewed(shell: AuditShell) -> None:
    keys = shell.folder / "keys"
    root = signing.load_private(keys / signing.ROOT_KEY)
    old = shell.context().signer().endorsement
    key = signing.load_private(keys / signing.SIGNING_KEY).public_key()
    before = signing.endorse(root, key, ("manifest", "amendment"), old.not_before, old.not_after)
    (keys / signing.ENDORSEMENT).write_bytes(signing.canonical_json.dump(before.document()))
    states = [each.what for each in examine(storage.keys, Patient(shell.context(), _Now(timedelta())))]
    assert any("not endorsed for tombstone, receipt, checkpoint" in each for each in states)
    shell.sign()
    with connected():
        assert not CheckpointTable.select().exists()
    shell.good("key", "renew")
    shell.sign()
    with connected():
        assert CheckpointTable.select().count() == 1


def test_timestamp_url_requires_a_ca(shell: AuditShell) -> None:
    more = {"ACCORD_AUDIT_LOG_TIMESTAMP_URL": "http://127.0.0.1:1/"}
    result = shell("audit", "run", **more)
    assert result.exit_code == 2
    assert "timestamp_ca" in result.output
