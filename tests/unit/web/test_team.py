"""The team page, invitations, and which calls a colleague sees."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.audit.credentials import compare_credentials
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.identity import InvitationTable, SessionTable, UserTable
from recorder.errors import CatalogueError, SealError
from recorder.features.team import extensions
from recorder.features.team.invitations import Invitations, invitations
from recorder.identity import users
from recorder.mail.outbox import Outbox
from recorder.playback.interface import Actor
from recorder.seal import signing
from recorder.seal.amendment import By
from recorder.seal.invitation import Invitation, write
from tests.expected_errors import expect_error

from .account_mails import EVA, OWN, invite, kinds, send, shown_link


@pytest.fixture
def team(house) -> Invitations:
    """Invites by itself, without a page."""
    return Invitations(house.changes.signer, house.trust, Outbox(), house.clock, house.entropy)


# --- invitations


def test_invitation_by_mail_lets_somebody_in(house, bakery, mail_panel, box) -> None:
    admin = mail_panel("paul")
    answer = admin.send("/team/invite", **EVA, how="mail")
    assert answer.status_code == 303
    assert "De e-mail wordt verzonden" not in admin.get("/team").text
    page = admin.get("/team").text
    assert "eva@example.com" in page
    (path,) = send(house, box)
    assert box.mails[0]["Subject"] == "Boulangerie Martin nodigt u uit voor zijn gesprekken"
    eva = mail_panel()
    for _ in range(3):  # mail scanners open links
        assert "Eva Maes" in eva.get(path).text
        assert eva.head(path).status_code == 200
    assert "Welkom, Eva Maes" in eva.get(path).text, "in the language of the invitation"
    accepted = eva.send(path, eva.token(path), password=OWN)
    assert accepted.status_code == 303
    assert eva.get("/recordings").status_code == 200
    assert mail_panel().log_in("Eva@Example.com", OWN).status_code == 303
    (row,) = [each for each in users.users(bakery.id) if each.login == "eva@example.com"]
    assert (row.name, row.role, row.language, row.lines) == ("Eva Maes", "customer", "nl", None)
    assert invitations(bakery.id) == ()
    with connected():
        ended = InvitationTable.get_by_id(row.id)
    assert (ended.address, ended.name, ended.statement, ended.outcome) == ("", "", None, "accepted")
    assert "invitation.accepted" in kinds(bakery.id)


def test_link_is_shown_where_no_mail_is_sent(bakery, browser) -> None:
    admin = browser("paul")
    page = admin.get("/team/invite").text
    assert 'value="mail"' not in page
    answer = admin.send("/team/invite", **EVA, how="mail")
    assert shown_link(answer).startswith("/invitation/")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"name": "Eva\u202eMaes"}, "name"),
        ({"name": "paul  MARTIN"}, "name"),
        ({"address": ""}, "address"),
        ({"address": "eva@example"}, "address"),
        ({"address": "eva@example.com\nBcc: x@example.com"}, "address"),
        ({"role": "owner"}, "role"),
        ({"sees": "some"}, "lines"),
        ({"sees": "some", "lines": "another customer's"}, "lines"),
        ({"extensions": "not one"}, "extensions"),
    ],
)
def test_bad_entry_is_refused_beside_its_field(bakery, browser, changes, field) -> None:
    admin = browser("paul")
    answer = admin.send("/team/invite", **(EVA | {"how": "link"} | changes))
    assert answer.status_code == 422
    assert f'id="{field}-wrong"' in answer.text
    for name in {"name", "address"} - {*changes}:
        assert f'value="{EVA[name]}"' in answer.text, "the entry is kept"
    assert invitations(bakery.id) == ()


def test_all_errors_are_shown_at_once(bakery, browser) -> None:
    answer = browser("paul").send("/team/invite", name=" ", address="x", role="customer", sees="some")
    assert [f'id="{each}-wrong"' in answer.text for each in ("name", "address", "lines")] == [True] * 3
    assert 'class="error-summary"' in answer.text


def test_address_and_name_are_invited_once_in_any_spelling(bakery, browser) -> None:
    admin = browser("paul")
    invite(admin)
    for changes in ({"address": " EVA@example.com ", "name": "Eva Two"}, {"address": "eva2@example.com"}):
        answer = admin.send("/team/invite", **(EVA | {"how": "link", "name": "eva maes"} | changes))
        assert answer.status_code == 422
    assert len(invitations(bakery.id)) == 1


def test_invited_person_has_the_extensions_that_are_still_free(house, bakery, browser) -> None:
    admin, guest = browser("paul"), browser()
    path = invite(admin, extensions="2001, 2002")
    assert "Postes : 2001, 2002" in admin.get("/team").text.replace("\N{NO-BREAK SPACE}", " ")
    now = {"now": house.clock(), "entropy": house.entropy, "by": By("operator")}
    extensions.set_extensions(bakery.id, bakery.people["claire"].id, ["2002"], **now)
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303
    (row,) = [each for each in users.users(bakery.id) if each.login == EVA["address"]]
    assert extensions.extensions_of(bakery.id)[row.id] == ("2001",)
    with connected():
        assert InvitationTable.get().extensions is None
    refused = admin.send(
        "/team/invite", **EVA | {"name": "Tom", "address": "tom@example.com"}, extensions="2001"
    )
    assert refused.status_code == 422
    assert 'id="extensions-wrong"' in refused.text
    assert 'value="2001"' in refused.text


def test_unknown_language_becomes_the_customers(bakery, browser) -> None:
    admin, guest = browser("paul"), browser()
    path = invite(admin, language="<xx")
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303
    (row,) = [each for each in users.users(bakery.id) if each.login == EVA["address"]]
    assert row.language == "fr"


def test_used_withdrawn_replaced_and_expired_links_say_so(bakery, browser, clock) -> None:
    admin, guest = browser("paul"), browser()
    accepted, withdrawn, old = (
        invite(admin, address=f"{each}@example.com", name=each) for each in ("used", "withdrawn", "old")
    )
    assert guest.send(accepted, guest.token(accepted), password=OWN).status_code == 303
    ids = {row.address: row.id for row in invitations(bakery.id)}
    assert admin.send(f"/team/invitations/{ids['withdrawn@example.com']}/withdraw").status_code == 303
    new = shown_link(admin.send(f"/team/invitations/{ids['old@example.com']}/renew", how="link"))
    guest = browser()
    for path, sentence in (
        (accepted, "accepted already"),
        (withdrawn, "withdrawn"),
        (old, "a newer one was sent"),
        ("/invitation/nonsense", "a newer one was sent"),
    ):
        for answer in (guest.get(path), guest.send(path, password=OWN)):
            assert answer.status_code == 410
            assert sentence in answer.text
    assert guest.get(new).status_code == 200
    clock.forward(days=7)
    assert "has expired" in guest.get(new).text
    assert guest.send(new, password=OWN).status_code == 410
    paul = browser("paul")
    assert "Expir" in paul.get("/team").text
    again = shown_link(paul.send(f"/team/invitations/{ids['old@example.com']}/renew", how="link"))
    assert guest.get(again).status_code == 200


@pytest.mark.parametrize(
    "password", ["", "short", "password1234", "Boulangerie Martin", "eva@example.com", "x" * 1025]
)
def test_weak_password_is_refused_and_the_invitation_stays(bakery, browser, password) -> None:
    path, guest = invite(browser("paul")), browser()
    answer = guest.send(path, guest.token(path), password=password)
    assert answer.status_code == 422
    assert 'id="password-wrong"' in answer.text
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303


def test_refused_mail_is_shown_on_the_team_page(house, bakery, mail_panel, box) -> None:
    admin = mail_panel("paul")
    admin.send("/language", language="en")
    admin.send("/team/invite", **EVA, how="mail")
    assert "is being sent" in admin.get("/team").text
    box.replies["eva@example.com"] = "550 no such user"
    send(house, box)
    assert "could not be delivered" in admin.get("/team").text
    (row,) = invitations(bakery.id)
    box.replies.clear()
    admin.send(f"/team/invitations/{row.id}/renew", how="mail")
    (path,) = send(house, box)
    assert mail_panel().get(path).status_code == 200


def test_number_of_another_customer_cannot_be_assigned(house, bakery, rival, browser) -> None:
    house.person(rival, "ann", "Ann", role="customer_admin", language="en")
    answer = browser("ann").send("/team/invite", **(EVA | {"sees": "some", "lines": bakery.line.id}))
    assert answer.status_code == 422


# --- what somebody who writes to the catalogue gains


def change_invitation(**columns) -> None:
    with writing():
        assert InvitationTable.update(columns).execute()


def test_row_alone_makes_no_invitation_and_widens_none(house, bakery, rival, browser, team, clock) -> None:
    path, guest = invite(browser("paul"), sees="some", lines=bakery.line.id), browser()
    with connected():
        row = InvitationTable.get()
    for columns in (
        {"role": "customer_admin"}, {"lines": None}, {"lines": [bakery.line.id, rival.line.id]},
        {"tenant_id": rival.id}, {"address": "mallory@example.com"}, {"name": "Mallory"},
        {"until": clock() + timedelta(days=90)}, {"statement": None}, {"statement": "{}"},
    ):  # fmt: skip
        before = {name: getattr(row, name) for name in columns}
        change_invitation(**columns)
        assert guest.send(path, guest.token(), password=OWN).status_code == 410, columns
        if "tenant_id" not in columns:
            with pytest.raises(CatalogueError):  # nor is it signed anew
                team.renew(bakery.id, row.id, By("operator"))
        change_invitation(**before)
    with writing():
        InvitationTable.create(**(row.__data__ | {"id": "forged", "token_sha256": "0" * 64}))
        InvitationTable.delete().where(InvitationTable.id == "forged").execute()
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303
    (eva,) = [each for each in users.users(bakery.id) if each.login == "eva@example.com"]
    assert (eva.role, eva.lines) == ("customer", (bakery.line.id,))


def test_own_signature_without_a_leaf_lets_nobody_in(house, bakery, browser, clock, entropy, team) -> None:
    """A statement that the log does not know, by the right key: a key that was stolen and is revoked later
    leaves no invitations behind that nobody sees."""
    invite(browser("paul"))
    with connected():
        row = InvitationTable.get()
    token = "A" * 43
    forged = Invitation(
        bakery.id, row.id, row.address, row.name, "customer_admin", "nl",
        hashlib.sha256(token.encode()).hexdigest(),
        clock(), clock() + timedelta(days=7), "operator", None,
    )  # fmt: skip
    change_invitation(
        statement=write(forged, house.changes.signer), role="customer_admin", until=forged.until,
        token_sha256=forged.token_sha256,
    )  # fmt: skip
    guest = browser()
    assert guest.send(f"/invitation/{token}", guest.token(), password=OWN).status_code == 410


def test_other_keys_sign_no_invitation(house, bakery, clock, entropy, tmp_path) -> None:
    other = tmp_path / "others"
    signing.init(other, clock() - timedelta(days=1), entropy)
    stranger = signing.load_signer(other / signing.PANEL_KEY, other / signing.PANEL_ENDORSEMENT)
    team = Invitations(stranger, house.trust, Outbox(), clock, entropy)
    by = {"role": "customer", "lines": None, "language": "nl", "by": By("operator")}
    issued = team.invite(bakery.id, address="eva@example.com", name="Eva", **by)
    with expect_error(CatalogueError, "invitation.unknown"):
        team.open(issued.path.rpartition("/")[2])


def test_restored_rows_let_nobody_in_again(house, bakery, browser, team) -> None:
    """A withdrawn or accepted invitation is put back as it was."""
    admin = browser("paul")
    path = invite(admin)
    with connected():
        before = InvitationTable.get().__data__
    team.withdraw(bakery.id, before["id"], By("operator"))
    change_invitation(**before)
    guest = browser()
    assert guest.send(path, guest.token(), password=OWN).status_code == 410
    change_invitation(ended_at=None)
    path = invite(admin, address="tom@example.com", name="Tom")
    with connected():
        before = InvitationTable.get(InvitationTable.name == "Tom").__data__
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303
    with writing():
        InvitationTable.update(before).where(InvitationTable.id == before["id"]).execute()
    other = browser()
    assert other.send(path, other.token(), password="another long password").status_code == 410


# --- access


def test_lines_of_a_colleague_are_enforced_everywhere(house, bakery, browser, clock, entropy) -> None:
    claire = bakery.people["claire"]
    second = house.add_line(
        bakery.id, "+3225550111", bakery.announcement.id, label="Atelier", formats=("opus",)
    )
    visible_call = house.call(bakery)
    missed = house.not_recorded(bakery, "daemon_away")
    visit = browser("claire")
    assert visit.get(f"/recordings/{visible_call}").status_code == 200
    found = re.search(r"/listen/[0-9a-f-]{36}", visit.get(visit.listen_to(visible_call)).text)
    assert found is not None
    sound = f"{found.group()}/audio.opus?play={'a' * 22}"
    assert visit.get(sound).status_code == 200
    admin = browser("paul")
    answer = admin.send(f"/team/{claire.id}", role="customer", sees="some", lines=second.id)
    assert answer.status_code == 303
    assert "user.access_changed" in kinds(bakery.id)
    assert visit.get("/recordings").status_code == 302, "the sessions end"
    visit = browser("claire")
    assert visible_call not in visit.get("/recordings").text
    assert visit.get(f"/recordings/{visible_call}").status_code == 403
    assert visit.get(sound).status_code == 410
    assert visit.get(f"/recordings/{visible_call}/retention", follow_redirects=True).status_code in (403, 404)
    assert "+32 2 555 01 00" not in visit.get("/numbers").text
    assert missed not in visit.get("/recordings?show=not-recorded").text
    with connected():
        refused = LeafTable.select().where(LeafTable.kind == "access.refused")
        assert any("access.other_line" in leaf.body for leaf in refused)
    assert visible_call in browser("paul").get("/recordings").text
    assert browser("audit").get("/recordings").status_code == 200
    admin.send(f"/team/{claire.id}", role="customer", sees="all")
    assert browser("claire").get(f"/recordings/{visible_call}").status_code == 200


def test_gate_checks_lines_at_each_request(house, bakery, clock) -> None:
    claire = bakery.people["claire"]
    visible_call = house.call(bakery)
    who = Actor(claire.id, bakery.id, claire.role, "fr")
    grant = house.gate.grant(who, visible_call, "agreement")
    narrowed = replace(who, lines=("another",))
    for ask in (
        lambda: house.gate.purposes(narrowed, visible_call),
        lambda: house.gate.grant(narrowed, visible_call, "agreement"),
        lambda: house.gate.open(narrowed, grant.id, "audio.opus"),
        lambda: house.gate.renew(narrowed, grant.id),
        lambda: house.gate.manifest(narrowed, grant.id),
    ):
        with pytest.raises(Exception, match="line is not assigned"):
            ask()
    assert house.gate.purposes(replace(who, lines=(bakery.line.id,)), visible_call)


def test_row_alone_widens_no_access(house, bakery, browser) -> None:
    claire = bakery.people["claire"]
    admin = browser("paul")
    admin.send(f"/team/{claire.id}", role="customer", sees="some", lines=bakery.line.id)
    with connected():
        row = UserTable.get_by_id(claire.id)
    visit = browser("claire")
    narrow = {"lines": row.lines, "role": row.role, "credential": row.credential}
    for columns in (
        {"lines": None}, {"lines": [bakery.line.id, "another"]}, {"lines": []}, {"role": "customer_admin"},
        {"lines": None, "credential": claire.credential},
    ):  # fmt: skip
        with writing():
            UserTable.update(columns).where(UserTable.id == claire.id).execute()
        assert visit.get("/recordings").status_code == 302, columns
        assert browser().log_in("claire").status_code == 422, columns
        # Nobody signs what the row says by mistake.
        answer = admin.send(f"/team/{claire.id}", role="auditor", sees="all")
        assert answer.status_code == 422, columns
        with pytest.raises(SealError):
            users.set_password(
                bakery.id, claire.id, row.password_hash, now=house.clock(), entropy=house.entropy,
                signer=house.changes.signer, trust=house.trust,
            )  # fmt: skip
        with writing():
            UserTable.update(narrow).where(UserTable.id == claire.id).execute()
    assert browser().log_in("claire").status_code == 303


def test_end_of_access_ends_sessions_at_once(house, bakery, browser) -> None:
    claire = bakery.people["claire"]
    admin, visit = browser("paul"), browser("claire")
    assert "Claire Martin" in admin.get(f"/team/{claire.id}/end").text
    assert visit.get("/recordings").status_code == 200, "asking ends nothing"
    assert admin.send(f"/team/{claire.id}/end").status_code == 303
    assert visit.get("/recordings").status_code == 302
    assert browser().log_in("claire").status_code == 422
    with connected():
        mine = (SessionTable.user == claire.id) & SessionTable.ended_at.is_null()
        assert not SessionTable.select().where(mine).exists()
    assert kinds(bakery.id).count("user.revoked") == 1
    # The address is free again, for an invitation as for anybody.
    path = invite(admin, address="claire@example.com", name="Claire Martin")
    again = browser()
    assert again.send(path, again.token(path), password=OWN).status_code == 303


def test_former_address_can_be_invited_again(house, bakery, browser) -> None:
    admin, guest = browser("paul"), browser()
    path = invite(admin)
    guest.send(path, guest.token(path), password=OWN)
    (eva,) = [each for each in users.users(bakery.id) if each.login == "eva@example.com"]
    admin.send(f"/team/{eva.id}/end")
    path, guest = invite(admin), browser()
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303
    rows = [each for each in users.users(bakery.id) if each.name == "Eva Maes"]
    assert sorted(each.login for each in rows) == sorted([eva.id, "eva@example.com"])
    assert browser().log_in("eva@example.com", OWN).status_code == 303


def test_last_admin_stays(house, bakery, browser) -> None:
    paul = bakery.people["paul"]
    admin = browser("paul")
    answer = admin.send(f"/team/{paul.id}", role="customer", sees="all")
    assert answer.status_code == 422
    assert 'id="role-wrong"' in answer.text
    assert admin.send(f"/team/{paul.id}/end").status_code == 422
    house.person(bakery, "nora", "Nora", role="customer_admin")
    assert admin.send(f"/team/{paul.id}", role="customer", sees="all").status_code == 303
    assert browser("paul").get("/team").status_code == 403


def test_new_credentials_pass_the_audit(house, bakery, browser) -> None:
    eva = house.person(bakery, "eva@example.com", "Eva Maes", language="nl")
    admin, guest = browser("paul"), browser()
    path = invite(admin, address="tom@example.com", name="Tom")
    invite(admin, address="ada@example.com", name="Ada", sees="some", lines=bakery.line.id)
    guest.send(path, guest.token(path), password=OWN)
    admin.send(f"/team/{eva.id}", role="customer", sees="some", lines=bakery.line.id)
    with connected():
        assert list(compare_credentials(bakery.id, house.trust)) == []
    change_invitation(role="auditor")
    with connected():
        assert [each.code for each in compare_credentials(bakery.id, house.trust)] == ["row.changed"]
