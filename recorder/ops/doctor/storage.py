"""What recordings are stored with: the catalogue, the keys and their copies, the object store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from recorder.audit.checkpoints import LATE
from recorder.auditlog import checkpoint
from recorder.catalogue import tenant_queries
from recorder.catalogue.database import without_password, writing
from recorder.catalogue.server_clock import clock_offset
from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.features.keys import copies
from recorder.features.tenants.line_policies import policies
from recorder.lifecycle import hold_review, line_rules, plans
from recorder.lifecycle.statements import Statements
from recorder.ops.doctor.findings import DoctorFinding, Patient, ok, warning, wrong
from recorder.processes import object_store
from recorder.processes.spool_holders import account
from recorder.seal import signing
from recorder.spool import disk_space
from recorder.store import capabilities
from recorder.store.directory import written_folders
from recorder.store.s3 import S3Store

RENEW_WITHIN = timedelta(days=30)
COPY_GOOD_FOR = timedelta(days=400)
"""A copy that nobody has looked at for longer may be one that nobody finds any more."""

MOST_NAMES = 3
"""How many folders are named in one line."""

SKEW = timedelta(seconds=5)
"""Between this machine's clock and the store's or the database's: two seconds are rounding and the way."""


def catalogue(patient: Patient) -> Iterator[DoctorFinding]:
    """The database is reachable, has this version's schema, and accepts writes."""
    url = patient.settings.catalogue_url
    patient.context.open_catalogue()
    with writing():
        skew = abs(clock_offset(patient.now))
    yield ok(f"catalogue: {without_password(url)}, schema is current, accepts writes")
    if (since := hold_review.holds_unconfirmed()) is not None:
        yield warning(
            f"catalogue: rebuilt at {to_iso(since)}: nothing expires until the legal holds are confirmed",
            "`accord rebuild --holds` lists them, `accord rebuild --confirm-holds` confirms them",
        )
    if skew > SKEW:
        yield warning(
            f"catalogue: the database's clock and this machine's are {skew.total_seconds():.0f} s apart",
            "synchronise both by NTP",
        )


def keys(patient: Patient) -> Iterator[DoctorFinding]:
    """The keys exist, only their owner can read them, and the root's endorsement of the signing key is
    valid."""
    patient.context.keyring()
    endorsed = patient.context.signer().endorsement
    now = patient.now()
    endorsed.check(patient.context.root(), "manifest", now)
    yield ok(f"keys: signing key {endorsed.key_id}, endorsed until {to_iso(endorsed.not_after)}")
    if absent := [use for use in signing.USES if use not in endorsed.uses]:
        yield wrong(
            f"keys: the signing key is not endorsed for {', '.join(absent)} and cannot sign those",
            "run `accord key renew` with the root's key",
        )
    if endorsed.not_after - now < RENEW_WITHIN:
        yield warning(
            f"keys: the signing key's endorsement ends in {(endorsed.not_after - now).days} days",
            "run `accord key renew` with the root's key: nothing can be sealed after that",
        )
    yield from panel_key(patient)
    if (patient.settings.keys_folder / signing.ROOT_KEY).exists() and not patient.settings.keys.disposable:
        yield warning(
            "keys: the root's private key is on this machine", "move it to a medium that is kept offline"
        )


def panel_key(patient: Patient) -> Iterator[DoctorFinding]:
    """The panel's key, if it is endorsed here, may sign the panel's kinds of statement and no others."""
    if (endorsement := patient.context.panel_endorsement()) is None:
        return
    renew = "run `accord key renew` with the root's key"
    if more := sorted({*endorsement.uses} - {*signing.PANEL_USES}):
        yield wrong(
            f"keys: the panel's key {endorsement.key_id} is also endorsed for {', '.join(more)}: "
            "an intruder in the panel could sign those",
            f"{renew}, and `accord key revoke {endorsement.key_id}`",
        )
    if absent := [use for use in signing.PANEL_USES if use not in endorsement.uses]:
        what = f"is not endorsed for {', '.join(absent)} and cannot sign those"
        yield wrong(f"keys: the panel's key {what}", renew)
    if not endorsement.not_before <= patient.now() <= endorsement.not_after:
        yield wrong(f"keys: the panel's key was endorsed until {to_iso(endorsement.not_after)}", renew)


def key_copies(patient: Patient) -> Iterator[DoctorFinding]:
    """Somebody has confirmed a copy, on another disk, of each key without which recordings are lost."""
    if patient.settings.keys.disposable:
        yield ok("key copies: none are asked for ([keys] disposable)")
        return
    folder = patient.settings.keys_folder
    keys_to_copy = {
        copies.KEK: ("the key-encryption key", patient.context.keyring().current),
        copies.ROOT: ("the root's key", signing.key_id(patient.context.root())),
    }
    confirmed = copies.verified_copies(folder)
    for kind, (name, identity) in keys_to_copy.items():
        hint = "run `accord key verify-copy <file>` on a copy: it checks the copy and notes where and when"
        copy = confirmed.get(kind)
        if copy is None:
            yield warning(f"key copies: no copy of {name} has been confirmed", hint)
        elif copy.key_id != identity:
            yield warning(f"key copies: the confirmed copy is of another {name[4:]}", hint)
        elif patient.now() - copy.at > COPY_GOOD_FOR:
            yield warning(f"key copies: the copy of {name} was last confirmed on {to_iso(copy.at)}", hint)
        else:
            yield _place_of(folder, name, copy)


