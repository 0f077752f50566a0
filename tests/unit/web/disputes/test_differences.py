"""Differences in the panel: opened from a call, the guest's pages, and the room."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
import vobject

from recorder.catalogue import queries
from recorder.domain.parties import Party
from recorder.features.disputes.queries import dispute_ids, find_dispute
from recorder.identity import users
from recorder.seal.amendment import By
from recorder.verification_calls import register
from tests.amendments import amend
from tests.mailbox import link_in, text_of
from tests.tombstones import bury_row
from tests.unit.web.account_mails import send
from tests.unit.web.test_consent_view import SPOKEN_ANSWER
from web.disputes.access import OPEN
from web.room_signals import SESSION_STREAMS
from web.rooms import views as room_views
from web.state import KEY

from .conftest import SUBJECT, accept, chunks, guest_of, invite, open_difference, state, vouch

# --- the customer's pages


def test_a_difference_is_opened_from_the_calls_page(claire, house, bakery, call) -> None:
    assert f"/recordings/{call}/together" in claire.get(f"/recordings/{call}").text
    assert "Écouter ensemble" in claire.get(f"/recordings/{call}/together").text
    page = open_difference(claire, house, call)
    text = claire.get(page).text
    assert SUBJECT in text
    assert "Claire Martin a ouvert" in text
    assert page in claire.get(f"/recordings/{call}").text
    assert SUBJECT in claire.get("/together").text
    assert queries.recording(bakery.id, call) is not None


def test_who_may_download_makes_a_pack_from_the_questions_page(claire, browser, house, call) -> None:
    page, pack = open_difference(claire, house, call), f"/recordings/{call}/pack"
    assert pack not in claire.get(page).text
    paul = browser("paul")
    assert f'href="{pack}"' in paul.get(page).text
    assert paul.get(pack).status_code == 200


def test_a_difference_is_about_several_calls(claire, house, bakery, call, rival) -> None:
    second = house.call(bakery, at=house.clock() - timedelta(minutes=30))
    stranger = Party("e164", "+32470999888")
    other = house.call(bakery, at=house.clock() - timedelta(minutes=40), external_party=stranger)
    foreign = house.call(rival, at=house.clock() - timedelta(minutes=50))
    text = claire.get(f"/recordings/{call}/together").text
    assert f'value="{second}"' in text
    assert f'value="{other}"' not in text
    assert f'value="{foreign}"' not in text
    page = open_difference(claire, house, call, recordings=[second, foreign])
    (dispute,) = dispute_ids(bakery.id)
    assert find_dispute(bakery.id, dispute, house.trust).recording_ids == (call, second)
    assert f"/recordings/{second}" in claire.get(page).text


def test_where_it_was_not_announced_the_other_person_can_be_asked(claire, house, bakery, call) -> None:
    changes, operator = house.changes, By("operator")
    agree = partial(amend, changes.agree, bakery.id, call, operator, keep_days=100, reason="By telephone")
    agree(purpose="training")
    amend(changes.narrow, bakery.id, call, operator, purposes=["agreement"], reason="Not announced")
    text = claire.get(f"/recordings/{call}/together").text
    assert f'href="/recordings/{call}#more"' in text
    assert 'name="subject"' not in text
    day = (house.clock() + timedelta(days=5)).date().isoformat()
    refused = claire.send(f"/recordings/{call}/together", subject=SUBJECT, settle_by=day)
    assert refused.status_code == 422
    agree(purpose="agreement")
    assert 'name="subject"' in claire.get(f"/recordings/{call}/together").text
    assert open_difference(claire, house, call)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"subject": ""}, "subject"),
        ({"subject": "a" * 201}, "subject"),
        ({"settle_by": "yesterday"}, "settle_by"),
        ({"settle_by": "2020-01-01"}, "settle_by"),
        ({"settle_by": "9999-12-31"}, "settle_by"),
    ],
)
def test_an_error_is_beside_its_field_and_keeps_the_entry(
    claire, house, bakery, call, changes, field
) -> None:
    day = (house.clock() + timedelta(days=5)).date().isoformat()
    entry = {"subject": SUBJECT, "settle_by": day} | changes
    answer = claire.send(f"/recordings/{call}/together", **entry)
    assert answer.status_code == 422
    assert f'id="{field}-wrong"' in answer.text
    other = "settle_by" if field == "subject" else "subject"
    assert f'value="{entry[other]}"' in answer.text
    assert not dispute_ids(bakery.id)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "Jan\u202ePeeters"}, "name"),
        ({"language": "es"}, "language"),
        ({"time-0": "tomorrow"}, "times"),
        ({"time-1": "2020-01-01T10:00"}, "times"),
        ({"how": "mail", "address": "jan@example.com"}, "form"),
    ],
)
def test_a_bad_invitation_is_refused(claire, house, call, changes, field) -> None:
    page = open_difference(claire, house, call)
    answer = claire.send(f"{page}/invite", **{"name": "Jan", "language": "nl", "how": "link"} | changes)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text or f'id="{field}-wrong"' in answer.text


def test_the_mail_says_who_what_and_when(house, bakery, call, mail_panel, box) -> None:
    claire = mail_panel("claire")
    page = open_difference(claire, house, call)
    when = (house.clock() + timedelta(days=2)).strftime("%Y-%m-%dT15:00")
    answer = claire.send(
        f"{page}/invite", name="Jan Peeters", language="nl", how="mail", address="jan@example.com",
        **{"time-0": when},
    )  # fmt: skip
    assert answer.status_code == 303
    (path,) = send(house, box)
    assert box.to == ["jan@example.com"]
    text = text_of(box.mails[0]).replace("\r\n", "\n")
    people = ("Jan Peeters", "Claire Martin", "Boulangerie Martin")
    for part in (*people, SUBJECT, "15:00", "Midden-Europese tijd", "U mag nee zeggen"):
        assert part in text, part
    start = queries.recording(bakery.id, call).started_at.astimezone(ZoneInfo("Europe/Brussels"))
    assert f"Het gesprek (Midden-Europese tijd):\n- {start.day} " in text, "which call it is"
    assert f"{start:%H:%M}\n" in text
    assert "Boulangerie Martin verstuurt het via Accord, de dienst die zijn gesprekken opneemt." in text
    assert "Bel Boulangerie Martin op het nummer dat u kent." in text
    assert urlsplit(link_in(box.mails[0])).path == path
    guest = mail_panel()
    invitation = guest.get(path).text
    assert 'name="code"' not in invitation, "the mail went to them alone"
    assert ", 15:00" in invitation, "the time that the mail proposes"
    assert "Midden-Europese tijd" in invitation
    assert guest.send(path, guest.token(path), answer="accepted").status_code == 303


def test_another_customers_difference_does_not_exist(browser, rival, claire, house, call) -> None:
    page = open_difference(claire, house, call)
    dyck = browser("dyck")
    for path in (page, f"{page}/invite", f"{page}/room", f"{page}/events"):
        assert dyck.get(path).status_code == 404, path
    for path in ("command", "presence", "listen", "close", "reschedule"):
        assert dyck.send(f"{page}/{path}", action="play").status_code == 404, path


def test_an_auditor_opens_none(browser, bakery, call) -> None:
    audit = browser("audit")
    assert f"/recordings/{call}/together" not in audit.get(f"/recordings/{call}").text
    assert audit.get(f"/recordings/{call}/together").status_code == 403
    assert audit.get("/together").status_code == 403


def test_closing_is_shown_and_releases_the_recording(claire, house, bakery, call) -> None:
    page = open_difference(claire, house, call)
    assert claire.send(f"{page}/close", how="settled").status_code == 303
    text = claire.get(page).text
    assert "a clos le différend" in text
    assert f"{page}/invite" not in text
    assert not house.changes.look(bakery.id, call).terms.holds


# --- the guest's pages


def test_opening_a_link_changes_nothing(browser, claire, house, call) -> None:
    page = open_difference(claire, house, call)
    link, _code = invite(claire, page)
    guest = browser()
    for _ in range(3):  # mail scanners open links
        answer = guest.get(link)
        assert answer.status_code == 200
        assert guest.head(link).status_code == 200
    for part in ("Jan Peeters", "Claire Martin", SUBJECT, "U mag nee zeggen", "tien minuten"):
        assert part in answer.text, part
    assert "heeft aanvaard" not in claire.get(page).text


def test_the_code_goes_with_the_link(browser, claire, house, call) -> None:
    link, code = invite(claire, open_difference(claire, house, call))
    guest = browser()
    wrong = "000 000" if code != "000 000" else "111 111"
    for _ in range(5):
        answer = guest.send(link, guest.token(link), answer="accepted", code=wrong)
        assert (answer.status_code, 'id="code-wrong"' in answer.text) == (422, True)
    assert guest.send(link, guest.token(link), answer="accepted", code=code).status_code == 429
    house.clock.forward(hours=2)
    accept(guest, link, code)


def test_a_no_is_thanked_for(browser, claire, house, call) -> None:
    page = open_difference(claire, house, call)
    link, code = invite(claire, page)
    guest = browser()
    answer = guest.send(link, guest.token(link), answer="declined")
    assert answer.status_code == 200
    assert "Bedankt" in answer.text
    assert guest.get("/together/welcome").status_code == 401
    admins_page = claire.get(page).text
    assert "Quelqu’un a dit non avec le lien de Jan Peeters" in admins_page
    assert "Non, non confirmé" in admins_page, "a no needs no code, so nobody knows whose it is"
    assert "heeft iemand met deze link nee gezegd" in guest.get(link).text
    accept(guest, link, code)
    assert "non confirmé</span>" not in claire.get(page).text


def test_yes_and_no_follow_the_third_sentence(browser, claire, house, call) -> None:
    link, _code = invite(claire, open_difference(claire, house, call))
    page = browser().get(link).text
    before, _, after = page.partition("U mag nee zeggen")
    assert before.rpartition("<form")[2].count("<p>") == 3
    buttons, _, rest = after.partition("<details")
    assert "Nee, dank u" in buttons
    assert "Deze mensen horen het" in rest


def test_guest_chooses_a_time(browser, claire, house, call) -> None:
    """With the answer, or later; both sides see it until it is over, and can put it into a calendar."""
    page = open_difference(claire, house, call)
    times = [(house.clock() + timedelta(days=each)).strftime("%Y-%m-%dT15:00") for each in (1, 2)]
    link, code = invite(claire, page, **{"time-0": times[0], "time-1": times[1]})
    guest = browser()
    first, other, none = re.findall(r'name="time" value="([^"]*)"', guest.get(link).text)
    assert none == ""
    form = guest.token(link)
    assert guest.send(link, form, answer="accepted", code=code, time=first).status_code == 303
    calendar = guest.get("/together/welcome/calendar.ics")
    assert (calendar.status_code, calendar.mimetype) == (200, "text/calendar")
    event = vobject.readOne(calendar.text).vevent
    assert event.dtstart.value == datetime.fromisoformat(first)
    assert event.summary.value == f"Samen luisteren: {SUBJECT}"
    assert "token" not in calendar.text
    assert link not in calendar.text
    assert (
        guest.send("/together/welcome/time", guest.token("/together/welcome"), time=other).status_code == 303
    )
    hosts = claire.get(page).text
    assert "Convient à Jan Peeters" in hosts
    path = re.search(r'href="([^"]+calendar\.ics)"', hosts)
    assert path is not None
    assert vobject.readOne(claire.get(path[1]).text).vevent.dtstart.value == datetime.fromisoformat(other)
    assert guest.send("/together/welcome/time", time="2026-01-01T10:00:00+00:00").status_code == 400
    assert guest.send("/together/welcome/time", time="").status_code == 400
    assert "weet dat dit tijdstip u past" in guest.get("/together/welcome").text
    house.clock.forward(days=3)
    assert "weet dat dit tijdstip u past" not in guest.get("/together/welcome").text
    assert "Convient à Jan Peeters" not in claire.get(page).text


def test_browser_that_lost_its_session_is_told_of_the_link(browser) -> None:
    answer = browser().get("/together/welcome")
    assert answer.status_code == 401
    assert "password" not in answer.text


def test_ended_links_say_why(browser, claire, house, bakery, call) -> None:
    page = open_difference(claire, house, call)
    link, _code = invite(claire, page)
    assert browser().get("/together/invitation/guessed").status_code == 410
    assert claire.send(f"{page}/guests/{guest_of(house, bakery)}/withdraw").status_code == 303
    answer = browser().get(link)
    assert answer.status_code == 410
    assert "Jan" not in answer.text
    assert "Claire Martin van Boulangerie Martin" in answer.text, "whom to ask"


def test_who_takes_part_comes_back_after_the_invitation_has_expired(browser, claire, house, call) -> None:
    page = open_difference(claire, house, call)
    link, code = invite(claire, page)
    accept(browser(), link, code)
    house.clock.forward(days=8)
    accept(browser(), link, code)
    wrong = "000 000" if code != "000 000" else "111 111"
    back = browser()
    assert back.send(link, back.token(link), answer="accepted", code=wrong).status_code == 422


def test_expired_invitation_names_whom_to_ask(browser, claire, house, call) -> None:
    link, _code = invite(claire, open_difference(claire, house, call))
    house.clock.forward(days=8)
    answer = browser().get(link)
    assert answer.status_code == 410
    assert "verlopen" in answer.text
    assert "Claire Martin van Boulangerie Martin" in answer.text


def test_a_guest_is_recognised_by_the_call(browser, claire, house, bakery, call) -> None:
    page = open_difference(claire, house, call)
    link, code = invite(claire, page)
    guest = browser()
    accept(guest, link, code)
    assert guest.send("/together/welcome/call").status_code == 303
    claim = register.take("node1", house.clock(), house.entropy)
    assert claim is not None
    register.answer("node1", claim[0], "done", house.clock(), house.entropy)
    wrong = "000000" if claim[1] != "000000" else "111111"
    answer = guest.send("/together/welcome/code", code=wrong)
    assert (answer.status_code, 'id="code-wrong"' in answer.text) == (422, True)
    assert f"{page}/room" not in guest.get("/together/welcome").text
    assert guest.send("/together/welcome/code", code=claim[1]).location == f"{page}/room"
    assert f"{page}/room" in guest.get("/together/welcome").text


def test_names_of_numbers_are_for_the_customers_own_people(room, call) -> None:
    page, claire, guest = room
    claire.send(f"/recordings/{call}/contact", name="Jan <Ghent>")
    text = claire.get(page).text.replace("\N{NO-BREAK SPACE}", " ")
    assert f'<a href="/recordings/{call}">Jan &lt;Ghent&gt;</a>' in text
    assert "Jan &lt;Ghent&gt; · +32 470 12 34 56</p>" in text, "beside the invited person's number"
    for path in ("/together/welcome", f"{page}/room"):
        answer = guest.get(path)
        assert (answer.status_code, "Ghent" in answer.text) == (200, False), path


def test_a_guest_who_leaves_is_out(room, house) -> None:
    page, claire, guest = room
    assert guest.send("/together/welcome/leave").location == "/together/goodbye?language=nl"
    assert guest.get("/together/goodbye").status_code == 200
    assert guest.get(f"{page}/room").status_code in (302, 404)
    assert "Jan Peeters est parti" in claire.get(page).text or "a quitté" in claire.get(page).text


def test_a_guest_sees_nothing_else(room, app, call) -> None:
    page, _claire, guest = room
    with app.test_request_context():
        others = [
            rule for rule in app.url_map.iter_rules()
            if "GET" in (rule.methods or ()) and not rule.arguments and rule.endpoint not in ("static",)
        ]  # fmt: skip
    for rule in others:
        if rule.endpoint.startswith(OPEN):
            continue
        assert guest.get(rule.rule).status_code in (401, 403, 404), rule.rule
    for path in (f"/recordings/{call}", page, f"{page}/invite", "/recordings", "/team"):
        assert guest.get(path).status_code == 403, path
    assert guest.get("/").location == "/together/welcome"
    assert guest.send(f"/recordings/{call}", purpose="agreement").status_code == 403


# --- the room


def test_both_see_the_same_room(room) -> None:
    page, claire, guest = room
    assert claire.send(f"{page}/presence", ready="yes").status_code == 204
    assert guest.send(f"{page}/presence").status_code == 204
    after = claire.send(f"{page}/command", action="play", seq="0").json
    assert (after["playing"], after["seq"]) == (True, 1)
    event = state(guest, page)
    assert {name: event[name] for name in ("playing", "seq", "at", "position")} == {
        name: after[name] for name in ("playing", "seq", "at", "position")
    }
    assert {each["name"]: each["ready"] for each in event["members"]} == {
        "Claire Martin": True, "Jan Peeters": False
    }  # fmt: skip


def test_one_leads_and_hands_over(room, house, bakery) -> None:
    page, claire, guest = room
    for each in (claire, guest):
        each.send(f"{page}/presence", ready="yes")
    claire.send(f"{page}/command", action="play", seq="0")
    refused = guest.send(f"{page}/command", action="seek", position="1", seq="1")
    assert (refused.status_code, refused.json["error"], refused.json["playing"]) == (409, "room.led", True)
    outdated = claire.send(f"{page}/command", action="seek", position="1", seq="0")
    assert (outdated.status_code, outdated.json["error"]) == (409, "room.outdated")
    handed = claire.send(f"{page}/command", action="lead", seq="1", to=guest_of(house, bakery))
    assert handed.json["leader"] == guest_of(house, bakery)
    assert guest.send(f"{page}/command", action="seek", position="1", seq="2").json["position"] == 1
    assert claire.send(f"{page}/command", action="shout", seq="3").status_code == 400


def test_anybody_pauses_and_takes_the_lead(room, house, bakery) -> None:
    """A pause is never refused, whoever leads and whatever page it comes from; the lead is one tap."""
    page, claire, guest = room
    for each in (claire, guest):
        each.send(f"{page}/presence", ready="yes")
    assert claire.send(f"{page}/command", action="play", seq="0").json["playing"]
    paused = guest.send(f"{page}/command", action="pause", seq="0")
    assert (paused.status_code, paused.json["playing"]) == (200, False)
    assert paused.json["leader"] == bakery.people["claire"].id
    lead = guest.send(f"{page}/command", action="lead", seq="2")
    assert (lead.status_code, lead.json["leader"]) == (200, guest_of(house, bakery))
    for number in range(130):  # more commands than a minute has
        guest.send(f"{page}/command", action="seek", position="1", seq=str(3 + number))
    assert guest.send(f"{page}/command", action="seek", position="1", seq="200").status_code == 429
    assert guest.send(f"{page}/command", action="pause", seq="0").status_code == 200


def test_each_listens_by_a_grant_of_their_own(room, house, bakery, call) -> None:
    page, claire, guest = room
    for each in (claire, guest):
        body = each.send(f"{page}/listen", recording=call).json
        webm = body["sounds"][0]
        assert webm["type"] == 'audio/webm; codecs="opus"'
        part = each.get(webm["src"], headers={"Range": "bytes=0-3"})
        assert (part.status_code, part.data) == (206, b"\x1a\x45\xdf\xa3")
        whole = each.get(webm["src"]).data
        assert each.get(webm["src"], headers={"Range": "bytes=100-299"}).data == whole[100:300]
        each.send(urlsplit(body["close"]).path, play=body["play"], played="0-1500")
    page_of_call = claire.get(f"/recordings/{call}").text
    assert "Jan Peeters" not in page_of_call or "écouté" in page_of_call
    from recorder.playback import call_history

    listeners = {each.user for each in call_history.history(bakery.id, call) if each.how == "listened"}
    assert listeners == {bakery.people["claire"].id, guest_of(house, bakery)}
    assert claire.send(f"{page}/listen", recording="another").status_code == 404


def test_both_see_where_it_was_announced_asked_and_answered(browser, claire, house, bakery) -> None:
    """As the manifest has it, with the waveform; the answer is where the external party's voice was heard."""
    recording = house.call(bakery, questions=[SPOKEN_ANSWER])
    page = open_difference(claire, house, recording)
    link, code = invite(claire, page)
    guest = browser()
    accept(guest, link, code)
    vouch(browser, page, guest_of(house, bakery))
    bodies = [each.send(f"{page}/listen", recording=recording).json for each in (claire, guest)]
    moments = [[(each["kind"], each["begin"], each["end"]) for each in body["moments"]] for body in bodies]
    assert moments[0] == moments[1]
    (announcement, begin, end), question, answer = moments[0]
    assert (announcement, question[0], answer[0]) == ("announcement", "question", "answer")
    assert 0 <= begin < end < question[1] < question[2] <= answer[1] < answer[2]
    assert [each["name"] for each in bodies[1]["moments"]] == ["Aankondiging", "De vraag", "Het antwoord"]
    for each, body in zip((claire, guest), bodies, strict=True):
        assert json.loads(each.get(body["peaks"]).data)["left"]


