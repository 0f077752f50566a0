"""Dumps the catalogue's rows for ``accord backup``, and loads them for ``accord restore``.

What the bucket holds is left out: parties, recordings' keys, amendments.  An erasure reaches bucket and
catalogue but no backup that somebody has put away, so a backup contains nothing that can be erased.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from peewee import SqliteDatabase

from recorder.auditlog.append import append
from recorder.catalogue.database import Table, connected, database, writing
from recorder.catalogue.schema import FOLDER
from recorder.catalogue.tables.announcement import AnnouncementTable, PurposeTable, SoundTable
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable, RecipientTable
from recorder.catalogue.tables.change_counter import ChangeCounterTable
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.catalogue.tables.identity import ApiTokenTable, SessionTable, UserTable
from recorder.catalogue.tables.line import LineDeleteOptionTable, LineKeepOptionTable, LineTable
from recorder.catalogue.tables.offboarding import HandedRecordingTable, HandoverFetchTable, OffboardingTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.retention_limit import RetentionLimitTable
from recorder.catalogue.tables.subject_request import (
    ErasedCallTable,
    ReviewTable,
    SubjectRequestTable,
)
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import BackupError
from recorder.ids import Entropy
from recorder.lifecycle import hold_review

COPIED: tuple[type[Table], ...] = (
    TenantTable,
    UserTable,
    SessionTable,
    SoundTable,
    PurposeTable,
    AnnouncementTable,
    LineTable,
    LineDeleteOptionTable,
    LineKeepOptionTable,
    RecordingTable,
    NotRecordedTable,
    GrantTable,
    ListenTable,
    LeafTable,
    RetentionLimitTable,
    ChangeCounterTable,
    ApiTokenTable,
    CheckpointTable,
    RecipientTable,
    SubjectRequestTable,
    ReviewTable,
    ErasedCallTable,
    OffboardingTable,
    HandedRecordingTable,
    HandoverFetchTable,
)
"""In an order in which each row comes after those that it refers to."""

WITHOUT: Mapping[type[Table], tuple[str, ...]] = {
    RecordingTable: ("external_kind", "external_value", "internal_kind", "internal_value", "wrapped_key")
}
"""Columns that stay empty in a copy until ``accord rebuild`` has read the bucket."""

PAGE = 500
PAGE_BYTES = 4 * 1024 * 1024

BY_NAME: Mapping[str, type[Table]] = {model._meta.table_name: model for model in COPIED}


def schema_names() -> tuple[str, ...]:
    """The migrations that this catalogue has had.  Raises :class:`BackupError` (``backup.schema``) where
    they are not exactly this version's: columns that it does not know would be lost."""
    with connected():
        found = database.execute_sql("SELECT name FROM schema_migration ORDER BY name").fetchall()
    names = tuple(str(name) for (name,) in found)
    known = tuple(sorted(path.stem for path in FOLDER.glob("[0-9]*.py")))
    if names != known:
        raise BackupError(
            "backup.schema",
            f"the catalogue's schema is that of another version ({', '.join(sorted({*names} ^ {*known}))})",
            "use the Accord that the catalogue was last migrated with",
        )
    return names


@contextmanager
def snapshot() -> Iterator[None]:
    """One transaction that only reads: the catalogue as it is at one moment, while others go on writing."""
    with connected():
        if isinstance(database.obj, SqliteDatabase):
            with database.atomic("DEFERRED"):
                yield
        else:
            with database.atomic():
                database.execute_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield


def columns(model: type[Table]) -> list[str]:
    """Names of a table's columns, in a fixed order."""
    return sorted(field.column_name for field in model._meta.sorted_fields)


def rows(model: type[Table], now: datetime) -> Iterator[list[Any]]:
    """A table's rows as JSON knows them, by primary key, a page at a time.  Sessions are ended: who was
    logged in when a copy was made is not when it is brought back."""
    fields = [_fields(model)[name] for name in columns(model)]
    key: Any = model._meta.primary_key
    left_out = WITHOUT.get(model, ())
    last: Any = None
    while True:
        query = model.select() if last is None else model.select().where(key > last)
        page = list(query.order_by(key).limit(PAGE if model is not SoundTable else 4))
        for row in page:
            if isinstance(row, SessionTable) and row.ended_at is None:
                row.ended_at = now
            yield [
                None if each.column_name in left_out else _plain(each, row.__data__[each.name])
                for each in fields
            ]
        if not page:
            return
        last = page[-1].__data__[key.name]


def note_copy(made_at: datetime, kek: str, entropy: Entropy) -> None:
    """Every customer's log says that a copy of the catalogue is made, and under which key."""
    with connected():
        tenants = [row.id for row in TenantTable.select(TenantTable.id).order_by(TenantTable.id)]
    for tenant in tenants:
        with writing():
            append(tenant, "catalogue.backed_up", {"kek": kek}, made_at, entropy)


def check_empty() -> None:
    """Raises :class:`BackupError` (``backup.not_empty``) where the catalogue has rows."""
    there = [
        model._meta.table_name
        for model in COPIED
        if model is not ChangeCounterTable and model.select().exists()
    ]
    if there:
        raise BackupError(
            "backup.not_empty",
            f"the catalogue has rows already ({', '.join(there)}); a backup is restored into an empty one",
            "name a new catalogue in [catalogue] url, run `accord migrate`, then restore, and rebuild last",
        )


@contextmanager
def bringing_back(made_at: datetime, now: datetime, entropy: Entropy) -> Iterator[None]:
    """One transaction in which rows are brought back; all of them or none.  Afterwards nothing expires
    until the holds are confirmed, and each customer's log says from when it goes on."""
    with writing():
        check_empty()
        ChangeCounterTable.delete().execute()
        yield
        tenants = [row.id for row in TenantTable.select(TenantTable.id).order_by(TenantTable.id)]
        for tenant in tenants:
            said = {"backup": made_at.isoformat(timespec="seconds")}
            append(tenant, "catalogue.restored", said, now, entropy)
        hold_review.wait_for_holds("restore", now, entropy)


def insert(model: type[Table], names: Sequence[str], values: Iterable[Sequence[Any]]) -> int:
    """Rows of :func:`rows` into a table, inside :func:`bringing_back`; how many."""
    fields = [_fields(model)[name] for name in names]
    count = size = 0
    batch: list[dict[Any, Any]] = []
    for row in values:
        batch.append({each: each.python_value(_rich(value)) for each, value in zip(fields, row, strict=True)})
        size += sum(len(value["b64"]) for value in row if isinstance(value, dict))
        if len(batch) == PAGE or size > PAGE_BYTES:
            count += len(batch)
            model.insert_many(batch).execute()
            batch, size = [], 0
    if batch:
        count += len(batch)
        model.insert_many(batch).execute()
    return count


def _fields(model: type[Table]) -> dict[str, Any]:
    return {field.column_name: field for field in model._meta.sorted_fields}


def _plain(field: Any, value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"b64": base64.b64encode(bytes(value)).decode("ascii")}
    return field.db_value(value)


def _rich(value: Any) -> Any:
    return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value
