"""Write access to the catalogue, without a signing key, opens neither the panel nor the API."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.identity import ApiTokenTable, SessionTable, UserTable
from recorder.errors import SealError
from recorder.identity import api_tokens, users
from recorder.seal import credential, signing
from recorder.seal.amendment import By
from tests.expected_errors import expect_error
from web.account.passwords import hash_password

SECRET = "accord_attacker"


def change(user_id: str, **columns) -> None:
    with writing():
        assert UserTable.update(**columns).where(UserTable.id == user_id).execute() == 1


@pytest.fixture
def claire(house, bakery):
    return bakery.people["claire"]


def logs_in(browser, login: str = "claire") -> bool:
    return browser().log_in(login).status_code == 303


def test_user_with_changed_row_cannot_log_in(house, bakery, rival, browser, claire) -> None:
    """Each change that would extend the user's rights, made alone and then reverted."""
    assert logs_in(browser)
    other = bakery.people["paul"]
    for columns in (
        {"role": "customer_admin"},
        {"tenant": rival.id},
        {"credential": None},
        {"credential": "{}"},
        {"credential": other.credential},
        {"password_hash": users.user(bakery.id, other.id).password_hash, "login": "mallory"},
    ):
        change(claire.id, **columns)
        assert not logs_in(browser, columns.get("login", "claire")), columns
        change(
            claire.id,
            role=claire.role,
            tenant=bakery.id,
            credential=claire.credential,
            password_hash=claire.password_hash,
            login="claire",
        )
    assert logs_in(browser)


def test_forged_user_cannot_log_in(house, bakery, browser, claire, clock) -> None:
    with writing():
        UserTable.create(
            id="01930000-0000-7000-8000-0000000000d1", tenant=bakery.id, login="mallory", name="Mallory",
            role="customer_admin", language="fr", password_hash=claire.password_hash, created_at=clock(),
            credential=claire.credential,
        )  # fmt: skip
    assert not logs_in(browser, "mallory")


def test_changed_role_ends_open_sessions(browser, claire) -> None:
    visit = browser("claire")
    assert visit.get("/live").status_code == 200
    change(claire.id, role="customer_admin")
    assert visit.get("/live").status_code == 302


def test_session_inserted_into_the_catalogue_is_refused(app, browser, bakery, claire, clock, entropy) -> None:
    token, admin = "A" * 43, bakery.people["paul"]
    users.open_session(
        admin,
        token_sha256=hashlib.sha256(token.encode()).hexdigest(),
        now=clock(),
        until=clock() + timedelta(hours=1),
        entropy=entropy,
    )
    for cookie in (token, f"{token}.", f"{token}.{'0' * 64}", f"{token}.{token}"):
        client = app.test_client()
        client.set_cookie("accord-session", cookie)
        assert client.get("/live").status_code == 302, cookie


def test_session_assigned_to_an_admin_is_refused(browser, bakery, claire) -> None:
    visit = browser("claire")
    with writing():
        assert SessionTable.update(user=bakery.people["paul"].id).execute() == 1
    assert visit.get("/live").status_code == 302


def test_forged_and_reassigned_tokens_are_refused(house, app, bakery, rival, clock, entropy) -> None:
    def status() -> int:
        answer = app.test_client().get("/api/v1/calls", headers={"Authorization": f"Bearer {SECRET}"})
        return answer.status_code

    hashed = hashlib.sha256(SECRET.encode()).hexdigest()
    when = {"now": clock(), "entropy": entropy}
    token = api_tokens.create(bakery.id, name="till", token_sha256=hashed, **when)
    assert status() == 401, "nobody signed it"
    with writing():
        ApiTokenTable.delete().where(ApiTokenTable.id == token.id).execute()
    token = api_tokens.create(
        bakery.id, name="till", token_sha256=hashed, **when, signer=house.services.signer
    )
    assert status() == 200
    with writing():
        ApiTokenTable.update(tenant_id=rival.id).where(ApiTokenTable.id == token.id).execute()
    assert status() == 401


def test_credential_by_a_revoked_key_is_refused(house, bakery, claire, clock) -> None:
    row = users.user(bakery.id, claire.id)
    users.check_user(row, house.root_public, {})
    key = house.services.signer.key_id
    users.check_user(row, house.root_public, {key: clock() + timedelta(seconds=1)})
    with expect_error(SealError, "seal.key_revoked"):
        users.check_user(row, house.root_public, {key: clock()})


def test_credential_with_unknown_field_is_refused(house, bakery, claire) -> None:
    from recorder.seal import canonical_json, signed_document

    body = canonical_json.load(claire.credential.encode(), "credential")["body"]
    for more in ({"extra": 1}, {"version": 2}, {"kind": "robot"}, {"role": "root"}, {"kind": "token"}):
        forged = signed_document.write(body | more, house.services.signer).decode()
        with pytest.raises(SealError):
            credential.read(forged, house.root_public)