def test_nobody_is_in_the_room_before_being_recognised(browser, claire, house, call) -> None:
    page = open_difference(claire, house, call)
    link, code = invite(claire, page)
    guest = browser()
    accept(guest, link, code)
    for path in ("room", "events"):
        assert guest.get(f"{page}/{path}").status_code == 404
    for path in ("listen", "command", "presence"):
        assert guest.send(f"{page}/{path}", recording=call, action="play").status_code == 404


def test_the_room_ends_with_the_difference(room, call) -> None:
    page, claire, guest = room
    body = guest.send(f"{page}/listen", recording=call).json
    assert claire.send(f"{page}/close").status_code == 303
    assert guest.get(body["sounds"][0]["src"]).status_code in (401, 403, 410)
    assert claire.get(f"{page}/room").status_code == 404
    assert guest.get(f"{page}/room").status_code in (302, 404)


def test_the_clock_is_the_rooms(room, house) -> None:
    _page, claire, guest = room
    assert claire.get("/together/clock").json == guest.get("/together/clock").json
    assert abs(claire.get("/together/clock").json["now"] - house.clock().timestamp() * 1000) < 1


def test_a_lead_that_ends_by_itself_is_told(room, house, monkeypatch) -> None:
    page, claire, guest = room
    monkeypatch.setattr(room_views, "KEEP_ALIVE_S", 0.0)
    for each in (claire, guest):
        each.send(f"{page}/presence", ready="yes")
    claire.send(f"{page}/command", action="play", seq="0")
    answer = guest.client.get(f"{page}/events", environ_base={"REMOTE_ADDR": guest.address})
    events = (
        json.loads(each.partition("data: ")[2]) for each in chunks(answer) if each.startswith("event: room")
    )
    assert next(events)["leader"] != ""
    house.clock.forward(seconds=31)
    after = next(events)
    assert (after["leader"], after["playing"], after["members"]) == ("", True, [])
    answer.close()


