"""Subject requests in the panel, from the register to the erasure."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import soundfile

from recorder.audit.service import Audit
from recorder.catalogue import erased_call_queries, queries, subject_request_queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.domain.parties import Party
from recorder.errors import AccessError
from recorder.features.contacts.service import contacts
from recorder.features.subject_requests import reviews, service
from recorder.lifecycle import expiry
from recorder.pipeline import stages
from recorder.playback.interface import Actor
from recorder.verification_calls import register
from tests.expected_errors import expect_error
from tests.house import CALLER
from tests.unit.web.conftest import Browser

OTHER = Party("e164", "+32470999999")
NUMBER = CALLER.value


def leaves(tenant: str) -> list[tuple[str, dict]]:
    with connected():
        rows = LeafTable.select().where(LeafTable.tenant == tenant).order_by(LeafTable.number)
        return [(row.kind, json.loads(row.body)) for row in rows if row.body]


def kinds(tenant: str, beginning: str = "subject_request.") -> list[str]:
    return [kind for kind, _ in leaves(tenant) if kind.startswith(beginning)]


def enter(browser, wants: str = "both", number: str = "0470 12 34 56", **more: str) -> str:
    form = {"number": number, "wants": wants, "language": "fr", "received": "2026-11-25", **more}
    answer = browser.send("/subject-requests", **form)
    assert answer.status_code == 303, answer.text
    return answer.location.partition("#")[0]


def known(admin, page: str, colleague: str = "claire") -> None:
    """The admin and a colleague vouch for the person."""
    other = Browser(admin.client.application.test_client())
    assert other.log_in(colleague).status_code == 303
    for each, how in ((admin, "Carte d'identité vue au comptoir"), (other, "Sa voix")):
        assert each.send(f"{page}/vouch", how=how).status_code == 303


def decide(browser, page: str, **decided: str) -> None:
    form = {}
    for name, value in decided.items():
        form[f"given-{name}"], _, form[f"why-{name}"] = value.partition(":")
    assert browser.send(f"{page}/review", **form).status_code == 303


def fetched(browser, page: str, **form: str) -> tuple[zipfile.ZipFile, dict, str]:
    answer = browser.send(f"{page}/copy", **form)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/zip"
    assert re.fullmatch(r'attachment; filename="recordings-\d+\.zip"', answer.headers["Content-Disposition"])
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert archive.testzip() is None
    facts = json.loads(archive.read("copy.json"))
    return archive, facts, archive.read("README.txt").decode()


@pytest.fixture
def call(house, bakery) -> str:
    return house.call(bakery)


def test_request_is_registered_with_its_deadline(browser, bakery, clock) -> None:
    paul = browser("paul")
    page = enter(paul, received="2026-11-20")
    (row,) = subject_request_queries.requests(bakery.id)
    assert (row.number, row.due_on.isoformat()) == (NUMBER, "2026-12-20")
    text = paul.get(page).text
    assert "20 décembre 2026" in text
    assert kinds(bakery.id) == ["subject_request.received"]
    assert NUMBER not in json.dumps(leaves(bakery.id)), "no log has the number"
    clock.at += timedelta(days=40)
    paul = browser("paul")
    assert "En retard" in paul.get("/subject-requests").text
    assert "En retard" in paul.get(page).text


def test_invalid_request_is_refused_and_not_written(browser, bakery) -> None:
    paul = browser("paul")
    for wrong, sentence in (
        ({"number": "hello"}, "numéro de téléphone"),
        ({"wants": "all"}, "ce que la personne demande"),
        ({"language": "xx"}, "la langue"),
        ({"received": "2027-01-01"}, "le jour"),
        ({"received": "soon"}, "le jour"),
    ):
        form = {"number": "0470 12 34 56", "wants": "copy", "language": "fr", "received": "2026-11-20"}
        fields = {**form, **wrong}
        answer = paul.send("/subject-requests", **fields)
        assert answer.status_code == 422
        assert sentence in answer.text
        assert f'value="{fields["number"]}"' in answer.text, "what was typed is kept"
    assert subject_request_queries.requests(bakery.id) == ()


def test_unverified_request_reveals_and_changes_nothing(browser, bakery, call) -> None:
    paul = browser("paul")
    page = enter(paul)
    assert "Enregistrements des appels" not in paul.get(page).text
    for what, form in (("review", {f"given-{call}": "both"}), ("copy", {}), ("erase", {"sure": "yes"})):
        answer = paul.send(f"{page}/{what}", **form)
        assert answer.status_code == 403
        assert "d’abord établir" in answer.text
    answer = paul.send(f"{page}/close", how="answered")
    assert answer.status_code == 403
    assert reviews.reviews_of(bakery.id, page.rpartition("/")[2]) == {}


def test_code_of_a_call_verifies_the_number(browser, bakery, call, clock, entropy) -> None:
    paul = browser("paul")
    page = enter(paul)
    assert paul.send(f"{page}/call").status_code == 303
    assert "Appel en cours" in paul.get(page).text
    claim = register.take("node1", clock(), entropy)
    assert claim is not None
    row, digits = claim
    register.answer("node1", row, "done", clock(), entropy)
    assert "a entendu un code" in paul.get(page).text
    wrong = f"{(int(digits) + 1) % 10**6:06}"
    answer = paul.send(f"{page}/code", code=wrong)
    assert answer.status_code == 403
    assert "pas le bon code" in answer.text
    assert paul.send(f"{page}/code", code=f" {digits[:3]} {digits[3:]} ").status_code == 303
    text = paul.get(page).text
    assert "Le numéro a été appelé" in text
    assert "À vérifier" in text
    assert kinds(bakery.id) == [
        "subject_request.received", "subject_request.call_ordered", "subject_request.code_created",
        "subject_request.called", "subject_request.code_tried",
        "subject_request.code_tried", "subject_request.verified",
    ]  # fmt: skip
    assert digits not in json.dumps(leaves(bakery.id))


def test_says_when_no_call_is_possible(browser, bakery, call, clock) -> None:
    paul = browser("paul")
    page = enter(paul)
    paul.send(f"{page}/call")
    clock.at += timedelta(seconds=11)
    assert "Aucun appel n’a été fait" in paul.get(page).text
    known(paul, page)
    assert "Carte d" in paul.get(page).text
    (row,) = subject_request_queries.requests(bakery.id)
    assert (row.verified_how, row.vouched_by, row.verified_by) == (
        "people", bakery.people["paul"].id, bakery.people["claire"].id,
    )  # fmt: skip


def test_copy_contains_reviewed_audio_and_own_voice_only(house, browser, bakery, rival, call) -> None:
    both = call
    own, none = house.call(bakery, mode="opt-in", caller_name="Bakker Jan"), house.call(bakery)
    others = [house.call(bakery, external_party=OTHER), house.call(rival)]
    missed = house.not_recorded(bakery, "declined")
    grant_id = browser("claire").grant_for(both).rpartition("/")[2]
    assert browser("paul").get(f"/audio/{grant_id}/audio.opus").status_code in (403, 404)
    paul = browser("paul")
    paul.send(f"/recordings/{both}/contact", name="Jan Peeters")
    page = enter(paul)
    known(paul, page)
    assert paul.send(f"{page}/copy").status_code == 403, "nothing was reviewed"
    decide(paul, page, **{both: "both", own: "own", none: "withheld:Un tiers y parle de sa santé"})
    archive, facts, readme = fetched(paul, page)
    assert facts["format"] == "accord-person-copy"
    assert facts["request"]["known_as"] == "Jan Peeters"
    assert "Jan Peeters" in readme
    facts_by_id = {each["id"]: each for each in facts["recordings"]}
    assert set(facts_by_id) == {both, own, none}
    assert (facts_by_id[own]["caller_name"], facts_by_id[none]["caller_name"]) == ("Bakker Jan", None)
    assert len(facts["calls_not_recorded"]) == 1
    for foreign in (*others, OTHER.value, OTHER.value[1:], "1001", "Claire"):
        assert foreign not in json.dumps(facts)
        assert foreign not in readme
    assert missed not in readme

    names = {facts_by_id[each]["sound"]["file"] for each in (both, own)}
    assert set(archive.namelist()) == {"README.txt", "copy.json", *names}
    assert facts_by_id[none]["sound"]["file"] is None
    for what in ("announcement", "purposes", "kept_until", "held", "agreed_to_record"):
        assert facts_by_id[none][what] == facts_by_id[both][what], "of its sound alone nothing is given"
    whole, rate = soundfile.read(io.BytesIO(archive.read(facts_by_id[both]["sound"]["file"])), dtype="int16")
    assert facts_by_id[both]["sound"]["file"].endswith("/audio.opus"), "as it is kept"
    assert np.abs(whole[:, 0]).max() > 1000
    assert np.abs(whole[:, 1]).max() > 1000
    theirs, rate = soundfile.read(io.BytesIO(archive.read(facts_by_id[own]["sound"]["file"])), dtype="int16")
    assert rate == 8000
    assert abs(len(theirs) - facts_by_id[own]["duration_ms"] * 8) <= 8
    assert not theirs[:, 1].any(), "the other channel is zeros"
    assert np.abs(theirs[:, 0]).max() > 1000
    start = len(theirs) * 2 // 3
    voice = theirs[start : start + rate, 0].astype(float)
    same = whole[start - rate // 50 : start + rate + rate // 50, 0].astype(float)
    alike = np.correlate(same, voice) / np.linalg.norm(voice) / np.linalg.norm(same)
    assert alike.max() > 0.9, "what they said, in its place"

    announced = bakery.announcement.text
    assert facts_by_id[own]["announcement"]["text"] == announced
    assert readme.count(announced) == 3
    assert facts_by_id[own]["agreed_to_record"] | {"at": None} == {
        "mode": "opt-in", "answer": "yes", "key": "1", "at": None,
    }  # fmt: skip
    assert [each["code"] for each in facts_by_id[both]["purposes"]] == ["agreement"]
    assert "Un tiers y parle de sa santé" in readme
    assert "Vos enregistrements" in readme
    assert "Boulangerie Martin" in readme
    exported = [body for kind, body in leaves(bakery.id) if kind == "recording.exported"]
    assert {(body["recording"], body["channels"]) for body in exported} == {(both, "both"), (own, "own")}
    assert "subject_request.exported" in kinds(bakery.id)
    assert kinds(rival.id, "subject_request.") == []


def test_request_at_one_customer_gives_no_recording_of_another(house, browser, bakery, rival, call) -> None:
    """Even if it is of a call with the same number."""
    paul = browser("paul")
    page = enter(paul)
    known(paul, page)
    decide(paul, page, **{call: "both"})
    request = service.find_copy_request(bakery.id, page.rpartition("/")[2])
    ours = bakery.people["paul"]
    theirs = house.person(rival, "an", "An Van Dyck", role="customer_admin", language="en")
    assert house.gate.copy(Actor(ours.id, bakery.id, ours.role, "fr"), request, call).row.id == call
    for recording, reason in (
        (house.call(rival), "subject_request.not_theirs"),
        (call, "access.not_found"),
    ):
        with expect_error(AccessError, reason):
            house.gate.copy(Actor(theirs.id, rival.id, theirs.role, "en"), request, recording)


def test_one_vouching_colleague_is_not_enough(house, browser, bakery, call) -> None:
    paul, claire = browser("paul"), browser("claire")
    page = enter(paul)
    assert paul.send(f"{page}/vouch", how="Carte d'identité vue au comptoir").status_code == 303
    page_text = paul.get(page).text
    assert "Paul Martin" in page_text
    assert f"{page}/vouch" in page_text, "where a colleague vouches, too"
    for what, form in (
        ("review", {f"given-{call}": "both"}), ("copy", {}), ("erase", {"sure": "yes"}),
        ("close", {"how": "answered"}), ("vouch", {"how": "Encore moi"}), ("vouch", {}),
    ):  # fmt: skip
        assert paul.send(f"{page}/{what}", **form).status_code == 403, what
    assert browser("audit").send(f"{page}/vouch", how="x").status_code == 403, "an auditor does not vouch"
    assert browser("audit").get(f"{page}/vouch").status_code == 403
    assert claire.get(page).status_code == 403, "a colleague who vouches sees no more of the request"
    html = claire.get(f"{page}/vouch").text
    assert NUMBER[4:] in re.sub(r"\D", "", html)
    assert "Paul Martin" in html
    assert "Carte d" not in html, "how the first one recognised them is theirs to say"
    assert "Enregistrements" not in html
    assert claire.send(f"{page}/vouch", how="Sa voix").status_code == 303
    page_text = paul.get(page).text
    for text in ("Paul Martin", "Carte d", "Claire Martin", "Sa voix", "10:00"):
        assert text in page_text
    assert claire.send(f"{page}/vouch", how="Encore").status_code == 403
    vouched = [body for kind, body in leaves(bakery.id) if kind == "subject_request.vouched"]
    assert [(each["vouch"], each["actor"]) for each in vouched] == [
        (1, bakery.people["paul"].id), (2, bakery.people["claire"].id),
    ]  # fmt: skip
    assert kinds(bakery.id) == [
        "subject_request.received",
        "subject_request.vouched",
        "subject_request.vouched",
        "subject_request.verified",
    ]
    assert "comptoir" not in json.dumps(leaves(bakery.id)), "what they saw is in no log"
    audit = Audit(house.store, house.root_public, house.clock(), house.keyring)
    assert list(audit.tenant(bakery.id)) == []


def test_colleague_of_some_lines_sees_only_the_end_of_the_number(browser, bakery, call) -> None:
    paul = browser("paul")
    page, path = enter(paul), f"/team/{bakery.people['claire'].id}"
    assert paul.send(path, role="customer", sees="some", lines=bakery.line.id).status_code == 303
    claire = browser("claire")
    for text in (claire.get(f"{page}/vouch").text, claire.send(f"{page}/vouch", how=" ").text):
        assert f"se termine par {NUMBER[-2:]}" in text
        assert NUMBER[-6:] not in re.sub(r"\s", "", text)
    assert claire.send(f"{page}/vouch", how="Sa voix").status_code == 303
    assert "subject_request.vouched" in kinds(bakery.id)


def test_other_customers_users_cannot_vouch(house, browser, bakery, rival, call) -> None:
    page = enter(browser("paul"))
    dyck = browser("dyck")
    assert dyck.get(f"{page}/vouch").status_code == 404
    assert dyck.send(f"{page}/vouch", how="Seen").status_code == 404
    assert kinds(bakery.id) == ["subject_request.received"]


def test_unannounced_recording_needs_its_own_review(house, browser, bakery, call) -> None:
    silent, other = (house.call(bakery, announced=False) for _ in range(2))
    paul = browser("paul")
    page = enter(paul)
    known(paul, page)
    decide(paul, page, **{call: "own"})
    archive, facts, readme = fetched(paul, page)
    facts_by_id = {each["id"]: each for each in facts["recordings"]}
    assert set(facts_by_id) == {call, silent, other}
    assert len(archive.namelist()) == 3, "one sound"
    for each in (silent, other):
        assert facts_by_id[each]["sound"] == {
            "given": "withheld", "file": None, "withheld_because": None, "announced": False,
        }  # fmt: skip
        assert facts_by_id[each]["started_at"]
    assert readme.count("ne permet pas d’établir") == 2
    answer = paul.send(f"{page}/review", **{f"given-{silent}": "both", f"why-{silent}": "All of them"})
    assert answer.status_code == 403, "not with the others"
    alone = f"{page}/recordings/{silent}/review"
    assert paul.send(alone, given="both").status_code == 403, "not without a reason"
    assert paul.send(alone, given="both", why="  ").status_code == 403
    _, facts, _ = fetched(paul, page)
    assert [each["sound"]["file"] for each in facts["recordings"] if each["id"] == silent] == [None]
    assert paul.send(alone, given="both", why="Le client l’a demandé par écrit").status_code == 303
    archive, facts, readme = fetched(paul, page)
    facts_by_id = {each["id"]: each for each in facts["recordings"]}
    assert facts_by_id[silent]["sound"]["file"] in archive.namelist()
    assert facts_by_id[other]["sound"]["file"] is None
    decided = [body for kind, body in leaves(bakery.id) if kind == "subject_request.recording_reviewed"]
    assert [(each["recording"], each["given"], each["reason"]) for each in decided] == [
        (call, "own", ""), (silent, "both", "Le client l’a demandé par écrit"),
    ]  # fmt: skip
    assert paul.send(f"{page}/erase", sure="yes").status_code == 303, "the copy has told of each"


def test_sealed_announcement_decides_not_the_row(house, browser, bakery) -> None:
    """A row marked as announced does not release an unannounced recording."""
    silent = house.call(bakery, announced=False)
    paul = browser("paul")
    page = enter(paul)
    known(paul, page)
    with connected():
        RecordingTable.update(announced=1, purposes=["agreement"]).execute()
    decide(paul, page, **{silent: "both"})
    assert paul.send(f"{page}/copy").status_code in (403, 409)
    assert "recording.exported" not in kinds(bakery.id, "recording.")


def test_recipients_are_listed_on_the_page_and_in_the_next_copy(browser, bakery, call) -> None:
    paul, page = browser("paul"), f"/recordings/{call}"
    assert "Personne ne l’a encore écouté." in browser("audit").get(page).text
    request = enter(paul)
    known(paul, request)
    decide(paul, request, **{call: "both"})
    _, facts, readme = fetched(paul, request)
    assert "Personne." not in readme, "whoever made the copy had it"
    for reader in ("paul", "audit"):
        text = browser(reader).get(page).text
        assert "Paul Martin" in text
        assert "A remis une copie à la personne enregistrée" in text
        assert "Personne ne l’a encore écouté." not in text
    assert "Paul Martin" not in browser("claire").get(page).text
    _, facts, readme = fetched(paul, request)
    assert [each["how"] for each in facts["recordings"][0]["listened"]] == ["copy", "copy"]
    assert readme.count("copie pour la personne enregistrée") == 2


def test_listeners_are_named_only_on_request(browser, bakery, call) -> None:
    claire, paul = browser("claire"), browser("paul")
    player = claire.listen_to(call)
    sound = re.search(r'src="(/[^"]*audio\.opus[^"]*)"', claire.get(player).text)
    assert sound is not None
    assert claire.get(sound[1].replace("&amp;", "&")).status_code == 200
    page = enter(paul)
    known(paul, page)
    decide(paul, page, **{call: "both"})
    _, facts, readme = fetched(paul, page)
    listen, copied = facts["recordings"][0]["listened"]
    assert (listen["how"], listen["role"], listen["purpose"]) == ("listened", "customer", "agreement")
    assert (copied["how"], copied["role"], copied["purpose"]) == ("copy", "customer_admin", None)
    assert "Claire" not in readme + json.dumps(facts)
    assert "un collègue" in readme
    _, facts, readme = fetched(paul, page, names="yes")
    assert facts["recordings"][0]["listened"][0]["name"] == "Claire Martin"
    assert "Claire Martin" in readme


def test_erases_what_is_allowed_and_explains_the_rest(house, browser, bakery, call) -> None:
    on_hold = house.call(bakery)
    duty = house.customer("Notaire", "+3225550177", purposes=("agreement", "legal-duty"))
    house.person(duty, "anne", "Anne", role="customer_admin")
    house.person(duty, "luc", "Luc")
    by_law = house.call(duty)
    paul, anne = browser("paul"), browser("anne")
    paul.send(
        f"/recordings/{on_hold}/retention/hold", purpose="agreement", reason="Order 12", review="2027-01-15"
    )
    paul.send(f"/recordings/{call}/contact", name="Jan Peeters")
    page = enter(paul)
    known(paul, page)
    answer = paul.send(f"{page}/erase", sure="yes")
    assert answer.status_code == 403, "the copy comes first"
    assert "Le nom que votre équipe a donné à ce numéro l’est aussi : Jan Peeters." in answer.text
    decide(paul, page, **{call: "own", on_hold: "both"})
    fetched(paul, page)
    assert paul.send(f"{page}/erase").status_code == 403, "not ticked"
    assert paul.send(f"{page}/erase", sure="yes").status_code == 303
    assert contacts(bakery.id) == ()
    review_rows = reviews.reviews_of(bakery.id, page.rpartition("/")[2])
    assert review_rows[call].erased_at is not None
    assert (review_rows[on_hold].erased_at, review_rows[on_hold].kept_reason) == (None, "retention.held")
    text = paul.get(page).text
    assert "Il est effacé" in text
    assert "15 janvier 2027" in text
    assert "Order 12" not in text, "the reason is the customer's own"
    from tests.unit.web.test_retention import destroy_due

    assert destroy_due(house) == 1
    assert queries.recording(bakery.id, call).erasure_reason == "deleted"
    assert "Il est effacé" in paul.get(page).text, "also when nothing is left of it"
    assert paul.send(f"{page}/erase", sure="yes").status_code == 303, "again, for what may be by then"
    assert kinds(bakery.id)[-1] == "subject_request.recording_kept"
    assert paul.send(f"{page}/close", how="answered").status_code == 303
    for what in ("call", "review", "copy", "erase", "extend", "close"):
        form = {"sure": "yes", "how": "answered", "why": "x", f"given-{on_hold}": "own"}
        answer = paul.send(f"{page}/{what}", **form)
        assert answer.status_code == 403, what

    page = enter(anne, wants="erasure")
    known(anne, page, "luc")
    assert anne.send(f"{page}/erase", sure="yes").status_code == 303
    (row,) = reviews.reviews_of(duty.id, page.rpartition("/")[2]).values()
    assert (row.recording, row.kept_reason) == (by_law, "retention.by_law")
    assert "comme la loi l’exige" in anne.get(page).text


def test_says_that_nothing_was_erased_while_the_log_has_a_gap(house, browser, bakery, call) -> None:
    missed = house.not_recorded(bakery, "declined")
    paul = browser("paul")
    page = enter(paul, wants="erasure")
    known(paul, page)
    with writing():
        LeafTable.delete().where((LeafTable.tenant == bakery.id) & (LeafTable.number == 0)).execute()
    before = kinds(bakery.id, "")
    answer = paul.send(f"{page}/erase", sure="yes")
    assert answer.status_code == 403
    text = "Le journal est incomplet : rien n’a été effacé. Prévenez votre fournisseur."
    assert f'<p class="field-error" id="erase-wrong">{text}</p>' in answer.text
    assert 'aria-describedby="erase-wrong"' in answer.text, "heard with the button, too"
    assert 'name="sure"' in answer.text, "beside the form"
    assert kinds(bakery.id, "") == before
    assert [row.id for row in queries.not_recorded(bakery.id).rows] == [missed]


def test_tampered_recording_is_not_copied(house, browser, bakery, call) -> None:
    paul = browser("paul")
    page = enter(paul)
    known(paul, page)
    decide(paul, page, **{call: "both"})
    manifest = house.stored(call, "manifest.json")
    manifest.write_bytes(manifest.read_bytes().replace(b"agreement", b"agreemenT", 1))
    answer = paul.send(f"{page}/copy")
    assert answer.status_code == 409
    assert "recording.exported" not in [kind for kind, _ in leaves(bakery.id)]
    decide(paul, page, **{call: "withheld:Endommagé"})
    _, facts, _ = fetched(paul, page)
    assert facts["recordings"][0]["sound"]["withheld_because"] == "Endommagé"


def test_unrecorded_calls_are_erased_and_counted(house, browser, bakery, rival, call, clock) -> None:
    mine = [house.not_recorded(bakery, reason) for reason in ("declined", "never_connected")]
    other = house.not_recorded(bakery, "declined", external_party=OTHER)
    theirs = house.not_recorded(rival, "declined")
    paul = browser("paul")
    page = enter(paul)
    known(paul, page)
    request = page.rpartition("/")[2]
    assert "2 appels non enregistrés" in paul.get(page).text
    decide(paul, page, **{call: "withheld:Un tiers y parle"})
    answer = paul.send(f"{page}/erase", sure="yes")
    assert answer.status_code == 403, "no copy has told of them"
    clock.at += timedelta(minutes=1)
    fetched(paul, page)
    assert paul.send(f"{page}/erase", sure="yes").status_code == 303
    with connected():
        assert {row.id for row in NotRecordedTable.select()} == {other, theirs}
        for row in LeafTable.select().where(LeafTable.recording_id.in_(mine)):
            assert (row.body, row.salt) == (None, None), "nothing opens what the log says of them"
    ((_kind, leaf_body),) = [leaf for leaf in leaves(bakery.id) if leaf[0] == "calls.erased"]
    assert (leaf_body["calls"], len(leaf_body["leaves"]), leaf_body["request"]) == (2, 2, request)
    text = paul.get(page).text
    assert "2 appels non enregistrés sont effacés" in text
    assert "2 appels non enregistrés sont effacés" in paul.get("/subject-requests").text
    assert erased_call_queries.count_by_request(bakery.id) == {request: 2}
    audit = Audit(house.store, house.root_public, house.clock(), house.keyring)
    assert list(audit.tenant(bakery.id)) == []


def test_call_with_quarantined_audio_is_kept_and_reported(house, browser, bakery, clock) -> None:
    folder, end = house.finished(bakery)
    stages.quarantine_take(folder, stages.ENCODER_DIED, end, house.services)
    impossible, _ = house.finished(bakery, at=clock() - timedelta(hours=1))
    stages.quarantine_take(impossible, "take.impossible", end, house.services)
    quarantine = impossible.parent / "quarantine"
    paul = browser("paul")
    page = enter(paul, wants="erasure")
    known(paul, page)
    assert paul.send(f"{page}/erase", sure="yes").status_code == 303
    with connected():
        assert [row.id for row in NotRecordedTable.select()] == [folder.name]
    text = paul.get(page).text
    assert "1 appel non enregistré est effacé" in text
    assert "1 appel est écarté" in text
    assert expiry.empty_quarantine(replace(house.services, spool=impossible.parent), end) == 1, (
        "its sound goes, too"
    )
    assert [each.name for each in quarantine.iterdir()] == [folder.name]
