"""Offboarding statements link to each other, the newest decides, and the receipt is refused where it is
wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.errors import SealError
from recorder.seal import offboarding
from recorder.seal.offboarding import (
    ANNOUNCED,
    CANCELLED,
    ERASURE,
    HANDED_OVER,
    RECEIPT_KIND,
    STATEMENT,
    Cancellation,
    Departure,
    ErasureStatement,
    HandedOver,
    OffboardingReceiptBody,
    ReceiptArchive,
    ReceiptKeys,
    ReceiptLog,
    Statement,
    StatementBody,
)
from recorder.store.contract import Conflict, NotFound
from tests.expected_errors import expect_error

from .recording import NOW, TENANT, Keys, Store

OTHER = "0198c0de-0000-7000-8000-00000000000b"
UNTIL = NOW + timedelta(days=10)
FIRST = StatementBody(TENANT, 1, None, ANNOUNCED, NOW, NOW, UNTIL, None, None)
ARCHIVE = HandedOver("0198c0de-0000-7000-8000-0000000000cc", NOW, 1000, 2, 1, "0" * 64, "1" * 64)
FOLDER = f"offboarding/{TENANT}/"


@pytest.fixture
def store() -> Store:
    return Store({})


def put(store: Store, keys: Keys, statement: StatementBody) -> Departure | Cancellation:
    return offboarding.put_statement(store, statement, keys.signer, keys.root.public_key())


def announce(store: Store, keys: Keys) -> Departure | Cancellation:
    return put(store, keys, FIRST)


def order_erasure(store: Store, keys: Keys) -> Departure | Cancellation:
    return put(store, keys, announce(store, keys).next_statement(ERASURE, UNTIL, early=""))


def statements(store: Store, keys: Keys, tenant: str = TENANT) -> tuple[Statement, ...]:
    return offboarding.statements(store, tenant, keys.root.public_key())


def current(store: Store, keys: Keys, revoked: dict[str, datetime] | None = None) -> Departure | None:
    return offboarding.current_statement(store, TENANT, keys.root.public_key(), revoked or {})


def erasure(
    store: Store, keys: Keys, revoked: dict[str, datetime] | None = None, now: datetime = UNTIL
) -> ErasureStatement:
    return offboarding.erasure_statement(store, TENANT, keys.root.public_key(), revoked or {}, now)


def refusal(attempt: Callable[[], object]) -> SealError:
    with pytest.raises(SealError) as failure:
        attempt()
    return failure.value


def test_statements_are_read_in_order_with_their_links(store: Store, keys: Keys) -> None:
    first = announce(store, keys)
    second = put(store, keys, first.next_statement(HANDED_OVER, NOW, handed_over=ARCHIVE))
    third = put(store, keys, second.next_statement(ERASURE, UNTIL, early=""))
    found = statements(store, keys)
    assert [each.sha256 for each in found] == [each.sha256 for each in (first, second, third)]
    assert found[-1] == third
    assert [each.number for each in (first, second, third)] == [1, 2, 3]
    assert (first.predecessor, second.predecessor, third.predecessor) == (None, first.sha256, second.sha256)
    assert {each.key_id for each in (first, second, third)} == {keys.signer.key_id}
    assert (second.handed_over, third.handed_over) == (ARCHIVE, ARCHIVE)
    assert (second.early, third.early) == (None, "")
    assert sorted(store.objects) == [f"{FOLDER}statement-000{number}.json" for number in (1, 2, 3)]


def test_newest_statement_decides(store: Store, keys: Keys) -> None:
    assert current(store, keys) is None
    first = announce(store, keys)
    assert current(store, keys) == first
    cancelled = put(store, keys, first.next_statement(CANCELLED, NOW))
    assert current(store, keys) is None
    again = put(store, keys, cancelled.next_statement(ANNOUNCED, NOW, announced_at=NOW))
    assert current(store, keys) == again
    assert current(store, keys, {keys.signer.key_id: UNTIL}) is None, "whatever its date"
    assert current(store, keys, {"another": NOW}) == again


def test_last_statement_says_by_its_type_what_it_decides(store: Store, keys: Keys) -> None:
    kinds = [type(announce(store, keys))]
    for kind, changes in (
        (HANDED_OVER, {"handed_over": ARCHIVE}),
        (CANCELLED, {}),
        (ANNOUNCED, {"announced_at": UNTIL, "handed_over": None}),
        (ERASURE, {"early": ""}),
    ):
        before = statements(store, keys)[-1]
        kinds.append(type(put(store, keys, before.next_statement(kind, UNTIL, **changes))))
        assert type(statements(store, keys)[-1]) is kinds[-1]
    assert kinds == [Departure, Departure, Cancellation, Departure, ErasureStatement]
    assert [type(each) for each in statements(store, keys)] == [Statement] * 4 + [ErasureStatement]


def test_statement_that_does_not_continue_the_chain_decides_nothing(store: Store, keys: Keys) -> None:
    announce(store, keys)
    for number, predecessor, error_id in (
        (2, "0" * 64, "offboarding.predecessor"),
        (4, "0" * 64, "offboarding.missing"),
    ):
        body = replace(FIRST, number=number, predecessor=predecessor)
        assert refusal(lambda body=body: put(store, keys, body)).error_id == error_id  # type: ignore[misc]
        del store.objects[f"{FOLDER}statement-000{number}.json"]


def test_statement_that_another_one_follows_at_once_decides_nothing(store: Store, keys: Keys) -> None:
    class Busy(Store):
        def put(self, key: str, path: Path, sha256: str) -> None:
            super().put(key, path, sha256)
            self.objects |= ours.objects

    ours = Store({})
    put(ours, keys, announce(ours, keys).next_statement(CANCELLED, NOW))
    store = Busy({})
    assert refusal(lambda: announce(store, keys)).error_id == "offboarding.predecessor"
    assert current(store, keys) is None


def test_erasure_needs_a_signed_order(store: Store, keys: Keys) -> None:
    assert refusal(lambda: erasure(store, keys)).error_id == "offboarding.unsigned"
    first = announce(store, keys)
    refused = refusal(lambda: erasure(store, keys))
    assert (refused.error_id, TENANT in refused.message) == ("offboarding.unsigned", True)
    assert "accord offboarding" in refused.hint
    ordered = put(store, keys, first.next_statement(ERASURE, UNTIL, early=""))
    assert erasure(store, keys) == ordered
    revoked = {keys.signer.key_id: UNTIL + timedelta(days=1)}
    assert refusal(lambda: erasure(store, keys, revoked)).error_id == "seal.key_revoked"
    early = UNTIL - timedelta(minutes=5)
    assert erasure(store, keys, now=early) == ordered, "clocks differ a little"
    early -= timedelta(seconds=1)
    assert refusal(lambda: erasure(store, keys, now=early)).error_id == "seal.from_the_future"


def test_missing_statement_invalidates_all(store: Store, keys: Keys) -> None:
    order_erasure(store, keys)
    del store.objects[f"{FOLDER}statement-0001.json"]
    refused = refusal(lambda: statements(store, keys))
    assert (refused.error_id, "statement-0001.json" in refused.message) == ("offboarding.missing", True)


def test_statement_of_another_customer_is_refused(store: Store, keys: Keys) -> None:
    announce(store, keys)
    moved = f"offboarding/{OTHER}/statement-0001.json"
    store.objects[moved] = store.objects[f"{FOLDER}statement-0001.json"]
    refused = refusal(lambda: statements(store, keys, OTHER))
    assert (refused.error_id, refused.message.startswith(moved)) == ("offboarding.foreign", True)


def test_statement_after_another_predecessor_is_refused(store: Store, keys: Keys) -> None:
    order_erasure(store, keys)
    other = Store({})
    put(other, keys, replace(FIRST, until=UNTIL + timedelta(days=1)))
    store.objects[f"{FOLDER}statement-0001.json"] = other.objects[f"{FOLDER}statement-0001.json"]
    assert refusal(lambda: statements(store, keys)).error_id == "offboarding.predecessor"
    store.objects[f"{FOLDER}statement-0002.json"] = store.objects[f"{FOLDER}statement-0001.json"]
    assert refusal(lambda: statements(store, keys)).error_id == "offboarding.predecessor"


def test_unreadable_statement_is_named(store: Store, keys: Keys) -> None:
    store.objects[f"{FOLDER}statement-0001.json"] = b"{}"
    refused = refusal(lambda: statements(store, keys))
    assert refused.error_id == "seal.field"
    assert refused.message.startswith(f"{FOLDER}statement-0001.json: ")
    store.objects[f"{FOLDER}statement-0001.json"] = b'"' + b"x" * offboarding.MAX_BYTES + b'"'
    assert "more than" in refusal(lambda: statements(store, keys)).message


def test_other_objects_in_the_folder_are_ignored(store: Store, keys: Keys) -> None:
    first = announce(store, keys)
    store.objects[f"{FOLDER}receipt.json"] = b"{}"
    store.objects[f"{FOLDER}statement-0002.txt"] = b"{}"
    store.objects[f"{FOLDER}more/statement-0002.json"] = b"{}"
    assert statements(store, keys) == (first,)


@pytest.mark.parametrize(
    "changed",
    [
        {"at": NOW - timedelta(seconds=1)},
        {"kind": ERASURE, "early": None, "at": UNTIL},
        {"kind": ERASURE, "early": "", "at": UNTIL - timedelta(seconds=1)},
        {"early": ""},
        {"kind": CANCELLED, "early": "By letter."},
        {"kind": HANDED_OVER},
        {"handed_over": replace(ARCHIVE, at=NOW - timedelta(seconds=1))},
        {"handed_over": replace(ARCHIVE, at=NOW + timedelta(seconds=1))},
    ],
)
def test_contradictory_statement_is_not_signed(keys: Keys, changed: dict[str, Any]) -> None:
    with expect_error(SealError, "seal.contradiction"):
        STATEMENT.write(replace(FIRST, **changed), keys.signer)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"kind": ERASURE, "early": "", "at": UNTIL},
        {"kind": ERASURE, "early": "By letter.", "at": NOW},
        {"kind": HANDED_OVER, "handed_over": ARCHIVE},
        {"kind": CANCELLED, "handed_over": ARCHIVE},
    ],
)
def test_consistent_statement_is_signed(keys: Keys, changed: dict[str, Any]) -> None:
    content = STATEMENT.write(replace(FIRST, **changed), keys.signer)
    assert STATEMENT.read(content, keys.root.public_key()).value == replace(FIRST, **changed)


RECEIPT = OffboardingReceiptBody(
    tenant=TENANT,
    statement="2" * 64,
    announced_at=NOW,
    handed_over=ReceiptArchive(NOW, 1000, 2, 1),
    erasing_since=UNTIL,
    erased_at=UNTIL,
    recordings_erased={"deleted": 2},
    erased=("recordings' keys",),
    calls_erased=1,
    people_erased=2,
    remains=("manifests",),
    log=ReceiptLog(10, "3" * 64, 2),
    keys=ReceiptKeys(("4" * 32,), UNTIL + timedelta(days=30)),
    backups_kept_days=30,
    complete_from=UNTIL + timedelta(days=30),
)


def store_receipt(store: Store, keys: Keys, tenant: str = TENANT, **changed: Any) -> bytes:
    content = RECEIPT_KIND.write(replace(RECEIPT, **changed), keys.signer)
    store.objects[f"offboarding/{tenant}/receipt.json"] = content
    return content


def test_receipt_is_read_from_its_place(store: Store, keys: Keys) -> None:
    store_receipt(store, keys)
    found = offboarding.receipt_of(store, TENANT, keys.root.public_key())
    assert (found.body, found.key) == (RECEIPT, keys.signer.key_id)
    assert (found.tenant, found.announced_at, found.at) == (TENANT, NOW, UNTIL)
    with pytest.raises(NotFound):
        offboarding.receipt_of(store, OTHER, keys.root.public_key())


def test_receipt_of_another_customer_is_refused(store: Store, keys: Keys) -> None:
    store_receipt(store, keys, OTHER)
    refused = refusal(lambda: offboarding.receipt_of(store, OTHER, keys.root.public_key()))
    assert refused.error_id == "offboarding.foreign"


@pytest.mark.parametrize(
    "changed",
    [
        {"announced_at": UNTIL + timedelta(seconds=1)},
        {"erasing_since": UNTIL + timedelta(seconds=1)},
        {"complete_from": UNTIL - timedelta(seconds=1)},
    ],
)
def test_receipt_with_times_out_of_order_is_not_signed(keys: Keys, changed: dict[str, datetime]) -> None:
    with expect_error(SealError, "seal.contradiction"):
        RECEIPT_KIND.write(replace(RECEIPT, **changed), keys.signer)


@pytest.mark.parametrize(
    ("key", "known"),
    [
        (f"{FOLDER}statement-0001.json", True),
        (f"{FOLDER}receipt.json", True),
        (f"{FOLDER}statement-01.json", False),
        (f"{FOLDER}notes.txt", False),
        ("offboarding/receipt.json", False),
    ],
)
def test_names_of_statements_and_receipts(key: str, known: bool) -> None:
    assert offboarding.is_known(key) is known


def test_ids_must_be_fit_for_a_key() -> None:
    assert offboarding.folder_of(TENANT) == FOLDER
    assert offboarding.place_of(TENANT) == f"{FOLDER}receipt.json"
    assert refusal(lambda: offboarding.folder_of("../etc")).error_id == "seal.bad_id"


def test_number_of_a_statement_is_put_once(store: Store, keys: Keys) -> None:
    first = announce(store, keys)
    assert store.hashes[f"{FOLDER}statement-0001.json"] == first.sha256
    with pytest.raises(Conflict):
        put(store, keys, replace(FIRST, until=UNTIL + timedelta(days=1)))