def test_streams_end_with_the_panel(room, app) -> None:
    page, claire, _guest = room
    app.extensions[KEY].signals.close()
    assert claire.get(f"{page}/events").status_code == 503


def test_the_team_page_has_no_guests(room, browser, bakery) -> None:
    assert "Jan Peeters" not in browser("paul").get("/team").text
    assert "Jan Peeters" not in {each.name for each in users.users(bakery.id)}


@pytest.mark.parametrize("path", ["command", "presence", "listen"])
def test_a_stranger_is_refused_as_everywhere(room, app, path: str) -> None:
    page, _claire, _guest = room
    app.config["WTF_CSRF_ENABLED"] = False
    assert app.test_client().post(f"{page}/{path}").status_code == 401
    assert app.test_client().post(f"/together/no-such-room/{path}").status_code == 401


def test_more_tabs_than_a_session_may_have_end_its_oldest(room, app) -> None:
    page, claire, _guest = room
    answer = claire.client.get(f"{page}/events", environ_base={"REMOTE_ADDR": claire.address})
    events, signals = chunks(answer), app.extensions[KEY].signals
    while not next(events).startswith("event: room"):
        pass
    (own,) = signals._streams
    for _ in range(SESSION_STREAMS):
        assert signals.open(own.room, own.tenant, own.session) is not None
    assert list(events) == ["retry: 60000\n\n"], "this tab waits for a minute before it takes another's turn"
    answer.close()


