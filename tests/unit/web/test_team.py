"""The team page, invitations, and which calls a colleague sees."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from recorder.audit.credentials import compare_credentials
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.identity import AccountLinkTable, InvitationTable, SessionTable, UserTable
from recorder.errors import CatalogueError, SealError
from recorder.features.team.account_links import AccountLinks
from recorder.features.team.invitations import Invitations, invitations
from recorder.features.tenants import lines
from recorder.identity import users
from recorder.mail import delivery
from recorder.mail.outbox import Outbox
from recorder.playback.interface import Actor
from recorder.seal import signing
from recorder.seal.amendment import By
from recorder.seal.invitation import Invitation, write
from tests.mailbox import Mailbox, link_in, mailbox, text_of
from web import create_app
from web.team import account_links

from .conftest import COMPILED, Browser, Page

PANEL = "https://accord.example.com"
OWN = "seven quiet rivers bend"
EVA = {"name": "Eva Maes", "address": "eva@example.com", "role": "customer", "language": "nl", "sees": "all"}
LINK = re.compile(r"https?://[^<\s]+/(?:invitation|reset)/[\w.-]+")


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as found:
        yield found


@pytest.fixture
def mailing(app, house, clock, entropy, config, monkeypatch) -> Callable[..., Browser]:
    """Makes browsers of a panel that sends mail."""
    monkeypatch.setattr(account_links, "RESPONSE_S", 0.0)
    made = create_app(
        config,
        gate=house.gate,
        now=clock,
        entropy=entropy,
        changes=house.changes,
        factors=house.factors,
        outbox=Outbox(house.keyring, PANEL),
    )
    made.jinja_env.bytecode_cache = COMPILED
    made.response_class = Page

    def make(login: str | None = None, address: str = "192.0.2.7") -> Browser:
        browser = Browser(made.test_client(), address)
        if login is not None:
            assert browser.log_in(login).status_code == 303
        return browser

    return make


@pytest.fixture
def team(house) -> Invitations:
    """Invites by itself, without a page."""
    return Invitations(house.changes.signer, house.trust, Outbox(), house.clock, house.entropy)


def send(house, box: Mailbox) -> list[str]:
    """Send what waits; the links of all mails so far, as paths."""
    delivery.send_due(house.services, box.server)
    return [urlsplit(link_in(mail)).path for mail in box.mails if "http" in text_of(mail)]


def kinds(tenant: str) -> list[str]:
    with connected():
        rows = LeafTable.select(LeafTable.kind).where(LeafTable.tenant == tenant).order_by(LeafTable.number)
        return [row.kind for row in rows]


def shown_link(answer) -> str:
    found = LINK.search(answer.text)
    assert found is not None, answer.text
    return urlsplit(found.group()).path


def invite(admin: Browser, **changes) -> str:
    """The path of an invitation that is shown."""
    return shown_link(admin.send("/team/invite", **(EVA | {"how": "link"} | changes)))


# --- invitations


def test_invitation_by_mail_lets_somebody_in(house, bakery, mailing, box) -> None:
    admin = mailing("paul")
    answer = admin.send("/team/invite", **EVA, how="mail")
    assert answer.status_code == 303
    assert "Wordt verzonden" not in admin.get("/team").text
    page = admin.get("/team").text
    assert "eva@example.com" in page
    (path,) = send(house, box)
    assert box.mails[0]["Subject"] == "Boulangerie Martin nodigt u uit voor zijn gesprekken"
    eva = mailing()
    for _ in range(3):  # mail scanners open links
        assert "Eva Maes" in eva.get(path).text
        assert eva.head(path).status_code == 200
    assert "Welkom, Eva Maes" in eva.get(path).text, "in the language of the invitation"
    accepted = eva.send(path, eva.token(path), password=OWN)
    assert accepted.status_code == 303
    assert eva.get("/recordings").status_code == 200
    assert mailing().log_in("Eva@Example.com", OWN).status_code == 303
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


def test_used_withdrawn_replaced_and_expired_links_say_so(bakery, browser, clock) -> None:
    admin, guest = browser("paul"), browser()
    used, withdrawn, old = (
        invite(admin, address=f"{each}@example.com", name=each) for each in ("used", "withdrawn", "old")
    )
    assert guest.send(used, guest.token(used), password=OWN).status_code == 303
    ids = {row.address: row.id for row in invitations(bakery.id)}
    assert admin.send(f"/team/invitations/{ids['withdrawn@example.com']}/withdraw").status_code == 303
    new = shown_link(admin.send(f"/team/invitations/{ids['old@example.com']}/renew", how="link"))
    guest = browser()
    for path, said in (
        (used, "accepted already"),
        (withdrawn, "withdrawn"),
        (old, "a newer one was sent"),
        ("/invitation/nonsense", "a newer one was sent"),
    ):
        for answer in (guest.get(path), guest.send(path, password=OWN)):
            assert answer.status_code == 410
            assert said in answer.text
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


def test_refused_mail_is_shown_on_the_team_page(house, bakery, mailing, box) -> None:
    admin = mailing("paul")
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
    assert mailing().get(path).status_code == 200


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
    with pytest.raises(CatalogueError) as refused:
        team.open(issued.path.rpartition("/")[2])
    assert refused.value.error_id == "invitation.unknown"


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
    second = lines.create_line(
        bakery.id, number="+3225550111", announcement=bakery.announcement.id, label="Atelier",
        formats=("opus",), now=clock(), entropy=entropy,
    )  # fmt: skip
    seen = house.call(bakery)
    missed = house.not_recorded(bakery, "daemon_away")
    visit = browser("claire")
    assert visit.get(f"/recordings/{seen}").status_code == 200
    found = re.search(r"/listen/[0-9a-f-]{36}", visit.get(visit.listen_to(seen)).text)
    assert found is not None
    sound = f"{found.group()}/audio.opus?play={'a' * 22}"
    assert visit.get(sound).status_code == 200
    admin = browser("paul")
    answer = admin.send(f"/team/{claire.id}", role="customer", sees="some", lines=second.id)
    assert answer.status_code == 303
    assert "user.access_changed" in kinds(bakery.id)
    assert visit.get("/recordings").status_code == 302, "the sessions end"
    visit = browser("claire")
    assert seen not in visit.get("/recordings").text
    assert visit.get(f"/recordings/{seen}").status_code == 403
    assert visit.get(sound).status_code == 410
    assert visit.get(f"/recordings/{seen}/retention", follow_redirects=True).status_code in (403, 404)
    assert "+32 2 555 01 00" not in visit.get("/numbers").text
    assert missed not in visit.get("/recordings?show=not-recorded").text
    with connected():
        refused = LeafTable.select().where(LeafTable.kind == "access.refused")
        assert any("access.other_line" in leaf.body for leaf in refused)
    assert seen in browser("paul").get("/recordings").text
    assert browser("audit").get("/recordings").status_code == 200
    admin.send(f"/team/{claire.id}", role="customer", sees="all")
    assert browser("claire").get(f"/recordings/{seen}").status_code == 200


def test_gate_checks_lines_at_each_request(house, bakery, clock) -> None:
    claire = bakery.people["claire"]
    seen = house.call(bakery)
    who = Actor(claire.id, bakery.id, claire.role, "fr")
    grant = house.gate.grant(who, seen, "agreement")
    narrowed = replace(who, lines=("another",))
    for ask in (
        lambda: house.gate.purposes(narrowed, seen),
        lambda: house.gate.grant(narrowed, seen, "agreement"),
        lambda: house.gate.open(narrowed, grant.id, "audio.opus"),
        lambda: house.gate.renew(narrowed, grant.id),
        lambda: house.gate.manifest(narrowed, grant.id),
    ):
        with pytest.raises(Exception, match="line is not assigned"):
            ask()
    assert house.gate.purposes(replace(who, lines=(bakery.line.id,)), seen)


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


# --- lost passwords and changed addresses


@pytest.fixture
def eva(house, bakery):
    return house.person(bakery, "eva@example.com", "Eva Maes", language="nl")


def test_lost_password_is_set_by_a_link(house, eva, mailing, box, clock) -> None:
    visit, guest = mailing("eva@example.com"), mailing()
    assert guest.send("/lost-password", address=" Eva@example.com").status_code == 200
    guest.send("/lost-password", address="eva@example.com")
    paths = send(house, box)
    assert len(paths) == 1, "a newer mail replaces one that waits"
    guest.send("/lost-password", address="eva@example.com")
    older, path = send(house, box)
    assert guest.get(older).status_code == 410
    for _ in range(2):
        assert guest.get(path).status_code == 200
    assert guest.send(path, guest.token(path), password="short").status_code == 422
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303
    assert visit.get("/recordings").status_code == 302, "the sessions end"
    assert mailing().log_in("eva@example.com", OWN).status_code == 303
    for answer in (guest.get(path), guest.send(path, password="another long password")):
        assert answer.status_code == 410
    delivery.send_due(house.services, box.server)
    assert box.mails[-1]["Subject"] == "Uw wachtwoord is gewijzigd"
    guest.send("/lost-password", address="eva@example.com")
    late = send(house, box)[-1]
    clock.forward(hours=1)
    assert guest.get(late).status_code == 410
    assert guest.send(late, password=OWN).status_code == 410


def test_unknown_address_gets_the_same_answer(house, eva, bakery, mailing, box) -> None:
    answers = []
    for n, address in enumerate(("eva@example.com", "nobody@example.com", "claire@example.com")):
        guest = mailing(address=f"192.0.2.{n + 10}")
        answer = guest.send("/lost-password", address=address)
        answers.append((answer.status_code, answer.text.replace(address, "…")))
    assert len({code for code, _ in answers}) == 1
    texts = {re.sub(r'value="[^"]+"', "", text) for _, text in answers}
    assert len(texts) == 1
    send(house, box)
    assert box.to == ["eva@example.com"]


def test_answer_takes_as_long_for_every_address(eva, mailing, monkeypatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(account_links, "RESPONSE_S", 5.0)
    monkeypatch.setattr(account_links.time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(account_links.time, "sleep", slept.append)
    for address in ("eva@example.com", "nobody@example.com"):
        mailing().send("/lost-password", address=address)
    assert slept == [5.0, 5.0]


def test_lost_invitation_is_sent_again(house, bakery, mailing, box) -> None:
    mailing("paul").send("/team/invite", **EVA, how="mail")
    (first,) = send(house, box)
    guest = mailing()
    guest.send("/lost-password", address="eva@example.com")
    _, path = send(house, box)
    assert path.startswith("/invitation/")
    assert guest.get(first).status_code == 410
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303


def test_requests_for_links_are_limited(eva, mailing) -> None:
    codes = [mailing().send("/lost-password", address="eva@example.com").status_code for _ in range(7)]
    assert codes == [200] * 5 + [429] * 2
    assert mailing().send("/lost-password", address="other@example.com").status_code == 200


def test_lost_password_without_mail_names_who_helps(bakery, browser) -> None:
    page = browser().get("/lost-password").text
    assert "<form class=" not in page.split("<main")[1]
    admin = browser("paul")
    path = shown_link(admin.send(f"/team/{bakery.people['claire'].id}/reset"))
    guest = browser()
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303
    assert browser().log_in("claire", OWN).status_code == 303


def test_row_alone_makes_no_link(house, eva, bakery, clock, entropy, browser, config) -> None:
    """Neither a changed token, another user's, nor a row for a token of one's own."""
    given = (house.changes.signer, house.trust, Outbox(), clock, entropy)
    mine = AccountLinks(b"x" * 32, *given)
    for links in (mine, AccountLinks(config.secret_key, *given)):
        path = links.issue_reset(eva, None).path
        guest = browser()
        assert guest.get(path).status_code == (410 if links is mine else 200)
    paul = bakery.people["paul"]
    token = path.rpartition("/")[2]
    with writing():
        AccountLinkTable.update(id=f"{paul.id}/password").execute()
    assert guest.get(path).status_code == 410
    with writing():
        AccountLinkTable.update(id=f"{eva.id}/password").execute()
    assert guest.get(path).status_code == 200
    for wrong in (
        token[:-1],
        f"{token}A",
        f"{token.partition('.')[0]}.",
        f".{token.partition('.')[2]}",
        "e30.",
    ):
        assert guest.get(f"/reset/{wrong}").status_code == 410
        assert guest.get(f"/address/{token}").status_code == 410
    # A link is bound to the credential: a row put back as it was before gives it no second use.
    with connected():
        before = UserTable.get_by_id(eva.id).__data__
        row = AccountLinkTable.get().__data__
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303
    with writing():
        UserTable.update(before).where(UserTable.id == eva.id).execute()
        AccountLinkTable.create(**row)
    assert guest.get(path).status_code == 410


def test_address_is_changed_by_a_link_to_the_new_one(house, eva, mailing, box) -> None:
    visit = mailing("eva@example.com")
    assert visit.send("/account/address", address="eva@maes.example", password="wrong").status_code == 422
    assert (
        visit.send("/account/address", address="eva", password="two voices, one agreement").status_code == 422
    )
    answer = visit.send("/account/address", address="Eva@Maes.example", password="two voices, one agreement")
    assert answer.status_code == 200
    (path,) = send(house, box)
    assert box.to == ["eva@maes.example"]
    guest = mailing()
    assert guest.get(path).status_code == 200
    assert mailing().log_in("eva@example.com").status_code == 303, "until it is confirmed"
    assert guest.send(path, guest.token(path)).status_code == 303
    assert guest.get(path).status_code == 410
    assert visit.get("/recordings").status_code == 302
    assert mailing().log_in("eva@maes.example").status_code == 303
    assert mailing().log_in("eva@example.com").status_code == 422
    delivery.send_due(house.services, box.server)
    assert (box.to[-1], box.mails[-1]["Subject"]) == ("eva@example.com", "Uw adres is gewijzigd")


def test_address_of_somebody_else_is_refused(house, eva, bakery, mailing) -> None:
    house.person(bakery, "tom@example.com", "Tom")
    visit = mailing("eva@example.com")
    answer = visit.send("/account/address", address="tom@example.com", password="two voices, one agreement")
    assert answer.status_code == 422
    assert 'id="address-wrong"' in answer.text


def test_new_credentials_pass_the_audit(house, bakery, browser, eva) -> None:
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
