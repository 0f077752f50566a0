"""People open their own call on a public page, which never tells whether there is a call."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from recorder.auditlog import leaf_lookup
from recorder.catalogue.database import connected, writing
from recorder.catalogue.subject_request_queries import own_requests
from recorder.catalogue.tables.own_call import OwnCallTable
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.domain.parties import Party
from recorder.domain.phone_numbers import format_international
from recorder.features.disputes import queries as dispute_queries
from recorder.features.disputes.dial_in import DialIn
from recorder.features.notifications import service as notifications
from recorder.features.own_call import rules
from recorder.features.own_call.opening import OwnCalls
from recorder.features.own_call.tenant_rule import rule_of
from recorder.features.subject_requests import reviews
from recorder.playback import call_history
from recorder.verification_calls import register
from tests.mailbox import link_in, text_of
from tests.unit.web.account_mails import send
from tests.unit.web.conftest import browsers, prepared
from web.own_call import guest_views

PHONE = "+32470123456"
CODE = re.compile(r'id="own-call-code">([0-9 ]+)<')


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(guest_views, "RESPONSE_S", 0.0)


@pytest.fixture
def call(house, bakery) -> str:
    return house.call(bakery)


def switch_on(admin, **form: str) -> None:
    answer = admin.send("/settings/my-call", on="yes", days="14", **form)
    assert answer.status_code == 303, answer.text


def give(colleague, call: str) -> str:
    answer = colleague.send(f"/recordings/{call}/my-call")
    assert answer.status_code == 200
    found = CODE.search(answer.text)
    assert found is not None
    return found.group(1)


def hear(house) -> str:
    guest_views.ORDERS.submit(lambda: None).result()  # what was ordered before is ordered
    claim = register.take("node1", house.clock(), house.entropy)
    assert claim is not None
    register.answer("node1", claim[0], "done", house.clock(), house.entropy)
    assert claim[0].number == PHONE
    return claim[1]


def open_call(person, house, code: str):
    assert person.send("/my-call", code=code).location == "/my-call/code"
    answer = person.send("/my-call/code", code=hear(house))
    assert (answer.status_code, answer.location) == (303, "/my-call/opened")
    return person.get("/my-call/opened")


def test_an_admin_hears_it_and_switches_it_on(browser, bakery, call) -> None:
    paul = browser("paul")
    assert f"/recordings/{call}/my-call" not in paul.get(f"/recordings/{call}").text, "it is off at first"
    page = paul.get("/settings/my-call")
    sample = re.search(r'src="(/settings/my-call/sample\.wav[^"]*)"', page.text)
    assert sample is not None
    sound = paul.get(sample.group(1))
    assert (sound.status_code, sound.mimetype, sound.data[:4]) == (200, "audio/wav", b"RIFF")
    wrong = paul.send("/settings/my-call", on="yes", days="91")
    assert (wrong.status_code, rule_of(bakery.id).on) == (422, False)
    assert 'value="91"' in wrong.text
    switch_on(paul)
    assert (rule_of(bakery.id).on, rule_of(bakery.id).names) == (True, False)
    assert f"/recordings/{call}/my-call" in browser("claire").get(f"/recordings/{call}").text
    assert f"/recordings/{call}/my-call" not in browser("audit").get(f"/recordings/{call}").text


def test_a_person_opens_their_call_and_hears_it(browser, house, bakery, call) -> None:
    paul, claire, jan = browser("paul"), browser("claire"), browser(address="198.51.100.9")
    switch_on(paul)
    claire.listen_to(call)
    code = give(claire, call)
    assert code not in claire.get(f"/recordings/{call}").text, "it is shown once"
    page = open_call(jan, house, code)
    assert page.status_code == 200
    assert "Boulangerie Martin" in page.text
    assert "conservé" in page.text
    assert "Claire Martin" not in page.text, "roles, no names"
    assert jan.get("/").location == "/my-call/opened"
    assert jan.get("/recordings").status_code == 403
    assert jan.get(f"/recordings/{call}").status_code == 403
    played = jan.send("/my-call/opened/play", purpose="agreement")
    assert played.location == "/my-call/opened#listen"
    sound = re.search(r'<source src="([^"]+)"', jan.get("/my-call/opened").text)
    assert sound is not None
    answer = jan.get(sound.group(1).replace("&amp;", "&"))
    assert answer.status_code == 200
    assert answer.data[:4] in (b"OggS", b"RIFF")
    listened = [each.role for each in call_history.history(bakery.id, call) if each.how == "listened"]
    assert listened == ["external_party"]
    assert jan.send("/my-call/leave").location == "/my-call?left=yes"
    assert jan.get("/my-call/opened").location == "/my-call"


def test_names_are_shown_where_the_customer_says_so(browser, house, call) -> None:
    paul, claire, jan = browser("paul"), browser("claire"), browser(address="198.51.100.9")
    switch_on(paul, names="yes")
    grant = claire.grant_for(call)
    assert claire.get(f"{grant}/audio.opus?play={'p' * 22}").status_code == 200
    assert "Claire Martin" in open_call(jan, house, give(claire, call)).text


def bodies(person, code: str, digits: str) -> list[tuple[int, str, str]]:
    """The answers to two codes, without what is random in them."""
    answers = [person.send("/my-call", code=code), person.get("/my-call/code")]
    answers.append(person.send("/my-call/code", code=digits))
    token = re.compile(r'name="csrf_token"[^>]* value="[^"]+"')
    return [(each.status_code, each.location or "", token.sub("", each.text)) for each in answers]


def test_no_answer_tells_whether_there_is_a_call(browser, house, call) -> None:
    switch_on(browser("paul"))
    code = give(browser("claire"), call)
    digits = code.replace(" ", "")
    wrong = f"{(int(digits) + 1) % 10**9:09}"
    first = bodies(browser(address="198.51.100.1"), code, "000000")
    assert first == bodies(browser(address="198.51.100.2"), wrong, "000000")
    guest_views.ORDERS.submit(lambda: None).result()
    with writing():
        OwnCallTable.update(statement="{}").execute()
    assert first == bodies(browser(address="198.51.100.3"), code, "000000"), "nor one that is damaged"
    with connected():
        numbers = [row.number for row in VerificationCallTable.select()]
    assert numbers == [PHONE], "nothing else is dialled"


@pytest.mark.parametrize("code", ["", "12345678", "1234567890", "abc"])
def test_what_cannot_be_a_code_is_said_so(browser, code: str) -> None:
    answer = browser().send("/my-call", code=code)
    assert answer.status_code == 422
    assert "9 digits" in answer.text


def test_right_and_wrong_codes_use_up_the_same_budget(browser, house, call) -> None:
    switch_on(browser("paul"))
    code = give(browser("claire"), call)
    jan, other = browser(address="198.51.100.1"), browser(address="198.51.100.2")
    for person, typed in ((jan, code), (other, "111111111")):
        statuses = [person.send("/my-call", code=typed).status_code for _ in range(11)]
        assert statuses == [303] * 10 + [429]
        assert person.send("/my-call/code", code="000000").status_code == 429
    house.clock.forward(minutes=7)
    assert jan.send("/my-call", code=code).status_code == 303


@pytest.mark.parametrize("how", ["withdrawn", "switched off", "damaged"])
def test_the_page_ends_with_the_code(browser, house, call, how: str) -> None:
    paul, jan = browser("paul"), browser(address="198.51.100.9")
    switch_on(paul)
    assert open_call(jan, house, give(paul, call)).status_code == 200
    match how:
        case "withdrawn":
            assert paul.send(f"/recordings/{call}/my-call/withdraw").status_code == 303
            assert jan.get("/my-call/opened").location == "/my-call", "the session has ended, too"
            return
        case "switched off":
            assert paul.send("/settings/my-call", days="14").status_code == 303
        case "damaged":
            with writing():
                OwnCallTable.update(statement="{}").execute()
    assert jan.get("/my-call/opened").status_code == 410


def test_a_call_that_is_ordered_slowly_delays_no_answer(browser, house, call, monkeypatch) -> None:
    """Only a right code has a telephone called, which a busy machine does late."""
    switch_on(browser("paul"))
    code, is_answered = give(browser("claire"), call), threading.Event()
    order = OwnCalls.order_call

    def order_late(*args) -> None:
        assert is_answered.wait(20)
        order(*args)

    monkeypatch.setattr(OwnCalls, "order_call", order_late)
    jan = browser(address="198.51.100.9")
    assert jan.send("/my-call", code=code).location == "/my-call/code"
    is_answered.set()
    assert hear(house)


def test_a_code_has_nine_digits_in_groups() -> None:
    assert rules.grouped("123456789") == "123 456 789"
    assert rules.code_mac(b"k", "123 456-789") == rules.code_mac(b"k", "123456789")
    assert rules.code_mac(b"k", "123456789") != rules.code_mac(b"l", "123456789")
    assert timedelta(days=rules.USUAL_DAYS) < timedelta(days=rules.LONGEST_DAYS)


def test_a_person_asks_for_deletion_and_takes_it_back(browser, house, bakery, call) -> None:
    paul, jan = browser("paul"), browser(address="198.51.100.9")
    switch_on(paul)
    open_call(jan, house, give(paul, call))
    for wants in ("copy", "erasure", "erasure"):
        answer = jan.send("/my-call/opened/requests", wants=wants)
        assert answer.location == "/my-call/opened#requests"
    assert jan.send("/my-call/opened/requests", wants="both of them").status_code == 400
    entry = {each.wants: each for each in own_requests(bakery.id, call)}
    assert len(own_requests(bakery.id, call)) == 2
    page = paul.get(f"/subject-requests/{entry['erasure'].id}")
    assert page.status_code == 200
    assert f"/recordings/{call}" in page.text
    refused = paul.send(f"/subject-requests/{entry['erasure'].id}/erase", sure="yes")
    assert refused.status_code == 403
    notifications.update(bakery.id, house.clock(), house.entropy)
    notices = notifications.list_notifications(bakery.id, bakery.people["paul"].id, house.clock(), admin=True)
    assert {each.data["request"] for each in notices} == {each.id for each in entry.values()}
    answer = jan.send(f"/my-call/opened/requests/{entry['erasure'].id}/take-back")
    assert answer.location == "/my-call/opened#requests"
    (old,) = [each for each in own_requests(bakery.id, call) if each.wants == "erasure"]
    assert old.closed_how == "taken_back"
    assert jan.get("/my-call/opened").text.count("/take-back") == 1
    assert jan.send(f"/my-call/opened/requests/{call}/take-back").status_code == 404


def test_an_admin_erases_the_call_after_three_days(browser, house, bakery, call) -> None:
    other = house.call(bakery)
    paul, jan = browser("paul"), browser(address="198.51.100.9")
    switch_on(paul)
    open_call(jan, house, give(paul, call))
    jan.send("/my-call/opened/requests", wants="erasure")
    (entry,) = own_requests(bakery.id, call)
    house.clock.forward(days=3)
    paul = browser("paul")
    assert paul.send(f"/subject-requests/{entry.id}/erase", sure="yes").status_code == 303
    rows = reviews.reviews_of(bakery.id, entry.id)
    assert [each.recording for each in rows.values() if each.erased_at] == [call]
    assert browser("claire").get(f"/recordings/{other}").status_code == 200


def test_consent_is_withdrawn_only_where_something_rests_on_it(browser, house, bakery, call) -> None:
    paul, jan = browser("paul"), browser(address="198.51.100.9")
    switch_on(paul)
    assert 'value="withdrawal"' not in open_call(jan, house, give(paul, call)).text
    agreed_call = house.call(bakery, mode="opt-in")
    assert 'value="withdrawal"' in open_call(jan, house, give(paul, agreed_call)).text
    assert jan.send("/my-call/opened/requests", wants="withdrawal").status_code == 303
    (entry,) = own_requests(bakery.id, agreed_call)
    page = paul.get(f"/subject-requests/{entry.id}")
    assert (page.status_code, entry.wants) == (200, "withdrawal")
    assert "/take-back" in jan.get("/my-call/opened").text


def propose(jan, paul, house, call: str, **form: str):
    """A proposal to listen together, and the customer's answer."""
    switch_on(paul)
    page = open_call(jan, house, give(paul, call))
    assert 'value="listening"' in page.text
    assert jan.send("/my-call/opened/requests", wants="listening").status_code == 303
    assert "L’autre personne propose" in paul.get(f"/recordings/{call}").text
    assert 'value="declined"' in paul.get(f"/recordings/{call}/together").text
    return paul.send(f"/recordings/{call}/together", **form)


