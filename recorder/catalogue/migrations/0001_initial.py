"""The first schema.  A frozen copy: the models go on, this file does not change any more."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, Database, ForeignKeyField, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Tenant(Model):
        id = TextField(primary_key=True)
        name = TextField()
        language = TextField()
        languages = TextField()
        time_zone = TextField()
        plan = TextField()
        country = TextField()
        wrapped_key = TextField()
        ledger_size = BigIntegerField(default=0)
        created_at = TextField()

        class Meta:
            database = db
            table_name = "tenant"

    db.create_tables([Tenant])

    class Sound(Model):
        sha256 = TextField(primary_key=True)
        wav = BlobField()
        duration_ms = IntegerField()
        created_at = TextField()

        class Meta:
            database = db
            table_name = "sound"

    db.create_tables([Sound])

    class Announcement(Model):
        id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, on_delete="RESTRICT")
        name = TextField()
        version = IntegerField()
        language = TextField()
        text = TextField()
        purposes = TextField()
        keep_days = IntegerField()
        sound = ForeignKeyField(Sound, column_name="sound_sha256", on_delete="RESTRICT")
        created_at = TextField()

        class Meta:
            database = db
            table_name = "announcement"
            indexes = ((("tenant", "name", "version"), True),)

    db.create_tables([Announcement])

    class User(Model):
        id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, on_delete="RESTRICT")
        login = TextField(unique=True)
        name = TextField()
        role = TextField()
        language = TextField()
        password_hash = TextField()
        created_at = TextField()
        revoked_at = TextField(null=True)

        class Meta:
            database = db
            table_name = "user_account"

    db.create_tables([User])

    class Session(Model):
        id = TextField(primary_key=True)
        user = ForeignKeyField(User, on_delete="CASCADE")
        token_sha256 = TextField(unique=True)
        created_at = TextField()
        seen_at = TextField()
        until = TextField(index=True)
        ended_at = TextField(null=True)

        class Meta:
            database = db
            table_name = "session"

    db.create_tables([Session])

    class Recording(Model):
        id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, on_delete="RESTRICT")
        line_id = TextField()
        number = TextField()
        direction = TextField()
        outside_kind = TextField(null=True)
        outside_value = TextField(null=True)
        inside_kind = TextField(null=True)
        inside_value = TextField(null=True)
        started_at = TextField()
        duration_ms = IntegerField()
        announcement_id = TextField()
        announcement_version = IntegerField()
        announced = IntegerField()
        purposes = TextField()
        restricted = TextField()
        keep_until = TextField(index=True)
        prefix = TextField(unique=True)
        manifest_sha256 = TextField()
        wrapped_key = TextField(null=True)
        objects = TextField()
        stored_bytes = BigIntegerField()
        stored_at = TextField()
        destroyed_at = TextField(null=True)
        destroyed_why = TextField(null=True)

        class Meta:
            database = db
            table_name = "recording"
            indexes = ((("tenant", "started_at", "id"), False),)

    db.create_tables([Recording])

    class Grant(Model):
        id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, on_delete="RESTRICT")
        user = ForeignKeyField(User, on_delete="RESTRICT")
        session = ForeignKeyField(Session, null=True, on_delete="SET NULL")
        recording = ForeignKeyField(Recording, on_delete="RESTRICT")
        purpose = TextField()
        manifest_sha256 = TextField()
        given_at = TextField()
        until = TextField(index=True)
        ended_at = TextField(null=True)

        class Meta:
            database = db
            table_name = "access_grant"

    db.create_tables([Grant])

    class LedgerEntry(Model):
        id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, on_delete="RESTRICT")
        number = BigIntegerField()
        kind = TextField()
        at = TextField()
        recording_id = TextField(index=True, null=True)
        body = TextField(null=True)
        salt = BlobField(null=True)
        leaf = TextField()
        leaf_hash = TextField()

        class Meta:
            database = db
            table_name = "ledger_entry"
            indexes = ((("tenant", "number"), True),)

    db.create_tables([LedgerEntry])

    class Line(Model):
        id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, on_delete="RESTRICT")
        number = TextField()
        digits = TextField()
        label = TextField()
        mode = TextField()
        timing = TextField()
        formats = TextField()
        announcement = ForeignKeyField(Announcement, on_delete="RESTRICT")
        since = TextField()
        until = TextField(null=True)

        class Meta:
            database = db
            table_name = "line"

    db.create_tables([Line])
    # A number has one owner at a time.
    db.execute_sql(  # type: ignore[no-untyped-call]
        "CREATE UNIQUE INDEX line_digits_active ON line (digits) WHERE until IS NULL"
    )

    class Listen(Model):
        id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, on_delete="RESTRICT")
        grant = ForeignKeyField(Grant, on_delete="RESTRICT")
        play = TextField()
        name = TextField()
        opened_at = TextField()
        sent_bytes = BigIntegerField(default=0)
        last_sent_at = TextField()
        closed_at = TextField(null=True)

        class Meta:
            database = db
            table_name = "listen"

    db.create_tables([Listen])
    # The requests of one play are one listen, also when two of them come at once.
    db.execute_sql(  # type: ignore[no-untyped-call]
        "CREATE UNIQUE INDEX listen_play_open ON listen (grant_id, play) WHERE closed_at IS NULL"
    )

    class NotRecorded(Model):
        id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, null=True, on_delete="RESTRICT")
        line_id = TextField(null=True)
        number = TextField()
        direction = TextField()
        node = TextField()
        outside_kind = TextField()
        outside_value = TextField()
        started_at = TextField()
        ended_at = TextField()
        reason = TextField()
        quarantined_until = TextField(null=True)
        noted_at = TextField()

        class Meta:
            database = db
            table_name = "not_recorded"
            indexes = ((("tenant", "started_at", "id"), False),)

    db.create_tables([NotRecorded])

    class Purpose(Model):
        id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, on_delete="RESTRICT")
        code = TextField()
        labels = TextField()
        legal_basis = TextField()
        longest_days = IntegerField()
        roles = TextField()
        created_at = TextField()

        class Meta:
            database = db
            table_name = "purpose"
            indexes = ((("tenant", "code"), True),)

    db.create_tables([Purpose])

    class Revision(Model):
        name = TextField(primary_key=True)
        number = IntegerField()

        class Meta:
            database = db
            table_name = "revision"

    db.create_tables([Revision])


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.drop_table("revision"))
    migrator.migrate(migrator.drop_table("purpose"))
    migrator.migrate(migrator.drop_table("not_recorded"))
    migrator.migrate(migrator.drop_table("listen"))
    migrator.migrate(migrator.drop_table("line"))
    migrator.migrate(migrator.drop_table("ledger_entry"))
    migrator.migrate(migrator.drop_table("access_grant"))
    migrator.migrate(migrator.drop_table("recording"))
    migrator.migrate(migrator.drop_table("session"))
    migrator.migrate(migrator.drop_table("user_account"))
    migrator.migrate(migrator.drop_table("announcement"))
    migrator.migrate(migrator.drop_table("sound"))
    migrator.migrate(migrator.drop_table("tenant"))
