"""What worker and panel need to be ready: keys that fit, signing keys, one secret for all panels."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from recorder.catalogue.tables import lease
from recorder.errors import CatalogueError, SealError
from recorder.health import HealthFinding
from recorder.ids import Entropy
from recorder.processes import readiness
from recorder.seal import kek_files, signing
from recorder.seal.keyring import KEY, Keyring, make_secret
from recorder.seal.revocation import Trust
from recorder.seal.signing import PANEL_USES, USES
from recorder.store.directory import written_folders
from tests.clock import MonotonicClock
from tests.house import Bakery


def test_catalogue_that_is_away_is_one_finding(house: Bakery) -> None:
    def ask() -> HealthFinding:
        raise CatalogueError("catalogue.away", "no answer", "try again")

    checks = readiness.CatalogueChecks(
        {"keys": lambda: readiness.check_keyring(house.keyring, house.folder / "keys"), "other": ask}
    ).checks()
    assert checks["keys"]().ok, "nothing is known yet"
    with pytest.raises(CatalogueError):
        checks["catalogue"]()
    assert checks["keys"]().ok
    assert checks["other"]().ok


def test_keyring_must_open_the_customers_keys(house: Bakery, entropy: Entropy) -> None:
    another = Keyring(make_secret(entropy(KEY)))
    checks = readiness.CatalogueChecks(
        {
            "keys": lambda: readiness.check_keyring(house.keyring, house.folder / "keys"),
            "wrong": lambda: readiness.check_keyring(another, house.folder / "keys"),
        }
    ).checks()
    assert checks["catalogue"]().ok
    assert checks["keys"]() == HealthFinding(True, "the key-encryption key opens customers' keys")
    finding = checks["wrong"]()
    assert (finding.ok, "which is missing" in finding.what) == (False, True)
    assert finding.hint


def test_customers_folder_that_the_process_may_not_write_to(house: Bakery) -> None:
    """As root left it: the store's own object is written all the same."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    keys = house.bucket / "keys" / house.tenant
    keys.mkdir(parents=True, exist_ok=True)
    for each in (house.bucket, *house.bucket.parents):
        each.chmod(each.stat().st_mode | 0o011)
    for each in written_folders(house.bucket):
        os.chown(each, 65534, -1)
    os.chown(keys, 0, -1)
    keys.chmod(0o700)
    os.seteuid(65534)
    try:
        finding = readiness.check_store_folder(house.bucket)
    finally:
        os.seteuid(0)
    assert (finding.ok, str(keys) in finding.what, "chown" in finding.hint) == (False, True, True)
    assert readiness.check_store_folder(house.bucket).ok, "root may"


def test_next_key_that_the_process_may_not_read(house: Bakery) -> None:
    """As root left it: nothing needs the key yet, but everything does after the rotation."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    keys = house.folder / "keys"
    for each in (keys, house.folder, *house.folder.parents):
        each.chmod(each.stat().st_mode | 0o011)
    kek_files.make_next(keys)
    os.seteuid(65534)
    try:
        finding = readiness.check_keyring(house.keyring, keys)
    finally:
        os.seteuid(0)
    assert finding == HealthFinding(
        False, f"this process may not read {keys}/kek.next", f"`chown --reference={keys} {keys}/kek.next`"
    )


def test_panel_without_a_key_is_not_ready(house: Bakery) -> None:
    finding = readiness.check_signing_key(None, PANEL_USES, house.trust, house.clock)
    assert not finding.ok
    assert "panel.key" in finding.what
    assert "accord key renew" in finding.hint


def test_signing_key_must_be_endorsed_now_and_for_every_use(house: Bakery) -> None:
    signer, panel = house.services.signer, house.changes.signer
    assert readiness.check_signing_key(signer, USES, house.trust, house.clock).ok
    assert readiness.check_signing_key(panel, PANEL_USES, house.trust, house.clock).ok
    with pytest.raises(SealError, match="not for"):
        readiness.check_signing_key(panel, USES, house.trust, house.clock)
    house.clock.forward(days=signing.YEARS * 366)
    with pytest.raises(SealError, match="was endorsed from"):
        readiness.check_signing_key(signer, USES, house.trust, house.clock)


def test_revoked_key_is_not_ready(house: Bakery) -> None:
    signer, at = house.services.signer, house.clock()
    trust = Trust(house.root_public, lambda: {signer.key_id: at + timedelta(minutes=1)})
    assert readiness.check_signing_key(signer, USES, trust, house.clock).ok, "not yet"
    house.clock.forward(minutes=1)
    finding = readiness.check_signing_key(signer, USES, trust, house.clock)
    assert (finding.ok, "was revoked" in finding.what) == (False, True)


def test_panels_share_one_secret(house: Bakery) -> None:
    seconds = MonotonicClock()

    def check(secret: bytes) -> readiness.SecretCheck:
        return readiness.SecretCheck(secret, house.clock, seconds)

    first, second, stranger = check(b"a" * 32), check(b"a" * 32), check(b"b" * 32)
    assert first().ok
    assert second().ok
    assert not stranger().ok
    seconds.at += readiness.RENEW_S
    house.clock.forward(seconds=readiness.RENEW_S)
    assert first().ok
    first.release()
    assert stranger().ok, "no panel had taken it again"
    assert not second().ok, "two secrets are never both ready"
    house.clock.forward(minutes=lease.DURATION.seconds // 60 + 1)
    assert second().ok, "the other one has ended"