def _place_of(folder: Path, name: str, copy: copies.KeyCopy) -> DoctorFinding:
    """Where a copy is, as far as that can be seen now."""
    same = copies.is_on_same_disk(folder, copy.path)
    if copy.same_disk if same is None else same:
        return warning(
            f"key copies: {name} and its copy {copy.path} are on one disk, and are lost together",
            "run `accord key backup <folder>` on a disk that goes elsewhere",
        )
    where = (
        "which is not here now: whether it still exists was not checked"
        if same is None
        else "on another file system; whether that is another disk cannot be seen"
    )
    return ok(f"key copies: {name}, confirmed on {to_iso(copy.at)} at {copy.path}, {where}")


def customer_keys(patient: Patient) -> Iterator[DoctorFinding]:
    """The key-encryption key opens every customer's key."""
    patient.context.open_catalogue()
    keyring = patient.context.keyring()
    known = tenant_queries.all_tenants()
    closed = 0
    for row in known:
        try:
            wrapped = tenant_queries.tenant_key(row.id)
            if wrapped is None and _erased(patient, row.id):
                continue
            if wrapped is not None:
                keyring.open_tenant_key(wrapped)
                continue
            error = SealError(
                "seal.key_missing", f"{row.name} has no key", "`accord rebuild` takes it from the bucket"
            )
        except SealError as failure:
            error = failure
        closed += 1
        yield wrong(f"customers: {error.message}", error.hint)
    if known and not closed:
        yield ok(f"customers: {len(known)}, the key-encryption key opens each one's key")
    if not known:
        yield warning("customers: there are none", "add one with `accord tenant create`")


def _erased(patient: Patient, tenant: str) -> bool:
    """Whether a signed statement says that a customer was erased, and so has no key."""
    context = patient.context
    return Statements(context.store(), context.root(), context.revoked()).orders_erasure(tenant)


def lines(patient: Patient) -> Iterator[DoctorFinding]:
    """Every line is recorded as its customer's country allows, with an announcement made for its mode."""
    patient.context.open_catalogue()
    misfits, all_lines = line_rules.find_misfits(), line_rules.count_active_lines()
    found = policies()
    unfit = found.unfit
    if found.unlogged:
        yield wrong(
            f"lines: {len(found.unlogged)} of {all_lines} are not recorded, because the log does not say "
            f"whose they are: first {found.unlogged[0].number}",
            "`accord audit run` names rows that were changed or made up outside Accord",
        )
    if unfit:
        yield wrong(
            f"lines: {len(unfit)} of {all_lines} are not recorded, because their announcement was made "
            f"for another mode: first {unfit[0].number}",
            "set the mode again with `accord line set --mode`, which composes the announcement for it",
        )
    if found.faulty:
        first = found.faulty[0]
        yield wrong(
            f"lines: {len(found.faulty)} of {all_lines} are recorded as the snapshot had them before, or not "
            f"at all: first {first.number}: {first.error.message}",
            first.error.hint,
        )
    if misfits:
        yield wrong(
            f"lines: {len(misfits)} of {all_lines} do not fit their customers' countries: "
            f"first {misfits[0].line.number}",
            "`accord country check` lists them, with the reason and what to do",
        )
    elif not unfit and not found.unlogged and not found.faulty:
        yield ok(f"lines: {all_lines}, each fits its customer's country")


def customer_plans(patient: Patient) -> Iterator[DoctorFinding]:
    """Every customer has a plan that there is."""
    patient.context.open_catalogue()
    tenants = tenant_queries.customers()
    without_plan = [(row, code) for row in tenants if (code := plans.plan_code(row.id)) not in plans.plans()]
    for row, code in without_plan:
        yield wrong(
            f"plans: {row.name} has the plan {code!r}, which there is no longer: it is treated as "
            f"{plans.STARTER!r} meanwhile",
            "add it to the file that `[web] plans` names, or give another one: `accord tenant set --plan`",
        )
    if not without_plan:
        yield ok(f"plans: {', '.join(plans.plans())}, each customer has one")