def test_a_person_proposes_to_listen_together(browser, house, bakery, call) -> None:
    paul, jan = browser("paul"), browser(address="198.51.100.9")
    day = (house.clock() + timedelta(days=2)).date().isoformat()
    form = {"subject": "The price", "settle_by": day, "time-0": f"{day}T10:00", "answer": "accepted"}
    answer = propose(jan, paul, house, call, **form)
    assert answer.status_code == 303, answer.text
    (entry,) = own_requests(bakery.id, call)
    assert entry.closed_how == "answered"
    (dispute,) = dispute_queries.disputes_about(bakery.id, call)
    page = jan.get("/my-call/opened").text
    assert "The price" in page
    assert 'value="listening"' not in page
    invitation = jan.get(f"/my-call/opened/together/{dispute}")
    assert (invitation.status_code, 'name="code"' in invitation.text) == (200, False)
    time = re.search(r'name="time" value="([^"]+)"', invitation.text)
    assert time is not None
    answer = jan.send(f"/my-call/opened/together/{dispute}", answer="accepted", time=time.group(1))
    assert answer.location == "/together/welcome", answer.text
    (guest,) = dispute_queries.find_dispute(bakery.id, dispute, house.trust).guests
    assert (guest.number, guest.verified_how, guest.takes_part) == (PHONE, "code", True)
    assert guest.time is not None
    assert jan.get(f"/together/{dispute}/room").status_code == 200, "no further code is needed"
    assert jan.get("/my-call/opened").status_code == 410


