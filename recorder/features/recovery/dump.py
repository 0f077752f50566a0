"""Dumps the catalogue's rows for ``accord backup``, and loads them for ``accord restore``.

What the bucket holds is left out: parties, recordings' keys, amendments. An erasure reaches bucket and
catalogue, but no backup in a safe, so of what can be erased a backup contains only what is nowhere else: the
bodies of leaves, and notes. Those of recordings erased since are dropped again once `accord rebuild` reads
their tombstones.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from peewee import SqliteDatabase

from recorder.auditlog.append import append
from recorder.catalogue.database import Table, connected, database, writing
from recorder.catalogue.schema import FOLDER
from recorder.catalogue.tables import registry
from recorder.catalogue.tables.announcement import SoundTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.change_counter import ChangeCounterTable
from recorder.catalogue.tables.identity import SessionTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import BackupError
from recorder.ids import Entropy
from recorder.lifecycle import hold_review

TABLES: Final = tuple(each for each in registry.TABLES if not each.not_copied)

OMITTED: Mapping[type[Table], tuple[str, ...]] = {
    RecordingTable: (
        "external_kind", "external_value", "internal_kind", "internal_value", "colleagues", "wrapped_key",
    )
}  # fmt: skip
"""Columns that stay empty in a copy until ``accord rebuild`` has read the bucket."""

BACKED_UP = "catalogue.backed_up"
"""The leaf that says so."""

PAGE = 500
PAGE_BYTES = 4 * 1024 * 1024

BY_NAME: Mapping[str, type[Table]] = {model._meta.table_name: model for model in TABLES}


def schema_names() -> tuple[str, ...]:
    """The migrations of this catalogue. Raises :class:`BackupError` (``backup.schema``) if they are not
    exactly this version's: columns unknown to it would be lost."""
    with connected():
        found = database.execute_sql("SELECT name FROM schema_migration ORDER BY name").fetchall()
    names = tuple(str(name) for (name,) in found)
    known = tuple(sorted(path.stem for path in FOLDER.glob("[0-9]*.py")))
    if names != known:
        raise BackupError(
            "backup.schema",
            f"the catalogue's schema is that of another version ({', '.join(sorted({*names} ^ {*known}))})",
            "use the version of Accord that migrated the catalogue last",
        )
    return names


@contextmanager
def snapshot() -> Iterator[None]:
    """A read-only transaction: the catalogue at one moment, while other processes write."""
    with connected():
        if isinstance(database.obj, SqliteDatabase):
            with database.atomic("DEFERRED"):
                yield
        else:
            with database.atomic():
                database.execute_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield


def columns(model: type[Table]) -> list[str]:
    """A table's column names, in a fixed order."""
    return sorted(field.column_name for field in model._meta.sorted_fields)


def rows(model: type[Table], now: datetime) -> Iterator[list[Any]]:
    """A table's rows as JSON values, by primary key, a page at a time. Sessions are ended: a restored session
    must not be valid."""
    fields = [_fields(model)[name] for name in columns(model)]
    key: Any = model._meta.primary_key
    left_out = OMITTED.get(model, ())
    last: Any = None
    while True:
        query = model.select() if last is None else model.select().where(key > last)
        page = list(query.order_by(key).limit(PAGE if model is not SoundTable else 4))
        for row in page:
            if isinstance(row, SessionTable) and row.ended_at is None:
                row.ended_at = now
            yield [
                None if each.column_name in left_out else _to_json(each, row.__data__[each.name])
                for each in fields
            ]
        if not page:
            return
        last = page[-1].__data__[key.name]


def note_backup(made_at: datetime, kek: str, entropy: Entropy) -> None:
    """Append a leaf to every customer's log that the catalogue is backed up, and under which key."""
    with connected():
        tenants = [row.id for row in TenantTable.select(TenantTable.id).order_by(TenantTable.id)]
    for tenant in tenants:
        with writing():
            append(tenant, BACKED_UP, {"kek": kek}, made_at, entropy)


def last_backup() -> datetime | None:
    """When the newest backup was made, by the customers' logs; ``None`` if there was none."""
    with connected():
        leaf = (
            LeafTable.select(LeafTable.at)
            .where(LeafTable.kind == BACKED_UP)
            .order_by(LeafTable.at.desc())
            .first()
        )
    return None if leaf is None else leaf.at


def check_empty() -> None:
    """Raises :class:`BackupError` (``backup.not_empty``) if the catalogue has rows."""
    filled = [
        model._meta.table_name
        for model in TABLES
        if model is not ChangeCounterTable and model.select().exists()
    ]
    if filled:
        raise BackupError(
            "backup.not_empty",
            f"the catalogue has rows ({', '.join(filled)}); a backup can only be restored into an empty one",
            "set a new catalogue in [catalogue] url, run `accord migrate`, restore, and then rebuild",
        )


@contextmanager
def restoration(made_at: datetime, now: datetime, entropy: Entropy) -> Iterator[None]:
    """One transaction in which rows are restored, all or none. Afterwards expiry is suspended until the holds
    are confirmed, and each customer's log states the backup that it resumes from."""
    with writing():
        check_empty()
        ChangeCounterTable.delete().execute()
        yield
        tenants = [row.id for row in TenantTable.select(TenantTable.id).order_by(TenantTable.id)]
        for tenant in tenants:
            body = {"backup": made_at.isoformat(timespec="seconds")}
            append(tenant, "catalogue.restored", body, now, entropy)
        hold_review.require_confirmation("restore", now, entropy)


def insert(model: type[Table], names: Sequence[str], values: Iterable[Sequence[Any]]) -> int:
    """Insert rows from :func:`rows` into a table, inside :func:`restoration`; returns how many."""
    fields = [_fields(model)[name] for name in names]
    count = size = 0
    batch: list[dict[Any, Any]] = []
    for row in values:
        batch.append(
            {each: each.python_value(_from_json(value)) for each, value in zip(fields, row, strict=True)}
        )
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


def _to_json(field: Any, value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"b64": base64.b64encode(bytes(value)).decode("ascii")}
    return field.db_value(value)


def _from_json(value: Any) -> Any:
    return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value
