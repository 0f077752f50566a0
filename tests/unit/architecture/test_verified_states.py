"""What destroys, withholds, widens or discloses takes a state that only its verifier makes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.architecture.source_tree import ROOT, Module, source_modules
from tests.unit.architecture.verified_states import VERIFIERS, index, states, violations

HEADER = """
from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.auditlog.append import LockedTenant, lock_tenant
from recorder.auditlog.leaf_erasure import RecordingErasure, drop_bodies
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.subject_request_queries import RequestRow
from recorder.features.disputes import queries
from recorder.features.disputes.rules import Dispute
from recorder.features.disputes.service import Disputes
from recorder.features.subject_requests import service
from recorder.features.subject_requests.call_erasure import erase_calls
from recorder.features.subject_requests.erasure import erase_recording
from recorder.features.subject_requests.personal_copy import PersonalCopyExit
from recorder.ids import Entropy
from recorder.lifecycle import amendments, limits, recordings
from recorder.lifecycle.departure import drop_departure, end_lines, note_departure
from recorder.lifecycle.dispute_erasure import drop_disputes
from recorder.lifecycle.erasure_order import ErasureOrder
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.erased_recording import ErasedRecording
from recorder.lifecycle.limits import PendingLimit
from recorder.lifecycle.statements import Statements
from recorder.pipeline.erasure_check import ErasedTake, delete_remains, delete_tenant_key
from recorder.playback import grants
from recorder.playback.audio_reader import AudioReader
from recorder.playback.interface import Actor, GuestAdmission
from recorder.playback.verified_recording import VerifiedRecording
from recorder.seal.amendment import By
from recorder.seal.amendment_chain import Chain
from recorder.features.offboarding.queries import record_cancellation, record_erasure
from recorder.seal.offboarding import Cancellation, Departure, Statement, StatementBody
from recorder.seal.revocation import Revoked
from recorder.seal.sealing import SealedTake
from recorder.spool.layout import remove_take
from recorder.store.contract import Store
"""


def test_every_verified_state_has_a_verifier() -> None:
    assert states(source_modules()) == dict(VERIFIERS)


def test_only_its_verifier_makes_a_verified_state() -> None:
    found = {name: list(violations(module, index(), VERIFIERS)) for name, module in source_modules().items()}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        "ErasedRecording(locked, ('r',), 'expired', now)",
        "erased_recording.ErasedRecording(locked, ('r',), 'expired', now)",
        "from recorder.lifecycle.erased_recording import ErasedRecording as Erased\nErased(1)",
        "make = ErasedRecording",
        "map(ErasedRecording, rows)",
        "Verified[int](1, 'key', now)",
        "object.__new__(ErasedRecording)",
        "ErasedRecording.__new__(ErasedRecording)",
        "cast(ErasedRecording, row)",
        "typing.cast('ErasedRecording | None', row)",
        "def f(erased: ErasedRecording): return replace(erased, objects=('other',))",
        "def f(erased: ErasedRecording): return dataclasses.replace(erased, objects=('other',))",
        "def f(erased: ErasedRecording): return copy.replace(erased, objects=('other',))",
        "def f(erased: ErasedRecording): return erased.__replace__(objects=('other',))",
        "def f(erased: ErasedRecording): object.__setattr__(erased, 'objects', ('other',))",
        "def f(erased: ErasedRecording): return type(erased)(*fields)",
        "def f(erased: ErasedRecording): return erased.__class__(*fields)",
        "locked = lock_tenant('t')\nreplace(locked, tenant='another')",
        "replace(lock_tenant('t'), tenant='another')",
        "replace(status.chain, amendments=[])",
    ],
)
def test_a_line_that_makes_one_elsewhere_is_found(line: str) -> None:
    module = Module("recorder.features.example", ROOT, ast.parse(line))
    assert list(violations(module, index(), VERIFIERS))


def test_a_class_that_derives_from_one_elsewhere_has_no_verifier() -> None:
    tree = ast.parse("class MyErasure(RecordingErasure): ...")
    more = source_modules() | {"recorder.features.example": Module("recorder.features.example", ROOT, tree)}
    assert set(states(more)) - set(VERIFIERS) == {"MyErasure"}


WRONG_CALLS = """
def drop_by_id(recording: str) -> None:
    drop_bodies(recording)  # an id


def drop_by_row(row: RecordingRow) -> None:
    drop_bodies(row)  # a row


def bury_by_row(row: RecordingRow, now: datetime, entropy: Entropy) -> None:
    recordings.make_tombstone(row, now=now, entropy=entropy)  # a row


def drop_disputes_by_id(disputes: list[str], now: datetime, entropy: Entropy) -> None:
    drop_disputes(disputes, now, entropy)  # ids


def drop_disputes_of_recordings(erasure: RecordingErasure, now: datetime, entropy: Entropy) -> None:
    drop_disputes(erasure, now, entropy)  # the erasure of something else


def check_by_lock(locked: LockedTenant, chain: Chain) -> None:
    amendments.check_complete(locked, chain)  # a log that may be cut


def end_access_by_id(disputes: Disputes, dispute: Dispute, guest: str, by: By) -> None:
    disputes.end_access(dispute, guest, by)  # an id, of any user's


def note_copies_by_id(dispute: str) -> None:
    queries.note_copies(dispute, "r")  # an id


def remove_folder(folder: Path) -> None:
    remove_take(folder)  # a folder


