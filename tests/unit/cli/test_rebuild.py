"""The steps of docs/recover.md: a lost catalogue, with a backup and without."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.catalogue import queries
from recorder.features.disputes.copies import copy_due
from recorder.features.disputes.service import Disputes
from recorder.identity import users
from recorder.seal import canonical_json, signing
from recorder.seal.keyring import data_key_path
from tests.house import Bakery
from tests.unit.cli.shell import Shell


def test_a_lost_catalogue_with_a_backup(shell: Shell, house: Bakery) -> None:
    name = "Boulangerie Martin"
    shell.join(name, "claire@example.com")
    first = house.take(talk_ms=300)
    house.work(first)
    file = str(house.folder / "accord.backup")
    output = shell.good("backup", file)
    assert "bytes, verified" in output
    assert "is complete: " in shell.good("restore", "--check", file)
    assert "already exists" in shell.bad("backup", file)
    assert "restored into an empty one" in shell.bad("restore", file, "--yes")
    second = house.take(talk_ms=300)
    house.work(second)

    shell.lose_the_catalogue()
    output = shell.good("restore", file, "--yes")
    assert "Now run `accord rebuild`" in output
    output = shell.good("rebuild")
    assert "1  completed" in output
    assert "1  restored" in output
    assert "`accord rebuild --confirm-holds`" in output
    assert "claire@example.com" in shell.good("user", "list", "--tenant", name)
    assert "+3225550100" in shell.good("line", "list", "--tenant", name)
    for folder in (first, second):
        assert "as it was sealed: " in shell.good("recording", "verify", folder.name)
        assert queries.recording(house.tenant, folder.name).external_party is not None
    assert "Nothing was changed" in shell.good("rebuild")
    assert "nothing expires until the legal holds are confirmed" in shell("doctor").output
    assert "0 legal holds are set." in shell.good("rebuild", "--holds")
    assert "recordings expire again" in shell.good("rebuild", "--confirm-holds", "--yes")
    assert "nothing expires" not in shell("doctor").output
    assert "Nothing to confirm" in shell.good("rebuild", "--confirm-holds", "--yes")


def test_differences_come_back_from_the_bucket(shell: Shell, house: Bakery) -> None:
    shell.join("Boulangerie Martin", "claire@example.com")
    folder = house.take(talk_ms=300)
    house.work(folder)
    (claire,) = users.users(house.tenant)
    day = (house.clock() + timedelta(days=10)).date()
    disputes = Disputes(house.changes)
    dispute = disputes.open(claire, [folder.name], subject="The price", settle_by=day)
    assert copy_due(house.services) == 1
    shell.lose_the_catalogue()
    assert "1 open questions restored." in shell.good("rebuild")
    assert disputes.find(house.tenant, dispute.id).statements == dispute.statements
    assert "open questions restored" not in shell.good("rebuild")
    key = next(iter(house.store.list("disputes/")))
    house.store.delete(key)
    house.store.put(key, house.folder / "keys" / "root.pub", sha256_of(house.folder / "keys" / "root.pub"))
    assert "seal." in shell.bad("rebuild")


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_lost_catalogue_without_a_backup(shell: Shell, house: Bakery) -> None:
    folder = house.take(talk_ms=300)
    house.work(folder)
    shell.lose_the_catalogue()
    assert "1  restored" in shell.good("rebuild")
    (row,) = shell.json("tenant", "list")["tenants"]
    assert (row["id"], row["name"], row["language"], row["country"]) == (
        house.tenant, house.tenant, "fr", "strict",
    )  # fmt: skip
    shell.good("tenant", "adopt", house.tenant, "Boulangerie Martin")
    shell.good("tenant", "adopt", house.tenant, "Martin et filles", "--country", "be")
    (row,) = shell.json("tenant", "list")["tenants"]
    assert (row["name"], row["country"]) == ("Martin et filles", "be")
    assert len(shell.json("announcement", "list", "--tenant", "Martin et filles")["announcements"]) == 2
    shell.good("line", "add", "--tenant", "Martin et filles", "+3225550100")
    assert queries.recordings(house.tenant).rows[0].id == folder.name


def test_faults_in_the_bucket_are_printed_and_reported(shell: Shell, house: Bakery) -> None:
    folder = house.take(talk_ms=300)
    house.work(folder)
    (house.bucket / data_key_path(house.tenant, folder.name)).unlink()
    report = house.folder / "report.txt"
    assert "key.missing" in shell.bad("rebuild", "--report", str(report))
    assert report.read_text().startswith(f"key.missing  {house.tenant}/2026/03/02/{folder.name}/: ")


def test_foreign_key_encryption_key_is_reported(shell: Shell, house: Bakery) -> None:
    house.work(house.take(talk_ms=300))
    file = str(house.folder / "accord.backup")
    shell.good("backup", file)
    kek = house.folder / "keys" / "kek"
    kek.unlink()
    output = shell.bad("rebuild")
    assert "`accord key restore` brings it back" in output
    assert "accord key init" not in output, "a new key would open nothing"
    kek.write_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    kek.chmod(0o600)
    for words in (("rebuild",), ("restore", "--check", file)):
        assert "give the key-encryption key that was in use then" in shell.bad(*words)


def test_signing_key_without_endorsement_is_reported(shell: Shell, house: Bakery) -> None:
    keys = house.folder / "keys"
    root, own = (signing.load_private(keys / name) for name in (signing.ROOT_KEY, signing.SIGNING_KEY))
    begin, end = house.clock(), house.clock() + timedelta(days=900)
    endorsement = signing.endorse(root, own.public_key(), (signing.MANIFEST,), begin, end)
    (keys / signing.ENDORSEMENT).write_bytes(canonical_json.dump(endorsement.document()))
    assert "is not endorsed for" in shell("doctor").output
    shell.good("key", "renew")
    assert "is not endorsed for" not in shell("doctor").output


@pytest.mark.parametrize(
    "names",
    [("manifest.key",), ("manifest.endorsement.json",), ("manifest.key", "manifest.endorsement.json")],
)
def test_lost_signing_key_is_replaced_with_the_root(shell: Shell, house: Bakery, names) -> None:
    folder = house.take(talk_ms=300)
    house.work(folder)
    for name in names:
        (house.folder / "keys" / name).unlink()
    shell.good("key", "renew")
    assert "manifest, amendment" in shell.good("key", "show")
    assert "as it was sealed: " in shell.good("recording", "verify", folder.name)
