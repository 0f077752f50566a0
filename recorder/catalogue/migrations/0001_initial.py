"""The tables and indexes, made from the models. With the first release, what it makes is frozen here as
data, and the models go on."""

from __future__ import annotations

from peewee import Database, PostgresqlDatabase, SchemaManager, sort_models  # type: ignore[attr-defined]
from playhouse.migrate import SchemaMigrator

from recorder.catalogue.tables.listed_call import PartySuffixTable
from recorder.catalogue.tables.registry import TABLES

ACTOR = (
    """CREATE INDEX log_leaf_actor ON log_leaf (tenant_id, """
    """(CASE WHEN {at}(body, '"actor":"') > 0 THEN substr(body, {at}(body, '"actor":"') + 9, 36) """
    """WHEN {at}(body, '"by":"') > 0 THEN substr(body, {at}(body, '"by":"') + 6, 36) """
    """WHEN {at}(body, '"user":"') > 0 THEN substr(body, {at}(body, '"user":"') + 8, 36) END), """
    """at, number, kind)"""
)
"""Who a leaf is about or by, for the access log."""


def up(_migrator: SchemaMigrator, db: Database) -> None:
    for model in sort_models([each for each in TABLES if each is not PartySuffixTable]):
        SchemaManager(model, db).create_all(safe=False)
    at = "strpos" if isinstance(db, PostgresqlDatabase) else "instr"
    db.execute_sql(ACTOR.format(at=at))  # type: ignore[no-untyped-call]