def test_revocation_survives_a_restored_row(house, bakery, browser, claire, clock, entropy):
    assert users.revoke_user(bakery.id, claire.id, now=clock(), entropy=entropy)
    change(claire.id, revoked_at=None)
    assert not logs_in(browser)


def test_new_password_has_a_new_signature(house, bakery, browser, claire, clock, entropy) -> None:
    with connected():
        before = UserTable.get_by_id(claire.id).password_hash
    when = {"now": clock(), "entropy": entropy}
    assert users.set_password(bakery.id, claire.id, before, **when)
    assert not logs_in(browser), "nobody signed that"
    assert users.set_password(bakery.id, claire.id, before, **when, signer=house.services.signer)
    assert logs_in(browser)


def test_credentials_verify_with_independent_code(claire) -> None:
    """Implemented from docs/reference/formats.md alone."""
    import json

    stored = json.loads(claire.credential)
    body = stored["body"]
    assert set(body) == {"type", "version", "tenant", "kind", "id", "role", "secret_sha256", "at", "software"}
    assert (body["type"], body["version"], body["kind"]) == ("accord-credential", 1, "user")
    line = f"{claire.password_hash}\n{claire.login}".encode()
    assert body["secret_sha256"] == hashlib.sha256(line).hexdigest()
    assert signing.CREDENTIAL in stored["endorsement"]["body"]["uses"]


def test_superseded_credential_is_refused(house, bakery, browser, claire, clock, entropy) -> None:
    """A validly signed row from an older backup: revoked since, or with a leaked password."""
    users.set_password(
        bakery.id, claire.id, hash_password("another one"), now=clock(), entropy=entropy,
        signer=house.services.signer,
    )  # fmt: skip
    change(claire.id, password_hash=claire.password_hash, credential=claire.credential)
    assert not logs_in(browser)
    users.set_password(
        bakery.id, claire.id, claire.password_hash, now=clock(), entropy=entropy, signer=house.services.signer
    )
    assert logs_in(browser), "it is the one that was set last"
    credential_before = users.user(bakery.id, claire.id)
    assert users.revoke_user(bakery.id, claire.id, now=clock(), entropy=entropy)
    change(claire.id, revoked_at=None, credential=credential_before.credential)
    assert not logs_in(browser)


def test_revoked_token_stays_revoked(house, app, bakery, clock, entropy) -> None:
    def status() -> int:
        answer = app.test_client().get("/api/v1/calls", headers={"Authorization": f"Bearer {SECRET}"})
        return answer.status_code

    hashed, when = hashlib.sha256(SECRET.encode()).hexdigest(), {"now": clock(), "entropy": entropy}
    token = api_tokens.create(
        bakery.id, name="till", token_sha256=hashed, **when, signer=house.services.signer
    )
    assert status() == 200
    assert api_tokens.revoke(bakery.id, token.id, **when)
    with writing():
        ApiTokenTable.update(revoked_at=None, credential=token.credential).where(
            ApiTokenTable.id == token.id
        ).execute()
    assert status() == 401


def test_restored_rows_of_a_revoked_user_let_nobody_listen(
    house, bakery, browser, claire, clock, entropy
) -> None:
    """A cookie that was kept, with the rows of user and session as they were."""
    call = house.call(bakery)
    visit = browser("claire")
    grant = visit.grant_for(call)
    assert users.revoke_user(bakery.id, claire.id, now=clock(), entropy=entropy)
    change(claire.id, revoked_at=None, credential=claire.credential)
    with writing():
        SessionTable.update(ended_at=None).execute()
    assert visit.send(f"/recordings/{call}", token="x", purpose="agreement").status_code == 400
    token = visit.token("/numbers")
    assert visit.send(f"/recordings/{call}", token=token, purpose="agreement").status_code == 410
    assert visit.send(f"{grant}/renew", token=token).status_code == 410
    with connected():
        refused = [row.body for row in LeafTable.select().where(LeafTable.kind == "access.refused")]
    assert any("access.revoked" in body for body in refused)


def test_restored_access_does_not_widen_an_open_session(
    house, bakery, browser, claire, clock, entropy
) -> None:
    changed = users.change_access(
        bakery.id, claire.id, role=claire.role, lines=(), now=clock(), entropy=entropy,
        signer=house.changes.signer, trust=house.trust, by=By("operator"),
    )  # fmt: skip
    assert changed
    visit = browser("claire")
    assert visit.get("/recordings").status_code == 200
    change(claire.id, lines=None, credential=claire.credential)
    assert visit.get("/recordings").status_code == 302
