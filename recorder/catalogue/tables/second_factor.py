"""Second factors of users."""

from __future__ import annotations

from peewee import BigIntegerField, IntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, MomentField, Table


class SecondFactorTable(Table):
    """A user's signed set of second factors (:mod:`recorder.seal.second_factor`); ``id`` is the user's.
    ``app_key`` is the wrapped key that the authenticator app's secret is derived from."""

    offboarding = "deleted"

    not_compared = (
        ("app_key", "it must open to the secret whose SHA-256 was signed, or no code of the app is accepted"),
    )

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    number = IntegerField()
    statement = TextField()
    app_key = TextField(null=True)

    class Meta:
        table_name = "second_factor"


class FactorUseTable(Table):
    """The last use of a second factor. ``counter`` is the time step of an app's last code, or a passkey's
    signature counter; a smaller one is refused."""

    not_copied = "codes that were used in the last minute"
    not_compared = (
        (
            "id user_id counter used_at",
            "refuses used codes; without it, an app's code is accepted again until its minute is over",
        ),
    )

    id = TextField(primary_key=True)
    user_id = TextField(index=True)
    counter = BigIntegerField()
    used_at = MomentField()

    class Meta:
        table_name = "second_factor_use"


class SignInRuleTable(Table):
    """A customer's signed rule that everybody must have a second factor, or need not; ``id`` is the
    customer's, too."""

    offboarding = "deleted"

    id = TextField(primary_key=True)
    tenant_id = TextField()
    number = IntegerField()
    statement = TextField()

    class Meta:
        table_name = "sign_in_rule"


class FactorResetTable(Table):
    """An admin's signed request to reset a colleague's second factors, which another admin confirms."""

    offboarding = "deleted"

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    user_id = TextField()
    requested_by = TextField()
    statement = TextField()
    requested_at = MomentField()
    ended_at = MaybeMomentField(null=True)

    class Meta:
        table_name = "second_factor_reset"
