"""Retention in the panel: holds, withdrawal of consent, agreements, deletion."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.errors import SealError
from recorder.identity import users
from recorder.lifecycle import amendment_service, amendments, erasure_receipt, expiry
from recorder.seal import canonical_json, signed_document
from recorder.seal.amendment import By
from web import WebConfig, create_app
from web.state import PanelState
from web.text import errors
from web.text import retention as retention_text

LATER = {"on": "2026-11-25", "until": "2027-11-25", "reason": "By e-mail"}


@pytest.fixture
def call(house, bakery) -> str:
    return house.call(bakery)


def retention_page(recording: str, more: str = "") -> str:
    return f"/recordings/{recording}/retention{more}"


def page(recording: str) -> str:
    return f"/recordings/{recording}"


def set_hold(browser, recording: str, **more: str):
    form = {"purpose": "agreement", "reason": "Contested order 12", "review": "2027-01-15"}
    return browser.send(retention_page(recording, "/hold"), **{**form, **more})


def destroy_due(house) -> int:
    return expiry.destroy_due(house.services, house.clock())


def test_everybody_sees_expiry_and_only_admins_see_actions(browser, bakery, call) -> None:
    text = browser("claire").get(page(call)).text
    assert "Durée de conservation" in text
    assert "Jusqu’au 25 décembre 2026." in text
    assert f"{page(call)}/delete" not in text
    assert f"{page(call)}/delete" in browser("paul").get(page(call)).text
    auditor = browser("audit").get(page(call)).text
    assert "Jusqu’au 25 décembre 2026." in auditor
    assert "/retention/" not in auditor, "no button that refuses"


def test_addresses_of_former_pages_lead_to_the_call(browser, bakery, call) -> None:
    claire = browser("claire")
    for path in (
        retention_page(call),
        retention_page(call, "/agreement"),
        retention_page(call, "/purposes"),
        f"{page(call)}/delete",
    ):
        answer = claire.get(path)
        assert (answer.status_code, answer.location) == (302, f"{page(call)}#more")


def test_admin_sets_and_lifts_a_hold(house, browser, bakery, call, clock) -> None:
    paul = browser("paul")
    assert set_hold(paul, call).status_code == 303
    (hold,) = amendments.holds(bakery.id)
    assert (hold.owner, hold.reason) == (bakery.people["paul"].id, "Contested order 12")
    assert hold.review_at.isoformat() == "2027-01-14T23:00:00+00:00", "the customer's day"
    assert (hold.purposes, hold.roles) == (("agreement",), ("customer_admin",))
    text = paul.get(page(call)).text
    assert "Contested order 12" in text
    assert "Paul Martin s’en occupe." in text
    assert f"{page(call)}/delete" not in text
    assert "Mis de côté depuis le" in browser("claire").get(page(call)).text
    clock.at = hold.review_at + timedelta(days=1)
    paul = browser("paul")
    assert "À revoir depuis le 15 janvier 2027." in paul.get(page(call)).text
    assert "différend, à revoir" in paul.get("/recordings").text
    assert "différend, à revoir" not in browser("claire").get("/recordings").text
    assert paul.send(retention_page(call, "/lift"), hold="1", reason="Settled").status_code == 303
    assert amendments.holds(bakery.id) == ()
    assert destroy_due(house) == 1


def test_invalid_hold_is_refused_and_not_written(browser, bakery, call) -> None:
    paul = browser("paul")
    for wrong, sentence in (
        ({"review": "soon"}, "Choisissez une date de réexamen dans l’année"),
        ({"review": "2029-01-01"}, "Choisissez une date de réexamen dans l’année"),
        ({"review": "0001-01-01"}, "Choisissez une date de réexamen dans l’année"),
        ({"purpose": "training"}, "Choisissez pour quel usage le mettre de côté"),
        ({"reason": "x" * 501}, "Indiquez la raison"),
    ):
        answer = set_hold(paul, call, **wrong)
        assert answer.status_code == 403
        assert sentence in answer.text
        assert 'aria-describedby="keep-error"' in answer.text, "beside the field"
    assert paul.send(retention_page(call, "/lift"), hold="²", reason="x").status_code == 403
    assert amendments.holds() == ()
    assert amendments.listed_hashes(bakery.id, call) == ()


def test_deletion_needs_confirmation(house, browser, bakery, call) -> None:
    paul, claire = browser("paul"), browser("claire")
    text = paul.get(page(call)).text
    assert "Ce qui sera supprimé" in text
    assert "Même votre fournisseur ne peut pas revenir dessus" in text
    assert amendments.listed_hashes(bakery.id, call) == (), "asked, not done"
    answer = paul.send(f"/recordings/{call}/delete", reason="Not needed")
    assert "Enregistrement supprimé" in answer.text
    assert "a été détruit" in claire.get(page(call)).text
    assert paul.send(f"/recordings/{call}/delete", reason="again").status_code == 403
    assert destroy_due(house) == 1
    assert queries.recording(bakery.id, call).erasure_reason == "deleted"
    erased_page = claire.get(page(call))
    assert erased_page.status_code == 410
    for sentence in (
        "Votre entreprise l’a supprimé.",
        "25 décembre 2026",
        "Les sauvegardes sont gardées 30 jours",
    ):
        assert sentence in erased_page.text
    file = claire.get(f"/recordings/{call}/receipt.json")
    assert file.headers["Content-Disposition"].startswith("attachment;")
    assert erasure_receipt.read(file.data, house.services.root).reason == "deleted"
    body = canonical_json.load(file.data, "receipt")["body"]
    for change in (
        {"more": 1},
        {"version": 2},
        {"verified": False},
        {"reason": "because"},
        {"tombstone": "x"},
    ):
        with pytest.raises(SealError):
            erasure_receipt.read(
                signed_document.write(body | change, house.services.signer), house.services.root
            )


def test_receipt_exists_only_for_erased_recordings(browser, call) -> None:
    assert browser("claire").get(f"/recordings/{call}/receipt.json").status_code == 403


def test_refused_deletion_has_a_reason(house, browser) -> None:
    duty = house.customer("Notaire", "+3225550177", purposes=("agreement", "legal-duty"))
    house.person(duty, "anne", "Anne", role="customer_admin")
    call = house.call(duty)
    anne = browser("anne")
    assert "La loi exige" in anne.get(page(call)).text
    answer = anne.send(f"/recordings/{call}/delete", reason="x")
    assert answer.status_code == 403
    assert "La loi exige" in answer.text
    assert amendments.listed_hashes(duty.id, call) == ()


def test_withdrawal_ends_purposes_based_on_consent(house, browser, bakery) -> None:
    call = house.call(bakery, mode="opt-in")
    paul = browser("paul")
    assert paul.send(retention_page(call, "/withdraw"), reason="By letter").status_code == 303
    assert "l’accord a été retiré" in paul.get(page(call)).text
    assert destroy_due(house) == 1
    assert queries.recording(bakery.id, call).erasure_reason == "withdrawn"


def test_later_agreement_is_previewed_then_written(house, browser, bakery, call, clock) -> None:
    paul = browser("paul")
    text = paul.get(page(call)).text
    assert 'max="2036-11-25"' in text, "ten years, as Belgium allows"
    clock.at += timedelta(days=2)
    paul = browser("paul")
    form = {**LATER, "on": "2026-11-26"}
    text = paul.send(retention_page(call, "/agreement"), **form).text
    assert "Jusqu’au 25 novembre 2027." in text
    assert "À ce jour : jusqu’au 25 décembre 2026." in text
    assert "By e-mail" in text
    assert amendments.listed_hashes(bakery.id, call) == (), "seen, not done"
    assert paul.send(retention_page(call, "/agreement"), **form, sure="yes").status_code == 303
    status = house.changes.look(bakery.id, call)
    (amendment,) = status.chain.amendments
    assert (amendment.by.kind, amendment.by.id) == ("user", bakery.people["paul"].id)
    assert (amendment.data.purpose, amendment.data.country, amendment.data.reason) == (
        "agreement",
        "be",
        "By e-mail",
    )
    assert amendment.data.on == date(2026, 11, 26)
    text = browser("claire").get(page(call)).text
    assert "Conservé jusqu’au 25 novembre 2027, selon une note ultérieure" in text
    assert "Convenu le 26 novembre 2026" in text
    assert "Noté par Paul Martin le 27 novembre 2026. Cela repose sur la parole d’une seule personne." in text
    clock.at += timedelta(days=60)
    assert destroy_due(house) == 0


def test_agreement_cannot_exceed_the_law(browser, bakery, call) -> None:
    paul = browser("paul")
    for wrong, sentence in (
        ({"until": "2036-11-26"}, "Les règles de votre pays"),
        ({"until": "9999-12-31"}, "Les règles de votre pays"),
        ({"until": "2026-11-25"}, "est déjà écoulée"),
        ({"until": "0001-01-01"}, "est déjà écoulée"),
        ({"until": "soon"}, "dernier jour de conservation"),
        ({"on": "2026-11-24"}, "entre l’appel et aujourd’hui"),
        ({"on": "2026-11-26"}, "entre l’appel et aujourd’hui"),
        ({"on": ""}, "entre l’appel et aujourd’hui"),
        ({"reason": " "}, "Indiquez la raison"),
    ):
        for sure in ({}, {"sure": "yes"}):
            answer = paul.send(retention_page(call, "/agreement"), **{**LATER, **wrong}, **sure)
            assert answer.status_code == 403
            assert sentence in answer.text
    assert amendments.listed_hashes(bakery.id, call) == ()


def test_unannounced_recording_accepts_no_agreement(house, browser, bakery) -> None:
    call = house.call(bakery, announced=False)
    paul = browser("paul")
    assert retention_page(call, "/agreement") not in paul.get(page(call)).text
    answer = paul.send(retention_page(call, "/agreement"), **LATER)
    assert answer.status_code == 403
    assert amendments.listed_hashes(bakery.id, call) == ()


def test_purposes_are_narrowed_except_those_required_by_law(house, browser) -> None:
    duty = house.customer("Notaire", "+3225550177", purposes=("agreement", "quality", "legal-duty"))
    house.person(duty, "anne", "Anne", role="customer_admin")
    call = house.call(duty)
    anne = browser("anne")
    text = anne.get(page(call)).text
    text = text[text.index('id="narrow"') :]
    text = text[: text.index("</fieldset>")]
    assert 'value="quality"' in text
    assert 'value="legal-duty"' not in text
    text = anne.send(retention_page(call, "/purposes"), purpose="quality", reason="Not needed").text
    assert "Il sert encore à : Mémoire de ce qui a été convenu" in text
    assert "détruit dans quelques minutes" not in text
    assert amendments.listed_hashes(duty.id, call) == (), "seen, not done"
    by_law = anne.send(retention_page(call, "/purposes"), purpose="legal-duty", reason="x", sure="yes")
    assert (by_law.status_code, "une loi" in by_law.text.lower()) == (403, True)
    nothing = anne.send(retention_page(call, "/purposes"), reason="x", sure="yes")
    assert "Choisissez l’un des usages" in nothing.text
    less = {"purpose": "quality", "reason": "Not needed", "sure": "yes"}
    assert anne.send(retention_page(call, "/purposes"), **less).status_code == 303
    assert house.changes.look(duty.id, call).terms.active(house.clock()) == ("agreement", "legal-duty")


def test_narrowing_the_last_purpose_warns_of_erasure(house, browser, bakery, call) -> None:
    paul, less = browser("paul"), {"purpose": "agreement", "reason": "Not needed"}
    assert "détruit dans quelques minutes" in paul.send(retention_page(call, "/purposes"), **less).text
    assert paul.send(retention_page(call, "/purposes"), **less, sure="yes").status_code == 303
    assert destroy_due(house) == 1


def test_colleague_who_keeps_a_call_goes_on_listening(house, browser, bakery, call) -> None:
    house.person(bakery, "luc", "Luc")
    claire, luc, paul = browser("claire"), browser("luc"), browser("paul")
    luc.listen_to(call)
    assert claire.send(retention_page(call, "/hold"), review="2027-01-15").status_code == 303
    (hold,) = amendments.holds(bakery.id)
    assert (hold.owner, hold.roles, hold.purposes) == (
        bakery.people["claire"].id, ("customer_admin",), ("agreement",),
    )  # fmt: skip
    assert hold.reason == "Mis de côté"
    claire.listen_to(call)
    paul.listen_to(call)
    assert luc.send(page(call), purpose="agreement").status_code == 403, "others are stopped"
    assert 'id="player"' not in luc.get(page(call)).text
    assert luc.send(retention_page(call, "/lift"), hold="1").status_code == 403
    assert f"{retention_page(call)}/lift" not in luc.get(page(call)).text
    assert claire.send(retention_page(call, "/lift"), hold="1").status_code == 303
    assert amendments.holds(bakery.id) == ()
    luc.listen_to(call)


def test_colleague_cannot_admit_others_nor_serve_another_purpose(house, browser) -> None:
    notary = house.customer("Notaire", "+3225550177", purposes=("agreement", "quality"))
    house.person(notary, "marc", "Marc")
    house.person(notary, "olga", "Olga")
    call = house.call(notary)
    marc = browser("marc")
    form = {"review": "2027-01-15", "colleagues": "yes"}
    assert marc.send(retention_page(call, "/hold"), **form, purpose="quality").status_code == 403
    assert marc.send(retention_page(call, "/hold"), **form).status_code == 303
    (hold,) = amendments.holds(notary.id)
    assert hold.roles == ("customer_admin",)
    marc.listen_to(call)
    assert marc.send(page(call), purpose="quality").status_code == 403
    assert browser("olga").send(page(call), purpose="agreement").status_code == 403


def test_forged_owner_of_a_hold_admits_nobody(house, browser, bakery, call) -> None:
    """The signed amendment in the bucket decides, not its row."""
    house.person(bakery, "luc", "Luc")
    browser("claire").send(retention_page(call, "/hold"), review="2027-01-15")
    with connected():
        row = AmendmentTable.get()
        AmendmentTable.update(data=row.data | {"owner": bakery.people["luc"].id}).execute()
    assert browser("luc").send(page(call), purpose="agreement").status_code == 403
    browser("claire").listen_to(call)


def test_every_retention_error_has_a_sentence() -> None:
    codes = set(re.findall(r'"(retention\.[a-z_]+)"', Path(amendment_service.__file__).read_text("utf-8")))
    for page in ("amendments", "limits"):
        source = Path(retention_text.__file__).parents[1] / "retention" / f"{page}.py"
        codes |= set(re.findall(r'RetentionError\("(retention\.[a-z_]+)"', source.read_text("utf-8")))
    assert codes - {"retention.roles"} <= set(errors.ERRORS)


def test_retention_page_without_a_key_says_so(house, bakery, call, clock, entropy) -> None:
    from .conftest import Browser

    app = create_app(
        PanelState(WebConfig(b"k" * 32, secure_cookies=False), gate=house.gate, now=clock, entropy=entropy)
    )
    paul = Browser(app.test_client())
    paul.log_in("paul")
    answer = paul.get(page(call))
    assert answer.status_code == 200
    assert "clé de signature" in answer.text
    assert set_hold(paul, call).status_code == 403


# --- who handles it


def test_admin_chooses_the_colleague_who_handles_it(house, browser, bakery, call) -> None:
    house.person(bakery, "luc", "Luc")
    paul, claire = browser("paul"), bakery.people["claire"].id
    options = re.findall(r'<option value="([^"]+)"( selected)?>([^<]+)', paul.get(page(call)).text)
    people = {user.id for user in bakery.people.values()}
    offered = [(name, bool(is_chosen)) for user, is_chosen, name in options if user in people]
    assert offered == [("Claire Martin", False), ("Luc", False), ("Paul Martin", True)], "who can listen"
    assert set_hold(browser("paul"), call, handler=claire).status_code == 303
    browser("claire").listen_to(call)
    assert browser("luc").send(page(call), purpose="agreement").status_code == 403
    assert paul.get("/recordings").text.count("Claire Martin s’en occupe.") == 1


def test_difference_is_handed_over(house, browser, bakery, call, clock) -> None:
    house.person(bakery, "luc", "Luc")
    luc, since = bakery.people["luc"].id, clock()
    set_hold(browser("paul"), call, handler=bakery.people["claire"].id)
    clock.forward(days=1)
    paul = browser("paul")
    assert paul.send(retention_page(call, "/handler"), hold="1", handler=luc).status_code == 303
    (hold,) = amendments.holds(bakery.id)
    assert (hold.number, hold.owner, hold.reason) == (2, luc, "Contested order 12")
    (now,) = house.changes.look(bakery.id, call).terms.holds
    assert (now.since, now.data.replaces) == (since, 1), "kept since the first"
    browser("luc").listen_to(call)
    assert browser("claire").send(page(call), purpose="agreement").status_code == 403, "no longer hers"
    assert "Luc s’en occupe." in paul.get("/recordings").text
    log = paul.get("/access-log").text
    assert "Le différend a été confié à quelqu’un d’autre." in log
    for path in ("/lift", "/handler"):
        refused = paul.send(retention_page(call, path), hold="1", handler=luc)
        assert refused.status_code == 403, "that one has ended"
        assert "Entre-temps, il a été libéré ou confié à quelqu’un d’autre." in refused.text
    assert browser("luc").send(retention_page(call, "/lift"), hold="2").status_code == 303
    assert amendments.holds(bakery.id) == ()
    assert house.changes.look(bakery.id, call).terms.holds == ()


def test_who_handles_it_hands_it_over_and_nobody_else(house, browser, bakery, call) -> None:
    house.person(bakery, "luc", "Luc")
    claire, luc = browser("claire"), browser("luc")
    ids = {name: user.id for name, user in bakery.people.items()}
    claire.send(retention_page(call, "/hold"), review="2027-01-15")
    path = retention_page(call, "/handler")
    assert path in claire.get(page(call)).text
    assert path not in luc.get(page(call)).text
    with connected():  # a row says that Luc handles it; the signed amendment names Claire
        row = AmendmentTable.get()
        AmendmentTable.update(data=row.data | {"owner": ids["luc"]}).execute()
    assert luc.send(path, hold="1", handler=ids["luc"]).status_code == 403
    with connected():
        AmendmentTable.update(data=row.data).execute()
    assert claire.send(path, hold="1", handler=ids["audit"]).status_code == 403, "cannot listen"
    assert claire.send(path, hold="1", handler=ids["luc"]).status_code == 303
    assert [each.owner for each in amendments.holds(bakery.id)] == [ids["luc"]]
    luc.listen_to(call)
    assert claire.send(page(call), purpose="agreement").status_code == 403
    for hold in ("1", "2"):
        answer = claire.send(path, hold=hold, handler=ids["claire"])
        assert answer.status_code == 403, "neither the hold that she handed over nor the one that he handles"
        assert "Seul un administrateur, ou la personne qui s’en occupe" in answer.text
    assert [each.owner for each in amendments.holds(bakery.id)] == [ids["luc"]]


def test_only_people_who_can_listen_handle_it(house, browser, bakery, rival, call) -> None:
    house.person(bakery, "luc", "Luc")
    paul = browser("paul")
    people = bakery.people | rival.people
    signed_by = {"signer": house.services.signer, "trust": house.trust, "by": By("operator")}
    now_and_entropy = {"now": house.clock(), "entropy": house.entropy}
    mine = house.add_line(bakery.id, "+3225550101", bakery.announcement.id)
    users.change_access(
        bakery.id, people["luc"].id, role="customer", lines=[mine.id], **signed_by, **now_and_entropy
    )
    for login in ("audit", "dyck", "luc"):
        refused = set_hold(paul, call, handler=people[login].id)
        assert (refused.status_code, "Choisissez" in refused.text) == (403, True), login
    assert amendments.holds() == ()
    set_hold(paul, call)
    for login in ("audit", "dyck", "luc", "paul"):
        assert (
            paul.send(retention_page(call, "/handler"), hold="1", handler=people[login].id).status_code == 403
        )
    for login in ("claire", "audit"):
        hold_form = {"hold": "1", "handler": people["claire"].id}
        assert browser(login).send(retention_page(call, "/handler"), **hold_form).status_code == 403
    assert paul.send(retention_page(call, "/handler"), handler=people["audit"].id).status_code == 403, (
        "no hold"
    )
    (hold,) = amendments.holds(bakery.id)
    assert (hold.number, hold.owner) == (1, people["paul"].id)


def test_colleague_who_keeps_a_call_names_nobody_else(house, browser, bakery, call) -> None:
    luc = house.person(bakery, "luc", "Luc")
    browser("claire").send(retention_page(call, "/hold"), review="2027-01-15", handler=luc.id)
    (hold,) = amendments.holds(bakery.id)
    assert hold.owner == bakery.people["claire"].id