def test_both_are_told_that_the_day_has_passed(room, browser, house) -> None:
    page, claire, guest = room
    assert "À régler pour le" in claire.get(page).text
    assert "Op te lossen uiterlijk op" in guest.get("/together/welcome").text
    house.clock.forward(days=6)
    claire = browser("claire")
    for address in (page, "/together"):
        assert "Devait être réglé pour le" in claire.get(address).text


def test_access_log_names_an_invited_person_and_no_code(room, browser) -> None:
    log = browser("paul").get("/access-log").text
    assert "Jan Peeters peut participer à un différend." in log
    assert "Personne invitée" in log
    assert "external_party" not in log
    assert "Votre fournisseur a donné accès à Jan Peeters" not in log


def test_a_room_without_a_recording_is_not_offered(room, house, bakery, call) -> None:
    page, claire, guest = room
    pages = ((claire, page, "a été supprimé depuis"), (guest, "/together/welcome", "sindsdien verwijderd"))
    for person, address, _text in pages:
        assert f'href="{page}/room"' in person.get(address).text
    row = queries.recording(bakery.id, call)
    assert row is not None
    bury_row(row, "deleted", now=house.clock(), entropy=house.entropy)
    for person, address, text in pages:
        content = person.get(address).text
        assert f'href="{page}/room"' not in content
        assert text in content