def test_a_customer_declines_to_listen_together(browser, house, bakery, call) -> None:
    paul, jan = browser("paul"), browser(address="198.51.100.9")
    assert propose(jan, paul, house, call, answer="declined").status_code == 303
    (entry,) = own_requests(bakery.id, call)
    assert entry.closed_how == "declined"
    assert not dispute_queries.disputes_about(bakery.id, call)
    page = jan.get("/my-call/opened").text
    assert "They do not want to listen together." in page
    assert 'value="listening"' in page, "they can ask again"
    assert paul.send(f"/recordings/{call}/together", answer="declined").status_code == 422, (
        "nothing to decline"
    )
    jan.send("/my-call/opened/requests", wants="copy")
    entry = own_requests(bakery.id, call)[0]
    assert paul.send(f"/subject-requests/{entry.id}/close", how="declined").status_code == 403


def test_nobody_joins_an_open_question_of_others(browser, house, bakery, call) -> None:
    """One about another call, and one to which another number was invited."""
    other = house.call(bakery, external_party=Party("e164", "+32470999999"))
    paul, jan = browser("paul"), browser(address="198.51.100.9")
    switch_on(paul)
    open_call(jan, house, give(paul, call))
    day = (house.clock() + timedelta(days=2)).date().isoformat()
    paul.send(f"/recordings/{other}/together", subject="The price", settle_by=day)
    (dispute,) = dispute_queries.disputes_about(bakery.id, other)
    paul.send(f"/together/{dispute}/invite", name="Eva", language="fr", how="link")
    for way in (jan.get, jan.send):
        answer = way(f"/my-call/opened/together/{dispute}")
        assert answer.location == "/my-call/opened"
    assert browser().get(f"/my-call/opened/together/{dispute}").location == "/my-call"


