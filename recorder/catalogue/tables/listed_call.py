"""The search index of the call list, which the database's own triggers derive from ``recording`` and
``unrecorded_call`` (migration 0002): it cannot lag behind them, whichever version writes.

Every key begins with the tenant, or with an id that belongs to one tenant, so that a search costs nothing
that depends on other tenants' calls.
"""

from __future__ import annotations

from peewee import SQL, AutoField, BigIntegerField, CompositeKey, IntegerField, TextField

from recorder.catalogue.database import Table

DERIVED = (
    "derived from the calls' rows by triggers; a wrong one at most leaves a call out of the list, until "
    "`accord rebuild` derives it again"
)


class ListedCallTable(Table):
    """A call of the list: a recording that is not erased (``recorded``), or an unrecorded call.

    ``line`` is an id of :class:`ListedLineTable`; ``external`` and ``internal`` are ids of
    :class:`ListedPartyTable`. ``consent`` is ``None`` where the call was only announced, ``agreement`` where
    the keep question was not asked; ``entered`` is one that was entered after the call."""

    not_copied = "triggers derive them from the calls' rows"
    not_compared = (
        ("consent agreement", "derived from the call's row by triggers, for a filter of the list alone"),
    )

    id = TextField(primary_key=True)
    tenant_id = TextField()
    started_ms = BigIntegerField()
    recorded = IntegerField()
    line = IntegerField()
    external = IntegerField(null=True)
    internal = IntegerField(null=True)
    direction = TextField()
    duration_ms = IntegerField(null=True)
    consent = TextField(null=True)
    agreement = TextField(null=True)
    reason = TextField(null=True)

    class Meta:
        table_name = "listed_call"
        indexes = (
            (("tenant_id", "started_ms"), False),
            (("tenant_id", "duration_ms"), False),
            (("line", "started_ms"), False),
            (("external", "started_ms"), False),
            (("internal", "started_ms"), False),
        )


def _facet(column: str, where: str) -> None:
    ListedCallTable.add_index(
        ListedCallTable.tenant_id,
        getattr(ListedCallTable, column),
        ListedCallTable.started_ms,
        where=SQL(where),
        name=f"listed_call_{column}",
    )


_facet("consent", "consent IS NOT NULL")
_facet("agreement", "agreement IS NOT NULL")
_facet("reason", "reason IS NOT NULL")
_facet("direction", "direction = 'outbound'")
_facet("recorded", "recorded = 0")


class ListedLineTable(Table):
    """A line of listed calls: its id (empty where a call has none) and its number."""

    not_copied = "triggers derive them"
    not_compared = (("id tenant_id line_id number", DERIVED),)

    id = AutoField()
    tenant_id = TextField()
    line_id = TextField()
    number = TextField()

    class Meta:
        table_name = "listed_line"
        indexes = ((("tenant_id", "line_id", "number"), True),)


class ListedPartyTable(Table):
    """A number or address of a party of a listed call; it goes with the last of its calls."""

    not_copied = "triggers derive them; and a backup has no number of a party"
    not_compared = (("id tenant_id value", DERIVED),)

    id = AutoField()
    tenant_id = TextField()
    value = TextField()

    class Meta:
        table_name = "listed_party"
        indexes = ((("tenant_id", "value"), True),)


class ListedColleagueTable(Table):
    """A party of our side in a listed call that had several."""

    not_copied = "triggers derive them"
    not_compared = (("id tenant_id call_id party started_ms", DERIVED),)

    id = AutoField()
    tenant_id = TextField()
    call_id = TextField()
    party = IntegerField()
    started_ms = BigIntegerField()

    class Meta:
        table_name = "listed_colleague"
        indexes = ((("call_id", "party"), True), (("party", "started_ms"), False))


class PartySuffixTable(Table):
    """Each end of a party's value in small letters, cut to 16 characters: a part of a number is the beginning
    of one of them, so that one range of this table's key finds it."""

    not_copied = "triggers derive them"
    not_compared = (("tenant_id suffix party", DERIVED),)

    tenant_id = TextField()
    suffix = TextField()
    party = IntegerField()

    class Meta:
        table_name = "party_suffix"
        primary_key = CompositeKey("tenant_id", "suffix", "party")
        without_rowid = True
