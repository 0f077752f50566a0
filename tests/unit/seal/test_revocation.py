"""A revoked key's later signatures count no more, and neither do backdated ones that the log does not
know."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.errors import ConfigError, SealError
from recorder.seal import revocation, signing
from recorder.seal.amendment import Amendment, By
from recorder.seal.amendment_chain import Chain
from recorder.seal.amendment_kinds import DeletionRequested
from recorder.seal.revocation import Known, Revocations, Trust, find_doubt, find_revoked_documents
from recorder.seal.sealing import SealedTake
from tests.expected_errors import expect_error

from .recording import NOW, RECORDING, TENANT, Keys

KEY = "7252386c9cfc8e795439b219f91d764c"
SECOND = timedelta(seconds=1)


def amendment(at: datetime = NOW) -> Amendment:
    data, by = DeletionRequested("…"), By("operator")
    return Amendment(RECORDING, TENANT, 1, "0" * 64, at, by, data, signing_key_id=KEY, sha256="1" * 64)


def never() -> Known:
    raise AssertionError("the catalogue was asked for nothing")


def test_amendment_by_another_key_is_valid() -> None:
    assert find_doubt(amendment(), {}, never) is None
    assert find_doubt(amendment(), {"another": NOW}, never) is None


@pytest.mark.parametrize("since", [NOW, NOW - SECOND])
def test_amendment_dated_after_the_revocation_is_invalid(since: datetime) -> None:
    why = find_doubt(amendment(), {KEY: since}, never)
    assert why is not None
    assert KEY in why


@pytest.mark.parametrize(
    ("known", "valid"),
    [
        ({}, False),
        ({"2" * 64: NOW}, False),
        ({"1" * 64: NOW}, True),
        ({"1" * 64: None}, True),
        ({"1" * 64: NOW + SECOND}, False),
        ({"1" * 64: NOW + 2 * SECOND}, False),
    ],
)
def test_backdated_amendment_counts_only_if_it_was_listed_in_time(known: Known, valid: bool) -> None:
    assert (find_doubt(amendment(), {KEY: NOW + SECOND}, lambda: known) is None) == valid
    assert find_doubt(amendment(), {KEY: NOW + SECOND}) is None, "without a catalogue its date decides"


@pytest.mark.parametrize(
    ("signed_at", "listed_at", "doubtful"),
    [
        (NOW - SECOND, None, False),
        (NOW - SECOND, NOW - SECOND, False),
        (NOW, None, True),
        (NOW - SECOND, NOW, True),
        (NOW + SECOND, NOW - SECOND, True),
    ],
)
def test_statement_counts_by_its_date_and_its_leaf(
    signed_at: datetime, listed_at: datetime | None, doubtful: bool
) -> None:
    assert revocation.is_doubtful(KEY, signed_at, listed_at, {KEY: NOW}) == doubtful
    assert not revocation.is_doubtful("another", signed_at, listed_at, {KEY: NOW})


def chain_of(sealed: SealedTake) -> Chain:
    manifest = replace(sealed.manifest, signing_key_id=KEY)
    return Chain(manifest, "0" * 64, (amendment(manifest.sealed_at + SECOND),))


def test_documents_of_a_revoked_key_are_named(sealed: SealedTake) -> None:
    chain, sealed_at = chain_of(sealed), sealed.manifest.sealed_at

    def names(since: datetime) -> list[str]:
        return [name for name, _ in find_revoked_documents(chain, {KEY: since})]

    assert names(sealed_at) == ["manifest.json", "amendment-0001.json"]
    assert names(sealed_at + SECOND) == ["amendment-0001.json"]
    assert names(sealed_at + 2 * SECOND) == []
    assert list(find_revoked_documents(chain, {})) == []
    assert (
        next(iter(find_revoked_documents(chain, {KEY: sealed_at + 2 * SECOND}, dict)))[0]
        == "amendment-0001.json"
    )


def test_check_refuses_the_first_of_them(sealed: SealedTake) -> None:
    chain, sealed_at = chain_of(sealed), sealed.manifest.sealed_at
    revocation.check(chain, {KEY: sealed_at + 2 * SECOND})
    with expect_error(SealError, "seal.key_revoked") as failure:
        revocation.check(chain, {KEY: sealed_at})
    assert failure.value.message.startswith("manifest.json: ")
    with pytest.raises(SealError, match=r"^amendment-0001.json: ") as failure:
        revocation.check(chain, {KEY: sealed_at}, amendments=True)
    revocation.check(replace_amendments(chain), {KEY: sealed_at}, amendments=True)


def replace_amendments(chain: Chain) -> Chain:
    return Chain(chain.manifest, chain.manifest_sha256)


def write(keys: Keys, since: datetime, key: str = KEY, root: Ed25519PrivateKey | None = None) -> Path:
    path = keys.folder / f"{key}{revocation.SUFFIX}"
    path.write_bytes(revocation.revoke(root or keys.root, key, since))
    return path


def test_revocation_is_read_with_the_root_that_signed_it(keys: Keys) -> None:
    path = write(keys, NOW)
    assert revocation.read(path.read_bytes(), keys.root.public_key()) == (KEY, NOW)
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with expect_error(SealError, "seal.revocation"):
        revocation.read(path.read_bytes(), other.public_key())
    forged = path.read_bytes().replace(KEY.encode(), b"0" * 32)
    with expect_error(SealError, "seal.revocation"):
        revocation.read(forged, keys.root.public_key())


def test_earliest_revocation_of_a_key_counts(keys: Keys, tmp_path: Path) -> None:
    paths = []
    for number, since in enumerate((NOW, NOW - SECOND, NOW + SECOND)):
        paths.append(tmp_path / f"{number}{revocation.SUFFIX}")
        paths[-1].write_bytes(revocation.revoke(keys.root, KEY, since))
    assert revocation.read_all(paths, keys.root.public_key()) == {KEY: NOW - SECOND}
    assert revocation.read_all([], keys.root.public_key()) == {}


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b"{}"), lambda path: None])
def test_invalid_revocation_file_is_refused(
    keys: Keys, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    path = tmp_path / f"x{revocation.SUFFIX}"
    make(path)
    with pytest.raises(ConfigError) as failure:
        revocation.read_all([path], keys.root.public_key())
    assert (failure.value.error_id, str(path) in failure.value.message) == ("keys.bad_revocation", True)


def test_revocations_of_a_folder_are_read_again_when_they_change(keys: Keys) -> None:
    revoked = Revocations(keys.folder, keys.root.public_key())
    assert revoked() == {}
    path = write(keys, NOW)
    assert revoked() == {KEY: NOW}
    first = revoked()
    assert revoked() is first, "it is read once"
    path.write_bytes(revocation.revoke(keys.root, KEY, NOW - SECOND))
    os.utime(path, ns=(1, 1))
    assert revoked() == {KEY: NOW - SECOND}
    path.unlink()
    assert revoked() == {}


def test_trust_revokes_nothing_by_default(keys: Keys) -> None:
    assert Trust(keys.root.public_key()).revoked() == {}
    assert signing.key_id(keys.root.public_key()) == keys.signer.endorsement.root_key_id
