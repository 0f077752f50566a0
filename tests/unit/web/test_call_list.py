"""The call list: access, order, time zone, filters, and unrecorded calls."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from recorder.catalogue.database import connected
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain import time_zones
from recorder.domain.parties import Party
from recorder.features.call_list import queries
from recorder.features.call_list.annotations import annotated_calls
from recorder.features.notes import service as notes
from recorder.seal.amendment import By
from recorder.spool.layout import REASONS
from tests.amendments import amend


def calls_on(page) -> list[str]:
    """The start times of the calls on a page, in order."""
    return re.findall(r'<p class="call-time"><time datetime="([^"]+)"', page.text)


def link(page, rel: str) -> str | None:
    """The address of the next or previous page."""
    found = re.search(rf'href="([^"]+)" rel="{rel}"', page.text)
    return None if found is None else found.group(1).replace("&amp;", "&")


@pytest.fixture
def calls(house, bakery, clock) -> list[str]:
    """Eleven calls, an hour apart, latest first; every third is a real recording."""
    times = []
    for n in range(11):
        at = clock() - timedelta(hours=n)
        times.append(at.isoformat())
        if n % 3:
            house.not_recorded(bakery, "never_connected", at=at)
        else:
            house.call(bakery, at=at)
    return times


def test_lists_recorded_and_unrecorded_calls_latest_first(browser, calls):
    person = browser("claire")
    ids, address = [], "/recordings"
    for _ in range(3):
        page = person.get(address)
        ids += calls_on(page)
        next_page = link(page, "next")
        if next_page is None:
            break
        address = next_page
    assert ids == calls
    back = link(page, "prev")
    assert calls_on(person.get(back)) == calls[5:10]
    assert calls_on(person.get(link(person.get(back), "prev"))) == calls[:5]


def test_new_call_does_not_shift_later_pages(browser, house, bakery, calls, clock):
    person = browser("claire")
    next_page = link(person.get("/recordings"), "next")
    before = calls_on(person.get(next_page))
    clock.forward(minutes=1)
    house.not_recorded(bakery, "daemon_away")
    assert calls_on(person.get(next_page)) == before


def test_filters_by_kind(browser, calls):
    person = browser("claire")
    assert calls_on(person.get("/recordings?show=recorded")) == calls[::3]
    missing = [at for n, at in enumerate(calls) if n % 3]
    assert calls_on(person.get("/recordings?show=not-recorded")) == missing[:5]


@pytest.mark.parametrize("typed", ["0470 99", "+32 470 99", "470.99", "0032470"])
def test_finds_a_number_in_any_notation(browser, house, bakery, typed):
    house.not_recorded(bakery, "never_connected", external_party=Party("e164", "+32470998877"))
    house.not_recorded(bakery, "never_connected", external_party=Party("e164", "+3225550042"))
    page = browser("claire").get("/recordings", query_string={"q": typed})
    assert len(calls_on(page)) == 1
    assert "+32\u00a0470\u00a099\u00a088\u00a077" in page.text


def test_finds_calls_by_the_lines_number(browser, house, bakery):
    house.call(bakery)
    assert len(calls_on(browser("claire").get("/recordings?q=555+01+00"))) == 1


def test_filters_by_days_in_the_customers_time_zone(browser, house, bakery):
    late = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)  # half past midnight on the 25th in Brussels
    house.not_recorded(bakery, "never_connected", at=late)
    person = browser("claire")
    page = person.get("/recordings?from=2026-11-25&to=2026-11-25")
    assert calls_on(page) == [late.isoformat()]
    assert "Mercredi 25 novembre 2026" in page.text
    assert ">00:30<" in page.text
    assert calls_on(person.get("/recordings?from=2026-11-24&to=2026-11-24")) == []


def test_unreadable_query_arguments_are_ignored(browser, calls):
    person = browser("claire")
    texts_by_argument = {
        "from=yesterday": "Ce n’est pas une date.",
        "to=2026-13-40": "Ce n’est pas une date.",
        "from=99999-01-01": "Ce n’est pas une date.",
        "q=%2B": "Saisissez au moins un chiffre ou une lettre.",
    }
    for nonsense in (
        *texts_by_argument,
        "after=x",
        "after=2026_x",
        "before=x",
        "show=x",
        "when=x",
        "length=x",
        "consent=x",
    ):
        page = person.get(f"/recordings?{nonsense}")
        assert page.status_code == 200, nonsense
        assert calls_on(page) == calls[:5], nonsense
        assert texts_by_argument.get(nonsense, "") in page.text, nonsense
    assert 'value="yesterday"' in person.get("/recordings?from=yesterday").text, "the input is kept"


def test_number_with_markup_or_pattern_is_plain_text(browser, calls):
    person = browser("claire")
    page = person.get("/recordings", query_string={"q": '"><b>1%_'})
    assert page.status_code == 200
    assert "<b>" not in page.text


@pytest.mark.parametrize(
    "typed",
    ["' OR 1=1 --", '"', "470';--", "\\", "9" * 5000, "a" * 5000, "\U0010ffff", "%1", "_1"],
)
def test_bad_search_text_finds_nothing(browser, calls, typed):
    page = browser("claire").get("/recordings", query_string={"q": typed})
    assert page.status_code == 200
    assert calls_on(page) == [] or "Saisissez au moins un chiffre ou une lettre." in page.text


@pytest.mark.parametrize("typed", ["q", "label", "line", "reason", "consent", "when", "from", "after"])
def test_bad_filter_values_are_harmless(browser, calls, typed):
    claire = browser("claire")
    values = map(quote, ("' OR 1=1 --", "x" * 5000, "%", "2026-11-25_' OR 1=1"))
    for value in (*values, "%ED%A0%80"):  # the last is no UTF-8
        page = claire.get("/recordings", query_string=f"{typed}={value}")
        assert page.status_code == 200, value


@pytest.mark.parametrize("reason", sorted(REASONS | {"take.impossible"}))
def test_every_reason_for_an_unrecorded_call_has_a_sentence(browser, house, bakery, reason):
    house.not_recorded(bakery, reason)
    page = browser("claire").get("/recordings").text
    assert "Non enregistré" in page
    assert reason not in re.sub(r'<option value="[^"]*"', "", page)


def test_customer_sees_only_own_calls(browser, house, bakery, rival):
    house.call(bakery)
    house.not_recorded(bakery, "never_connected")
    assert calls_on(browser("dyck").get("/recordings")) == []
    assert len(calls_on(browser("claire").get("/recordings"))) == 2


def test_empty_list_explains_when_calls_appear(browser, bakery):
    page = browser("claire").get("/recordings")
    assert "Pas encore d’appel" in page.text
    assert 'href="/numbers"' in page.text
    assert "Aucun appel ne correspond" in browser("claire").get("/recordings?q=1").text


def test_outbound_call_shows_both_numbers(browser, house, bakery):
    house.call(bakery, external_party=Party("e164", "+32470000009"), direction="outbound")
    house.not_recorded(bakery, "declined", direction="outbound")
    page = browser("claire").get("/recordings").text
    assert page.count("a été appelé depuis le +32\u00a02\u00a0555\u00a001\u00a000") == 2
    assert "+32\u00a0470\u00a000\u00a000\u00a009" in page
    assert "La personne appelée a choisi de ne pas être enregistrée." in page


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "Europe", "../x"])
def test_unknown_time_zone_is_shown_as_utc(browser, house, bakery, zone):
    """The row comes from a machine with a newer tzdata."""
    recording = house.call(bakery, at=datetime(2026, 11, 25, 8, 30, tzinfo=UTC))
    with connected():
        TenantTable.update(time_zone=zone).where(TenantTable.id == bakery.id).execute()
    time_zones._warn.cache_clear()
    with capture_logs() as logs:
        person = browser("paul")
        page = person.get("/recordings?from=2026-11-25")
        assert page.status_code == 200
        for path in (f"/recordings/{recording}", "/subject-requests", "/settings/retention", "/numbers"):
            assert person.get(path).status_code == 200, path
    assert "08:30" in page.text
    assert "Fuseau horaire : UTC." in page.text
    assert [line["time_zone"] for line in logs if line["event"] == "time_zone.unknown"] == [zone]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("when=today", [0]),
        ("when=yesterday", [1]),
        ("when=7-days", [0, 1, 2]),
        ("when=month", [0, 1, 2, 3]),
        ("when=last-month", [4, 5]),
        ("from=2026-10-31&to=2026-11-02", [3, 4]),
        ("from=2026-11-02&to=2026-10-31", [3, 4]),
        ("to=2026-10-02", [5]),
        ("when=yesterday&from=2026-11-24", [0, 1]),
    ],
)
def test_periods_are_days_in_the_customers_time_zone(browser, house, bakery, clock, arguments, expected):
    """Wednesday, half past eleven in the evening in Brussels, where the month began at 23:00 UTC."""
    clock.time = datetime(2026, 11, 25, 22, 30, tzinfo=UTC)
    times = [
        datetime(2026, 11, 24, 23, 5, tzinfo=UTC),
        datetime(2026, 11, 24, 22, 55, tzinfo=UTC),
        datetime(2026, 11, 18, 23, 0, tzinfo=UTC),
        datetime(2026, 10, 31, 23, 0, tzinfo=UTC),
        datetime(2026, 10, 31, 22, 59, tzinfo=UTC),
        datetime(2026, 9, 30, 22, 0, tzinfo=UTC),
    ]
    for at in times:
        house.not_recorded(bakery, "never_connected", at=at)
    assert calls_on(browser("claire").get(f"/recordings?{arguments}")) == [
        times[n].isoformat() for n in expected
    ]


def test_agreement_entered_later_is_not_shown_as_agreed(browser, house, bakery):
    recording = house.call(bakery)
    by = By("user", bakery.people["paul"].id)
    amend(
        house.changes.agree,
        bakery.id,
        recording,
        by,
        purpose="agreement",
        keep_days=100,
        reason="By telephone",
    )
    page = browser("claire").get("/recordings")
    badges = re.search(r'<p class="badges call-badges">.*?</p>', page.text, re.DOTALL)
    assert badges is not None
    assert "Gardé, selon une note" in badges[0]
    assert "Convenu de garder" not in badges[0]


def test_each_filter_narrows_the_list_and_can_be_removed(browser, house, bakery):
    recording = house.call(bakery)
    house.not_recorded(bakery, "declined")
    person = browser("claire")
    for arguments, number in (
        (f"line={bakery.line.id}", 2),
        ("line=unknown", 0),
        ("direction=outbound", 0),
        ("direction=inbound", 2),
        ("length=under-1", 1),
        ("length=over-20", 0),
        ("consent=declined", 1),
        ("consent=notice", 1),
        ("agreement=not-asked", 1),
        ("agreement=agreed", 0),
        ("held=yes", 0),
        ("show=recorded", 1),
        ("reason=declined", 1),
        ("reason=full_disk", 0),
        ("q=magasin", 2),
        ("q=MAGÀSIN", 2),
        ("q=mag_sin", 0),
    ):
        page = person.get(f"/recordings?{arguments}")
        assert len(calls_on(page)) == number, arguments
        if not arguments.startswith("q="):
            assert page.text.count('<a class="chip" href="/recordings">') == 1, arguments
    assert f'<a class="call-link" href="/recordings/{recording}">' in person.get("/recordings").text


def test_filter_value_of_another_customer_finds_nothing(browser, house, bakery, rival, clock):
    recording, clock_and_entropy = house.call(bakery), {"now": clock(), "entropy": house.entropy}
    notes.add_label(bakery.id, recording, bakery.people["claire"].id, text="réclamation", **clock_and_entropy)
    house.not_recorded(bakery, "declined")
    house.call(rival)
    mine, other = browser("claire"), browser("dyck")
    for arguments in (
        f"line={bakery.line.id}", "label=r%C3%A9clamation", "reason=declined", "q=magasin", "q=5550100"
    ):  # fmt: skip
        assert calls_on(mine.get(f"/recordings?{arguments}")), arguments
        page = other.get(f"/recordings?{arguments}")
        assert calls_on(page) == [], arguments
        assert "0 calls" in page.text, arguments
        assert other.get(f"/recordings/new?{arguments}").status_code == 204, arguments
    assert "réclamation" not in other.get("/recordings").text


def test_number_of_calls_is_exact_up_to_a_thousand(browser, house, bakery, monkeypatch):
    monkeypatch.setattr(queries, "COUNTED", 3)
    for number in range(1, 5):
        house.not_recorded(bakery, "never_connected")
        page = browser("claire").get("/recordings")
        text = {1: "1 appel<", 2: "2 appels<", 3: "3 appels<", 4: "Plus de 3 appels<"}[number]
        assert f'<p class="muted">{text}' in page.text


def test_saved_filter_is_its_users_own_and_keeps_no_number(browser, house, bakery, rival):
    person = browser("claire")
    fields = {"q": "0470123456", "agreement": "refused", "when": "month"}
    token = person.token("/recordings")
    answer = person.send("/recordings/filters", token, name="  Refusés  du mois ", **fields)
    assert answer.status_code == 303
    assert answer.location == "/recordings?q=0470123456&when=month&agreement=refused"
    page = person.get("/recordings").text
    (address,) = re.findall(r'<a class="view is-saved" href="([^"]+)"', page)
    assert address.replace("&amp;", "&") == "/recordings?agreement=refused&when=month"
    assert "0470123456" not in page
    assert re.findall(r'aria-current="true">([^<]+)</a>', page) == ["Tous"]
    filtered = person.get("/recordings?when=month&agreement=refused").text
    assert re.findall(r'aria-current="true">([^<]+)</a>', filtered) == ["Refusés du mois"]
    for other in ("paul", "audit", "dyck"):
        assert "Refusés du mois" not in browser(other).get("/recordings").text
    (delete,) = re.findall(
        r'action="(/recordings/filters/[^"]+/delete)"', person.get(address.replace("&amp;", "&")).text
    )
    for other in ("paul", "dyck"):
        stranger = browser(other)
        assert stranger.send(delete, stranger.token("/recordings")).status_code == 404
    assert "Refusés du mois" in person.get("/recordings").text
    assert person.send(delete, token).status_code == 303
    assert "Refusés du mois" not in person.get("/recordings").text


def test_filter_that_cannot_be_saved_says_why_and_keeps_the_input(browser, house, bakery):
    person = browser("claire")
    token = person.token("/recordings")
    assert person.send("/recordings/filters", token, name="Mine", show="recorded").status_code == 303
    for name, why in ((" ", "Donnez un nom au filtre."), ("Mine", "Vous avez déjà un filtre de ce nom.")):
        answer = person.send("/recordings/filters", token, name=name, show="not-recorded")
        assert answer.status_code == 422
        assert why in answer.text
        assert f'value="{name}"' in answer.text
        assert '<option value="not-recorded" selected>' in answer.text
    for number in range(2, 21):
        person.send("/recordings/filters", token, name=f"{number}", show="recorded")
    answer = person.send("/recordings/filters", token, name="One more", show="recorded")
    assert answer.status_code == 422
    assert "Vous avez 20 filtres" in answer.text


def test_new_calls_are_counted_since_the_page_was_made(browser, house, bakery, calls, clock):
    person = browser("claire")
    page = person.get("/recordings?show=not-recorded").text
    address = re.search(r'data-address="([^"]+)"', page).group(1).replace("&amp;", "&")
    assert person.get(address).status_code == 204
    house.call(bakery)
    assert person.get(address).status_code == 204, "it does not fit the filter"
    house.not_recorded(bakery, "declined")
    house.not_recorded(bakery, "declined", at=clock() - timedelta(minutes=90))  # long calls are listed later
    answer = person.get(address)
    assert answer.status_code == 200
    assert "2 nouveaux appels" in answer.text
    assert 'href="/recordings?show=not-recorded"' in answer.text
    assert person.get("/recordings/new?oldest=x&shown=1").status_code == 204
    assert person.get("/recordings/new?shown=x").status_code == 204


def test_new_calls_of_others_are_not_counted(browser, house, bakery, rival):
    person = browser("dyck")
    address = (
        re.search(r'data-address="([^"]+)"', person.get("/recordings").text).group(1).replace("&amp;", "&")
    )
    house.call(bakery)
    assert person.get(address).status_code == 204
    house.call(rival)
    assert "1 new call" in person.get(address).text


def test_finds_calls_by_note_and_label(browser, house, bakery, clock):
    with_note, labelled, removed = (house.call(bakery) for _ in range(3))
    time_and_entropy = {"now": clock(), "entropy": house.entropy}
    claire = bakery.people["claire"].id
    notes.add_note(bakery.id, with_note, claire, text="Rappeler lundi", at_ms=None, **time_and_entropy)
    notes.add_label(bakery.id, labelled, claire, text="réclamation", **time_and_entropy)
    notes.add_note(bakery.id, removed, claire, text="Erreur", at_ms=None, **time_and_entropy)
    (mistake,) = notes.notes_of(bakery.id, removed)
    notes.delete_note(bakery.id, removed, mistake.id, claire, any_author=False, **time_and_entropy)
    person = browser("claire")
    for arguments, recording, chip in (
        ("noted=yes", with_note, "Avec une note"),
        ("label=r%C3%A9clamation", labelled, "Étiquette : réclamation"),
    ):
        page = person.get(f"/recordings?{arguments}")
        assert re.findall(r'class="call-link" href="/recordings/([^"]+)"', page.text) == [recording]
        assert chip in page.text
    page = person.get("/recordings").text
    assert "1 note</span>" in page
    assert "réclamation</span>" in page
    for typed, found in (
        ("  rappeler LUNDI", {with_note}), ("reclamation", {labelled}),
        ("claire mart", {with_note, labelled}), ("erreur", set()),
    ):  # fmt: skip
        page = person.get("/recordings", query_string={"q": typed}).text
        assert set(re.findall(r'class="call-link" href="/recordings/([^"]+)"', page)) == found, typed


def test_words_of_others_and_of_other_lines_find_nothing(browser, house, bakery, rival, luc, clock) -> None:
    """The words of another customer, and those about a call that the colleague may not see."""
    call, of_rival = house.call(bakery), house.call(rival)
    how = {"text": "Acompte 4711", "at_ms": None, "now": clock(), "entropy": house.entropy}
    notes.add_note(bakery.id, call, bakery.people["claire"].id, **how)
    notes.add_note(rival.id, of_rival, rival.people["dyck"].id, **how)
    with connected():
        RecordingTable.update(line_id="another").where(RecordingTable.id == call).execute()
    assert annotated_calls(bakery.id, "acompte") == (call,)
    for who, found in (("claire", [call]), ("luc", [])):
        page = browser(who).get("/recordings?q=4711").text
        assert re.findall(r'class="call-link" href="/recordings/([^"]+)"', page) == found, who


def test_a_calls_page_leads_to_the_others_with_its_number(browser, house, bakery, rival, clock) -> None:
    """In both directions, over calls with others; never to a call of a line that one may not see."""
    numbers = ("+32470000001", "+324700000012", "+32470000001", "+32470000001")  # one contains the other
    first, other, call, last = (
        house.call(bakery, at=clock() - timedelta(hours=9 - n), external_party=Party("e164", number))
        for n, number in enumerate(numbers)
    )
    house.call(rival, at=clock() - timedelta(hours=8), external_party=Party("e164", "+32470000001"))

    def leads_to(who: str, recording: str) -> list[str]:
        page = browser(who).get(f"/recordings/{recording}").text
        found = re.search(r'<nav class="call-neighbours".*?</nav>', page, re.DOTALL)
        return re.findall(r'href="/recordings/([^"]+)"', found[0]) if found else []

    assert leads_to("claire", call) == [first, last]
    assert leads_to("claire", first) == [call]
    assert leads_to("claire", last) == [call]
    assert leads_to("claire", other) == []
    house.user(
        bakery.id,
        "luc",
        name="Luc",
        password_hash=bakery.people["claire"].password_hash,
        lines=[bakery.line.id],
    )
    with connected():
        RecordingTable.update(line_id="another").where(RecordingTable.id == first).execute()
    assert leads_to("luc", call) == [last]


def test_people_and_words_are_found_beside_many_calls(browser, house, bakery, clock, monkeypatch) -> None:
    """Where a text is that of more parties than are looked up, the calls are read by time."""
    calls = [house.call(bakery) for _ in range(4)]
    claire = bakery.people["claire"].id
    how = {"at_ms": None, "now": clock(), "entropy": house.entropy}
    notes.add_note(bakery.id, calls[1], claire, text="3247", **how)
    notes.add_note(bakery.id, calls[2], claire, text="Devis 12", **how)
    everything = browser("claire").get("/recordings?q=32").text
    monkeypatch.setattr(queries, "CANDIDATES", 0)
    assert browser("claire").get("/recordings?q=32").text.count("call-link") == everything.count("call-link")
    page = browser("claire").get("/recordings?q=devis").text
    assert re.findall(r'class="call-link" href="/recordings/([^"]+)"', page) == [calls[2]]


def test_colleague_finds_only_calls_of_their_lines(browser, luc):
    """Neither the list, nor the count, nor a filter names another line."""
    assert len(calls_on(browser("claire").get("/recordings"))) == 2
    person = browser("luc")
    page = person.get("/recordings")
    assert re.findall(r'class="call-link" href="/recordings/([^"]+)"', page.text) == [luc]
    assert "1 appel<" in page.text
    for arguments in ("q=50188", "line=another", "show=not-recorded", "reason=full_disk"):
        page = person.get(f"/recordings?{arguments}")
        assert calls_on(page) == [], arguments
        assert "0 appel" in page.text, arguments
    assert person.get("/recordings/new?shown=1").status_code == 204


def test_finds_calls_by_the_name_of_the_colleague_whose_lines_they_are(browser, luc):
    page = browser("claire").get("/recordings?q=dubois")
    assert re.findall(r'class="call-link" href="/recordings/([^"]+)"', page.text) == [luc]
