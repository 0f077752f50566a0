"""Tampering with rows, and with objects in the bucket."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pyotp

from recorder.catalogue.database import database, writing
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.branding import BrandingTable
from recorder.catalogue.tables.download_permission import DownloadPermissionTable
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.second_factor import SecondFactorTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.features.branding.service import save_branding
from recorder.identity import download_permission, users
from recorder.seal import download_permission as permission
from recorder.seal.amendment import By
from recorder.seal.branding import KIND as branding_kind
from recorder.seal.branding import Branding
from recorder.seal.credential import Credential, write
from recorder.seal.download_permission import DownloadPermission
from recorder.seal.second_factor import KIND, read

from .conftest import World
from .tampering import change_recording, found_as, object_of

# --- rows


@found_as("row.deleted")
def deleted_recording_row(world: World) -> None:
    with writing():
        for model in (ListenTable, GrantTable, AmendmentTable):
            model.delete().execute()
        RecordingTable.delete().where(RecordingTable.id == world.live_recording).execute()


@found_as("row.changed")
def changed_manifest_hash_in_row(world: World) -> None:
    change_recording(world, manifest_sha256="00" * 32)


@found_as("row.changed")
def unreadable_recording_row(world: World) -> None:
    with writing():
        database.execute_sql("UPDATE recording SET purposes = 'x', stored_at = 'y'")


@found_as("row.changed", "announcement")
def unreadable_announcement_row(world: World) -> None:
    with writing():
        database.execute_sql("UPDATE announcement SET purposes = 'x'")


@found_as("row.changed")
def changed_external_party_in_row(world: World) -> None:
    change_recording(world, external_value="+32499000000")


@found_as("row.changed")
def extended_retention_in_row(world: World) -> None:
    change_recording(world, keep_until=world.house.clock() + timedelta(days=900))


@found_as("row.erased")
def tombstone_in_row_only(world: World) -> None:
    change_recording(world, erased_at=world.house.clock(), erasure_reason="expired", wrapped_key=None)


@found_as("row.changed")
def changed_reason_in_tombstone_row(world: World) -> None:
    with writing():
        RecordingTable.update(erasure_reason="not_announced").where(
            RecordingTable.id == world.erased
        ).execute()


@found_as("row.changed", "access_grant")
def changed_purpose_of_grant(world: World) -> None:
    with writing():
        GrantTable.update(purpose="quality").where(GrantTable.recording == world.live_recording).execute()


@found_as("row.changed", "listen")
def changed_bytes_of_listen(world: World) -> None:
    with writing():
        ListenTable.update(sent_bytes=1).execute()


@found_as("row.deleted", "listen")
def deleted_listen(world: World) -> None:
    with writing():
        ListenTable.delete().execute()


@found_as("row.unlogged", "listen")
def forged_listen(world: World) -> None:
    with writing():
        row = ListenTable.select().dicts().first()
        ListenTable.create(**row | {"id": "made up", "play": "other"})


@found_as("row.deleted", "unrecorded_call")
def deleted_unrecorded_call(world: World) -> None:
    with writing():
        NotRecordedTable.delete().execute()


@found_as("row.deleted", "unrecorded_call")
def unrecorded_call_replaced_by_another_customers_recording(world: World) -> None:
    other = world.house.customer("Reliure Adam", "+3225550177")
    with writing():
        row = RecordingTable.select().where(RecordingTable.id == world.live_recording).dicts().get()
        call = NotRecordedTable.select().where(NotRecordedTable.tenant == world.tenant).first()
        RecordingTable.create(**row | {"id": call.id, "tenant": other.id, "prefix": f"{other.id}/"})
        NotRecordedTable.delete().execute()


@found_as("row.changed", "user_account")
def changed_role_of_user(world: World) -> None:
    with writing():
        UserTable.update(role="customer").execute()


@found_as("row.unlogged", "user_account")
def forged_user(world: World) -> None:
    with writing():
        row = UserTable.select().dicts().first()
        UserTable.create(**row | {"id": "made up", "login": "mallory"})


@found_as("row.changed", "line")
def changed_timing_of_line(world: World) -> None:
    with writing():
        LineTable.update(timing="before_ringing").execute()


@found_as("row.changed", "tenant")
def changed_country_of_tenant(world: World) -> None:
    with writing():
        TenantTable.update(country="be").execute()


@found_as("amendment.row_differs")
def deleted_tombstone_row(world: World) -> None:
    with writing():
        AmendmentTable.delete().execute()


# --- objects


@found_as("object.block")
def changed_audio(world: World) -> None:
    path = object_of(world, "audio.opus")
    path.write_bytes(path.read_bytes()[:-1] + b"x")


@found_as("object.missing")
def deleted_audio(world: World) -> None:
    object_of(world, "audio.opus").unlink()


@found_as("seal.signature")
def changed_manifest(world: World) -> None:
    path = object_of(world, "manifest.json")
    path.write_bytes(path.read_bytes().replace(b'"duration_ms":60000', b'"duration_ms":60001'))


@found_as("manifest.missing")
def deleted_manifest(world: World) -> None:
    object_of(world, "manifest.json").unlink()


@found_as("row.erased")
def deleted_tombstone_in_bucket(world: World) -> None:
    next(world.house.bucket.glob(f"*/*/*/*/{world.erased}/amendment-0001.json")).unlink()


# --- log-ins, by somebody who has the panel's key


@found_as("row.unlogged", "user_account")
def log_in_signed_past_the_log(world: World) -> None:
    credential = Credential(world.tenant, "user", "made up", "customer_admin", "ab" * 32, world.house.clock())
    with writing():
        row = UserTable.select().dicts().first()
        signed = write(credential, world.house.changes.signer)
        UserTable.create(**row | {"id": "made up", "login": "mallory", "credential": signed})


def _add_app(world: World) -> None:
    person, factors = users.user(world.tenant, world.user), world.house.factors
    key = factors.new_app_key(person)
    assert factors.add_app(person, key, pyotp.TOTP(factors.secret(person, key)).at(world.house.clock()))
    world.sign()


@found_as("row.changed", "second_factor")
def second_factor_signed_past_the_log(world: World) -> None:
    _add_app(world)
    at = world.house.clock()
    with writing():
        row = SecondFactorTable.get()
        factors = replace(read(row.statement, world.house.root_public).value, app=None)
        signed = KIND.write(factors, world.house.changes.signer, at).decode()
        SecondFactorTable.update(statement=signed).execute()


@found_as("row.changed", "download_permission")
def download_permission_signed_past_the_log(world: World) -> None:
    house, owner = world.house, (world.tenant, world.user)
    signing = {"signer": house.changes.signer, "trust": house.trust, "entropy": house.entropy}
    for allowed in (True, False):
        download_permission.set_permission(*owner, allowed, By("operator"), now=house.clock(), **signing)
    world.sign()
    permission_given = DownloadPermission(*owner, 2, True)
    signed = permission.KIND.write(permission_given, house.changes.signer, house.clock()).decode()
    with writing():
        DownloadPermissionTable.update(statement=signed).execute()


@found_as("row.changed", "branding")
def branding_signed_past_the_log(world: World) -> None:
    house, branding = world.house, Branding(world.tenant, 1, world.user, name="Telvoip")
    save_branding(branding, signer=house.changes.signer, now=house.clock(), entropy=house.entropy)
    world.sign()
    signed = branding_kind.write(replace(branding, name="Telvolp"), house.changes.signer, house.clock())
    with writing():
        BrandingTable.update(statement=signed.decode()).execute()


@found_as("row.deleted", "second_factor")
def removed_second_factor(world: World) -> None:
    _add_app(world)
    with writing():
        SecondFactorTable.delete().execute()


@found_as("log.behind")
def removed_second_factor_with_its_leaves(world: World) -> None:
    _add_app(world)
    with writing():
        SecondFactorTable.delete().execute()
        LeafTable.delete().where(LeafTable.kind == "user.factors_changed").execute()
