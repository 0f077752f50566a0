"""Endorsements and revocations: no file claims more than the root signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.auditlog import checkpoint
from recorder.errors import ConfigError, SealError
from recorder.seal import canonical_json, revocation, signing
from recorder.seal.revocation import SUFFIX, Revocations
from recorder.strict_json import b64
from tests.house import Bakery
from tests.unit.cli.shell import Shell


def widen(endorsement: signing.Endorsement) -> bytes:
    """An endorsement file extended without the root."""
    return canonical_json.dump(replace(endorsement, uses=signing.USES).document())


def test_endorsement_file_wider_than_the_root_allows_is_refused(shell: Shell, house: Bakery) -> None:
    keys = house.folder / "keys"
    path = keys / signing.PANEL_ENDORSEMENT
    endorsement = signing.load_endorsement(path)
    path.write_bytes(widen(endorsement))
    for words in (("key", "show"), ("web",)):
        assert "the endorsement is not signed by the root" in shell.bad(*words)
    assert "wrong   keys: the endorsement is not signed by the root" in shell("doctor").output
    path.write_bytes(canonical_json.dump(endorsement.document()))
    panel = shell.json("key", "show")["panel"]
    assert panel["id"] == endorsement.key_id
    assert panel["uses"][:5] == ["amendment", "receipt", "retention", "call_erasure", "command"]
    own = keys / signing.ENDORSEMENT
    narrow = signing.load_endorsement(own)
    own.write_bytes(
        canonical_json.dump(replace(narrow, not_after=narrow.not_after + timedelta(days=9)).document())
    )
    assert "the endorsement is not signed by the root" in shell.bad("worker")


def test_endorsement_in_the_bucket_wider_than_the_root_allows_is_reported_and_ignored(
    shell: Shell, house: Bakery
) -> None:
    endorsement = signing.load_endorsement(house.folder / "keys" / signing.PANEL_ENDORSEMENT)
    place = house.bucket / checkpoint.ENDORSEMENTS / f"{endorsement.key_id}-{'0' * 16}.json"
    place.parent.mkdir(parents=True)
    place.write_bytes(widen(endorsement))
    result = shell("audit", "run")
    assert result.exit_code == 1
    assert "endorsement.form" in result.output


def test_doctor_reports_a_panel_key_that_may_sign_too_much(shell: Shell, house: Bakery) -> None:
    keys = house.folder / "keys"
    root = signing.load_private(keys / signing.ROOT_KEY)
    key = signing.load_private(keys / signing.PANEL_KEY).public_key()
    begin, end = house.clock(), house.clock() + timedelta(days=900)
    wide = signing.endorse(root, key, (*signing.PANEL_USES, signing.TOMBSTONE), begin, end)
    (keys / signing.PANEL_ENDORSEMENT).write_bytes(canonical_json.dump(wide.document()))
    found = shell("doctor").output
    assert f"the panel's key {wide.key_id} is also endorsed for tombstone" in found
    assert f"accord key revoke {wide.key_id}" in found
    narrow = signing.endorse(root, key, (signing.AMENDMENT,), begin, end)
    (keys / signing.PANEL_ENDORSEMENT).write_bytes(canonical_json.dump(narrow.document()))
    assert (
        "the panel's key is not endorsed for receipt, retention, call_erasure, command"
        in shell("doctor").output
    )
    shell.good("key", "renew")
    assert "the panel's key" not in shell("doctor").output


def test_revocation_not_signed_by_the_root_is_refused(shell: Shell, house: Bakery) -> None:
    keys = house.folder / "keys"
    root, key = (signing.load_private(keys / name) for name in (signing.ROOT_KEY, signing.SIGNING_KEY))
    good = revocation.revoke(root, house.services.signer.key_id, house.clock())
    assert revocation.read(good, root.public_key()) == (house.services.signer.key_id, house.clock())
    body = canonical_json.load(good, "revocation")["body"]
    signed = {
        "by the signing key": revocation.revoke(key, house.services.signer.key_id, house.clock()),
        "by the signing key, in the root's name": sign(key, body),
        "an unknown field": sign(root, body | {"until": "2030-01-01T00:00:00Z"}),
        "an unknown version": sign(root, body | {"version": 2}),
        "a field beside": canonical_json.dump(canonical_json.load(good, "revocation") | {"note": "x"}),
        "another key": canonical_json.dump(
            {
                "body": body | {"key_id": "0" * 32},
                "signature": canonical_json.load(good, "revocation")["signature"],
            }
        ),
    }
    for what, content in signed.items():
        with pytest.raises(SealError):
            revocation.read(content, root.public_key())
        path = keys / f"{house.services.signer.key_id}{SUFFIX}"
        path.write_bytes(content)
        with pytest.raises(ConfigError) as failure:
            Revocations(keys, root.public_key())()
        assert failure.value.error_id == "keys.bad_revocation", what
        path.unlink()


def sign(key: signing.Ed25519PrivateKey, body: dict[str, object]) -> bytes:
    signature = b64(key.sign(canonical_json.dump(body)))
    return canonical_json.dump({"body": body, "signature": signature})


def test_revocation_of_an_invalid_key_id_is_refused(shell: Shell, house: Bakery) -> None:
    result = shell("key", "revoke", house.services.signer.key_id[:-1])
    assert result.exit_code == 2
    assert "32 digits" in result.output
    assert list((house.folder / "keys").glob(f"*{SUFFIX}")) == []
