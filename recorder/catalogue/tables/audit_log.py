"""A tenant's log: leaves, cached hashes of its tree, checkpoints, and their recipients.

Only ``recorder.auditlog`` writes them. The cached hashes can be rebuilt from the leaves, and the checkpoints
from the bucket.
"""

from __future__ import annotations

from peewee import SQL, BigIntegerField, BlobField, ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, MomentField, Table
from recorder.catalogue.tables.tenant import TenantTable


class SubtreeTable(Table):
    """The hash (hex) of the complete subtree of 256 ** ``level`` leaves that begins at leaf ``number`` times
    256 ** ``level``."""

    not_copied = "made again from the leaves"

    id = TextField(primary_key=True)
    tenant_id = TextField()
    level = IntegerField()
    number = BigIntegerField()
    hash = TextField()

    class Meta:
        table_name = "log_subtree"
        indexes = ((("tenant_id", "level", "number"), True),)


class CheckpointTable(Table):
    """A checkpoint; ``number`` counts from 1 for each tenant. ``place`` is its key in the bucket,
    ``stored_at`` the time when it was put there, ``stamped_at`` the time when it was timestamped."""

    not_compared = (("stored_at stamped_at", "progress of storing and timestamping, which can be repeated"),)

    id = TextField(primary_key=True)
    tenant_id = TextField()
    number = IntegerField()
    epoch = IntegerField()
    size = BigIntegerField()
    root = TextField()
    at = MomentField()
    note = TextField()
    place = TextField()
    stored_at = MaybeMomentField(null=True)
    stamped_at = MaybeMomentField(null=True)

    class Meta:
        table_name = "log_checkpoint"
        indexes = ((("tenant_id", "number"), True),)


class RecipientTable(Table):
    """A recipient of a tenant's newest checkpoint by mail, once a day, until ``until``."""

    offboarding = "deleted"

    not_compared = (("sent_at sent_number", "the last mail: at worst there is one more, or none for a day"),)

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    address = TextField()
    since = MomentField()
    until = MaybeMomentField(null=True)
    sent_at = MaybeMomentField(null=True)
    sent_number = IntegerField(null=True)

    class Meta:
        table_name = "checkpoint_recipient"


class LeafTable(Table):
    """A leaf of a tenant's log. ``leaf`` is the hashed text, without personal data; ``body`` and ``salt``
    open its commitment, and are erased with the recording that they are about."""

    not_compared = (("id", "only a name to find a leaf by: a proof shows the leaf itself"),)

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT", index=False)
    number = BigIntegerField()
    kind = TextField()
    at = MomentField()
    recording_id = TextField(null=True, index=True)
    body = TextField(null=True)
    salt = BlobField(null=True)
    leaf = TextField()
    leaf_hash = TextField()

    tenant_id: str

    class Meta:
        table_name = "log_leaf"
        indexes = (
            (("tenant", "number"), True),
            (("tenant", "at", "number"), False),
            (("tenant", "kind", "at", "number"), False),
        )


LeafTable.add_index(
    LeafTable.tenant,
    LeafTable.number,
    where=SQL("kind IN ('holds.unconfirmed', 'holds.confirmed')"),
    name="log_leaf_holds",
)


IS_STATED = SQL("kind = 'dispute.stated'")
"""The kind of the leaves about disputes' statements, which are read for what is due; the condition of their
index."""

LeafTable.add_index(LeafTable.at, where=IS_STATED, name="log_leaf_stated")


IS_DECISION = SQL(
    "kind IN ('announcement.created', 'retention_limit.lifted', 'retention_limit.set', 'line.created', "
    "'line.ended', 'token.revoked', 'user.password_changed', 'user.revoked')"
)
"""Kinds of leaves that are read before a row about the same thing is believed; the condition of their
index."""


IS_SIGN_IN = SQL("kind IN ('tenant.sign_in_changed', 'user.factor_reset_ended', 'user.factors_changed')")
"""Kinds of leaves that are read at log-in; the condition of their index."""


LeafTable.add_index(
    LeafTable.tenant, LeafTable.kind, LeafTable.number, where=IS_SIGN_IN, name="log_leaf_sign_in"
)


LeafTable.add_index(
    LeafTable.tenant, LeafTable.kind, LeafTable.number, where=IS_DECISION, name="log_leaf_decided"
)


IS_TEAM = SQL(
    "kind IN ('user.access_changed', 'user.login_changed', 'invitation.created', 'invitation.renewed', "
    "'invitation.withdrawn', 'invitation.accepted')"
)
"""Kinds of leaves that are read before a user's or an invitation's row is believed; the condition of their
index."""


LeafTable.add_index(LeafTable.tenant, LeafTable.number, where=IS_TEAM, name="log_leaf_team")


IS_LINE_SETUP = SQL(
    "kind IN ('line.created', 'line.changed', 'line.ended', 'line.proposed', 'line.proposal_dropped')"
)
"""Kinds of leaves that say what a line announces or is proposed to announce, and whether it is recorded; the
condition of their index."""


LeafTable.add_index(LeafTable.tenant, LeafTable.number, where=IS_LINE_SETUP, name="log_leaf_line")


IS_PERMISSION = SQL(
    "kind IN ('tenant.created', 'tenant.changed', 'tenant.plan_changed', 'tenant.country_changed', "
    "'tenant.country_decided', 'user.download_changed', 'tenant.suspended', 'tenant.resumed', "
    "'line.suspended', 'line.resumed', 'own_call.set_up')"
)
"""Kinds of leaves that say what a customer's name and plan are, which countries' rules apply, who may
download, what the provider has suspended, and whether people open their own calls; the condition of their
index."""


LeafTable.add_index(
    LeafTable.tenant, LeafTable.kind, LeafTable.number, where=IS_PERMISSION, name="log_leaf_permission"
)