def test_a_code_is_sent_by_mail(browser, house, bakery, call, mail_panel, box) -> None:
    switch_on(browser("paul"))
    claire = mail_panel("claire")
    assert 'name="address"' in claire.get(f"/recordings/{call}").text
    form = {"how": "mail", "address": "jan@example.com", "language": "nl"}
    for change in ({"address": "jan"}, {"language": "xx"}):
        answer = claire.send(f"/recordings/{call}/my-call", **form | change)
        assert CODE.search(answer.text) is None
        assert 'class="field-error"' in answer.text
    answer = claire.send(f"/recordings/{call}/my-call", **form)
    code = CODE.findall(answer.text)[0]
    assert "jan@example.com" in answer.text
    send(house, box)
    assert box.to == ["jan@example.com"]
    text = text_of(box.mails[0]).replace("\r\n", "\n")
    assert f"Uw code: {code}" in text
    assert "Claire Martin van Boulangerie Martin" in text
    assert "Het gesprek" in text, "which call it is"
    assert urlsplit(link_in(box.mails[0])).path == "/my-call"
    assert open_call(browser(address="198.51.100.9"), house, code).status_code == 200
    (leaf,) = leaf_lookup.leaves_about(bakery.id, [call], ["own_call.code_given"])
    assert leaf.body["by_mail"] is True


def test_a_mail_that_waits_goes_with_its_code(browser, house, call, mail_panel, box) -> None:
    switch_on(browser("paul"))
    claire = mail_panel("claire")
    claire.send(f"/recordings/{call}/my-call", how="mail", address="jan@example.com", language="fr")
    claire.send(f"/recordings/{call}/my-call/withdraw")
    send(house, box)
    assert not box.mails


def test_where_no_mail_is_sent_a_code_is_told(browser, call) -> None:
    paul = browser("paul")
    switch_on(paul)
    assert 'name="address"' not in paul.get(f"/recordings/{call}").text
    answer = paul.send(f"/recordings/{call}/my-call", how="mail", address="jan@example.com", language="fr")
    assert CODE.search(answer.text) is None
    assert "Aucun e-mail ne peut être envoyé d’ici" in answer.text


def test_the_telephone_is_heard_and_told_where_there_is_one(house, bakery, call, config, app) -> None:
    number = DialIn("+3225550199", house.keyring, house.trust)
    paul = browsers(prepared(house.app(config, dial_in=number)))("paul")
    page = paul.get("/settings/my-call").text
    addresses = re.findall(r'src="(/settings/my-call/sentences/\d\.wav[^"]*)"', page)
    assert len(addresses) == 5
    for address in addresses:
        sound = paul.get(address)
        assert (sound.status_code, sound.data[:4]) == (200, b"RIFF")
    assert paul.get("/settings/my-call/sentences/5.wav").status_code == 404
    switch_on(paul)
    assert format_international("+3225550199") in paul.send(f"/recordings/{call}/my-call").text