def store(patient: Patient) -> Iterator[DoctorFinding]:
    """The bucket stores, compares and returns objects; what it cannot do Accord does itself, more slowly."""
    if patient.settings.store.kind == "directory":
        object_store.directory(patient.settings).abilities()
        yield _store_folder(patient.settings.store_folder)
        return
    # Shorter time limits than the worker's, so that an unreachable store is reported now.
    bucket = replace(object_store.bucket(patient.settings), connect_timeout=3.0, read_timeout=8.0)
    able = S3Store(bucket).abilities()
    capability = capabilities.probe_server(bucket, os.urandom)
    yield ok(f"store: {bucket.endpoint or 'AWS'} bucket {bucket.name} stores, returns and deletes")
    for has, what, instead in (
        (
            able.put_if_absent,
            "refuses to overwrite",
            "Accord checks first, which is safe with one worker for each recording",
        ),
        (able.checks_sha256, "compares SHA-256", "Accord reads each object back: as safe, with more traffic"),
        (capability.ranges, "serves ranges", "playing from the middle reads the whole recording"),
    ):
        yield _able(has, what, instead)
    yield ok(
        f"store: versioning: {_yes(able.versioning)}, object lock: {_yes(able.object_lock)}"
        + ("" if able.versioning else " (without versions, what others overwrite or delete is lost)")
    )
    if capability.clock is None:
        return
    skew = abs(patient.now() - capability.clock)
    if skew > SKEW:
        yield DoctorFinding(
            "wrong" if skew > timedelta(minutes=10) else "warning",
            f"store: its clock and this machine's are {skew.total_seconds():.0f} s apart",
            "synchronise both by NTP: from 15 minutes on, the store refuses requests; signed times are wrong",
        )


def _store_folder(folder: Path) -> DoctorFinding:
    """Whether Accord's user may write to a store that is a folder. Nothing is written, since a folder that
    root made there would stop the worker, whose own readiness tells whether a write succeeds."""
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return wrong(f"store: the folder {folder} cannot be written", disk_space.read_only_hint(folder))
    if closed := [each for each in written_folders(folder) if not _may_write(folder, each)]:
        return wrong(
            f"store: Accord's user may not write to {', '.join(map(str, closed[:MOST_NAMES]))}"
            + (f" and {len(closed) - MOST_NAMES} more" if len(closed) > MOST_NAMES else ""),
            f"`chown -R --reference={folder} {folder}`",
        )
    return ok(f"store: the folder {folder}; one machine, no copies")


def _may_write(store: Path, folder: Path) -> bool:
    """Root may write anywhere, so for root the mode bits are compared with the owner of the store."""
    owner = store.stat().st_uid
    if os.geteuid() != 0 or owner == 0:
        return os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    user = account(owner)
    return user is None or user.may(folder, 7)


def embedded_store(patient: Patient) -> Iterator[DoctorFinding]:
    """Only the store itself can use its internal ports, which would delete objects that S3 holds locked."""
    if not patient.settings.store.embedded:
        return
    server = object_store.embedded(patient.settings)
    if (owner := server.other_owner()) is not None:
        yield wrong(
            f"embedded store: user {owner} of this machine listens on its port: what is stored is lost",
            "end that program, or set another [store] embedded_port; then run `accord audit run`",
        )
    elif found := server.open_ports():
        yield wrong(
            f"embedded store: any user of this machine can use port {', '.join(map(str, found))}: "
            "every object can be copied and deleted there, locked or not",
            "restart `accord run`, which makes the certificate that closes them; if another program uses "
            "these ports, set another [store] embedded_port",
        )
    else:
        yield ok("embedded store: its internal ports are closed to the machine's other users")


def _able(has: bool, what: str, instead: str) -> DoctorFinding:
    state: Literal["ok", "warning"] = "ok" if has else "warning"
    return DoctorFinding(state, f"store: {what}: {_yes(has)}", "" if has else instead)


def _yes(able: bool) -> str:
    return "yes" if able else "no"


def logs(patient: Patient) -> Iterator[DoctorFinding]:
    """Each customer's log was signed since it grew."""
    patient.context.open_catalogue()
    late = checkpoint.find_unsigned(patient.now() - LATE)
    if late:
        yield wrong(
            f"logs: {len(late)} have entries that are not signed yet, first that of customer {late[0]}",
            "check that the worker is running; `checkpoint.sign_failed` in its log has the reason, and "
            "`accord audit run` names what was changed",
        )
    else:
        yield ok("logs: every log is signed up to its last entries")


def log_lock(patient: Patient) -> Iterator[DoctorFinding]:
    """Checkpoints are stored where nobody can delete them."""
    if patient.settings.store.kind == "directory":
        yield ok("logs: checkpoints are in the store's folder, where its owner can delete them")
    elif not _locks(patient):
        yield warning(
            "logs: the store has no object lock: anyone who may write there can delete checkpoints",
            "use a bucket made with object lock, or send checkpoints by mail (`accord audit mail add`)",
        )
    else:
        yield ok("logs: the store locks checkpoints")


def _locks(patient: Patient) -> bool:
    bucket = replace(object_store.bucket(patient.settings), connect_timeout=3.0, read_timeout=8.0)
    return S3Store(bucket).abilities().object_lock