def delete_sealed(sealed: SealedTake, store: Store, root: Ed25519PublicKey, revoked: Revoked) -> None:
    delete_remains(sealed, store, root, revoked)  # a take that may be the only copy


def drop_departure_by_id(tenant: str) -> None:
    drop_departure(tenant)  # an id


def end_lines_by_id(tenant: str, now: datetime, entropy: Entropy) -> None:
    end_lines(tenant, now, entropy)  # an id


def note_unsigned_departure(body: StatementBody, now: datetime, entropy: Entropy) -> None:
    note_departure(body, now=now, entropy=entropy)  # what nobody has signed


def note_cancelled_departure(cancelled: Cancellation, now: datetime, entropy: Entropy) -> None:
    note_departure(cancelled, now=now, entropy=entropy)  # by which the customer stays


def note_any_departure(statement: Statement, now: datetime, entropy: Entropy) -> None:
    note_departure(statement, now=now, entropy=entropy)  # which another one may follow


def erase_whoever_leaves(departure: Departure, now: datetime, entropy: Entropy) -> None:
    record_erasure(departure, now=now, entropy=entropy)  # which may not order it


def keep_whoever_leaves(departure: Departure, now: datetime, entropy: Entropy) -> None:
    record_cancellation(departure, now=now, entropy=entropy)  # which the customer did not cancel


def delete_key_by_id(tenant: str, store: Store) -> None:
    delete_tenant_key(tenant, store)  # an id


def delete_key_by_order(order: ErasureOrder, store: Store) -> None:
    delete_tenant_key(order, store)  # which the complete log may not confirm


def delete_key_unless_erased(statements: Statements, tenant: str, store: Store) -> None:
    delete_tenant_key(statements.find_erased(tenant), store)  # a customer who may not be erased


def expire_by_row(row: RecordingRow) -> None:
    amendments.update_expiry(row)  # a row


def expire_by_chain(chain: Chain) -> None:
    amendments.update_expiry(chain)  # a chain without its customer's limits


def limit_by_row(limit: PendingLimit, now: datetime, entropy: Entropy) -> None:
    limits.add_leaf(limit, now, entropy)  # what a row says


def delete_by_id(changes: Changes, recording: str, by: By) -> None:
    changes.delete(recording, by, reason="")  # an id


def narrow_by_row(changes: Changes, row: RecordingRow, by: By) -> None:
    changes.narrow(row, by, purposes=[], reason="")  # a row


def withdraw_by_chain(changes: Changes, chain: Chain, by: By) -> None:
    changes.withdraw(chain, by, reason="")  # a chain whose row nobody compared


def agree_by_id(changes: Changes, recording: str, by: By) -> None:
    changes.agree(recording, by, purpose="training", keep_days=9, reason="")  # an id


def defer_by_id(changes: Changes, recording: str, by: By, at: datetime) -> None:
    changes.defer_erasure(recording, by, dispute="d", until=at, purposes=[])  # an id


def leave_by_row(changes: Changes, row: RecordingRow, by: By) -> None:
    changes.leave(row, by, reason="")  # a row


def lift_by_row(changes: Changes, row: RecordingRow, by: By) -> None:
    changes.lift(row, by, hold=1, reason="settled")  # a row


def hold_by_id(changes: Changes, recording: str, by: By, at: datetime) -> None:
    changes.hold(recording, by, owner="u", purposes=[], reason="", review_at=at)  # an id


def hand_over_by_id(changes: Changes, recording: str, by: By) -> None:
    changes.hand_over(recording, by, hold=1, owner="u")  # an id


def erase_for_a_row(changes: Changes, request: RequestRow) -> None:
    erase_recording(changes, request, "r", "u")  # a row


def erase_calls_for_a_row(changes: Changes, request: RequestRow) -> None:
    erase_calls(changes, request, "u")  # a row


def erase_for_a_copy(changes: Changes, tenant: str, request: str) -> None:
    erase_recording(changes, service.find_copy_request(tenant, request), "r", "u")  # a request for a copy


def copy_by_id(gate: PersonalCopyExit, who: Actor, request: str) -> None:
    gate.copy(who, request, "r")  # an id


def grant_by_recording(sealed: VerifiedRecording, now: datetime, entropy: Entropy) -> None:
    grants.create_grant(sealed, now=now, entropy=entropy)  # a recording without a permitted purpose


def hear_recording(sounds: AudioReader, sealed: VerifiedRecording) -> None:
    sounds.open(sealed, "audio.opus")  # a recording that nobody was admitted to


def hear_as_guest(sounds: AudioReader, admission: GuestAdmission) -> None:
    sounds.open(admission, "audio.opus")  # an admission to no verified recording


def delete_objects(erased: ErasedTake, store: Store, root: Ed25519PublicKey, revoked: Revoked) -> None:
    delete_remains(erased, store, root, revoked)  # a call that was never sealed
"""


def test_an_id_or_a_row_in_place_of_one_is_a_type_error(tmp_path: Path) -> None:
    source = HEADER + WRONG_CALLS
    file = tmp_path / "wrong_calls.py"
    file.write_text(source, "utf-8")
    wrong = [number for number, line in enumerate(source.splitlines(), 1) if "  # " in line]
    command = [sys.executable, "-m", "mypy", "--config-file", "setup.cfg", "--no-error-summary", str(file)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = [line.split(": ", 2) for line in result.stdout.splitlines() if "[arg-type]" in line]
    assert [int(place.rpartition(":")[2]) for place, _, _ in lines] == wrong, result.stdout + result.stderr
