"""A transaction that depends on what it reads, or appends a leaf, first excludes others of the same customer.

On SQLite they are excluded anyway, so no test there would miss a lock; on PostgreSQL two would both pass a
check that only one of them may.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.unit.architecture.source_tree import source_modules

WITHOUT_LOCK = {
    "each statement has its condition in itself": {
        "recorder.auditlog.mail_witness._send",
        "recorder.features.live.queries.answer",
        "recorder.features.live.queries.expire_command",
        "recorder.features.live.queries.take",
        "recorder.features.team.account_links.drop_old",
        "recorder.identity.api_tokens.revoke",
        "recorder.identity.factor_set.reset",
        "recorder.identity.factor_set.set_app_key",
        "recorder.identity.factor_set.use",
        "recorder.identity.users.drop_old_sessions",
        "recorder.identity.users.touch_session",
        "recorder.lifecycle.amendments.begin_amendment",
        "recorder.lifecycle.amendments.end_amendment",
        "recorder.lifecycle.limits.note_applied",
        "recorder.lifecycle.wrapped_key_rows.set_recording_key",
        "recorder.playback.grants.take_back",
    },
    "only adds, whatever else is there": {
        "recorder.features.live.service.request_command",
        "recorder.features.recovery.dump.note_backup",
        "recorder.features.subject_requests.service.enter",
        "recorder.features.tenants.registration.Registration.create_customer",
        "recorder.features.tenants.registration.Registration.open_provider",
        "recorder.features.tenants.registration.Registration.register",
        "recorder.identity.api_tokens.create",
        "recorder.identity.tenants.create_tenant",
        "recorder.identity.users.create_user",
        "recorder.identity.users.note_refused_log_in",
        "recorder.lifecycle.hold_review.suspend_expiry",
        "recorder.lifecycle.recordings.note_quarantine_erasure",
        "recorder.playback.grants.note_event",
    },
    "what it calls locks": {
        "recorder.identity.users.end_sessions",
    },
    "nobody else writes: a restore, a rebuild, or the erasure of a customer who has left": {
        "recorder.features.recovery.dump.restoration",
        "recorder.features.recovery.recording_rows.RowRestorer.restore",
    },
    "the worker that holds the handover's lease, and each row only for the current one": {
        "recorder.features.offboarding.handover_queries.add_recordings",
    },
    "a node's own rows, by its one worker": {
        "recorder.features.live.queries.change",
        "recorder.features.live.queries.drop_old",
        "recorder.features.live.queries.put",
    },
}
"""The transactions without a lock in modules that lock or append, by the reason."""

LOCKS = ("lock_tenant", "tenant_lock")

FOR_THE_CALLER = {"recorder.identity.users", "recorder.features.recovery.recording_rows"}
"""Modules in which a function locks inside its caller's transaction."""


def test_transactions_lock_their_customer() -> None:
    listed = {name for names in WITHOUT_LOCK.values() for name in names}
    assert {name for name, locked in transactions() if not locked} == listed


def test_functions_lock_for_their_callers_where_listed() -> None:
    assert {name for name in source_modules() if _locks_outside(name)} == FOR_THE_CALLER


def transactions() -> Iterator[tuple[str, bool]]:
    """Each transaction of the modules that lock or append, by its function, and whether it locks."""
    for module in source_modules().values():
        if not any(_calls(module.tree, name) for name in (*LOCKS, "append", "append_all")):
            continue
        for name, block in _blocks(module.tree, module.name):
            yield name, any(_calls(block, lock) for lock in LOCKS)


def _blocks(node: ast.AST, name: str) -> Iterator[tuple[str, ast.With]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield from _blocks(child, f"{name}.{child.name}")
            continue
        if isinstance(child, ast.With) and any(
            _is_call(each.context_expr, kind) for each in child.items for kind in ("writing", "tenant_lock")
        ):
            yield name, child
        yield from _blocks(child, name)


def _locks_outside(module: str) -> bool:
    tree = source_modules()[module].tree
    inside = {id(node) for _, block in _blocks(tree, module) for node in ast.walk(block)}
    return any(_is_call(node, "lock_tenant") and id(node) not in inside for node in ast.walk(tree))


def _calls(node: ast.AST, name: str) -> bool:
    return any(_is_call(each, name) for each in ast.walk(node))


def _is_call(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
