"""The call list: access, order, time zone, filters, and unrecorded calls."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from recorder.catalogue.database import connected
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain import time_zones
from recorder.domain.parties import Party
from recorder.spool.layout import REASONS


def shown(page) -> list[str]:
    """The start times of the calls on a page, in order."""
    return re.findall(r'<p class="call-time"><time datetime="([^"]+)"', page.text)


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
    seen, address = [], "/recordings"
    for _ in range(3):
        page = person.get(address)
        seen += shown(page)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        if following is None:
            break
        address = following.group(1).replace("&amp;", "&")
    assert seen == calls


def test_new_call_does_not_shift_later_pages(browser, house, bakery, calls, clock):
    person = browser("claire")
    following = re.search(r'rel="next" href="([^"]+)"', person.get("/recordings").text).group(1)
    before = shown(person.get(following))
    clock.forward(minutes=1)
    house.not_recorded(bakery, "daemon_away")
    assert shown(person.get(following)) == before


def test_filters_by_kind(browser, calls):
    person = browser("claire")
    assert shown(person.get("/recordings?show=recorded")) == calls[::3]
    missing = [at for n, at in enumerate(calls) if n % 3]
    assert shown(person.get("/recordings?show=not-recorded")) == missing[:5]


@pytest.mark.parametrize("typed", ["0470 99", "+32 470 99", "470.99", "0032470"])
def test_finds_a_number_in_any_notation(browser, house, bakery, typed):
    house.not_recorded(bakery, "never_connected", external_party=Party("e164", "+32470998877"))
    house.not_recorded(bakery, "never_connected", external_party=Party("e164", "+3225550042"))
    page = browser("claire").get("/recordings", query_string={"number": typed})
    assert len(shown(page)) == 1
    assert "+32\u00a0470\u00a099\u00a088\u00a077" in page.text


def test_finds_calls_by_the_lines_number(browser, house, bakery):
    house.call(bakery)
    assert len(shown(browser("claire").get("/recordings?number=555+01+00"))) == 1


def test_filters_by_days_in_the_customers_time_zone(browser, house, bakery):
    late = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)  # half past midnight on the 25th in Brussels
    house.not_recorded(bakery, "never_connected", at=late)
    person = browser("claire")
    page = person.get("/recordings?from=2026-11-25&to=2026-11-25")
    assert shown(page) == [late.isoformat()]
    assert "Mercredi 25 novembre 2026" in page.text
    assert ">00:30<" in page.text
    assert shown(person.get("/recordings?from=2026-11-24&to=2026-11-24")) == []


def test_unreadable_query_arguments_are_ignored(browser, calls):
    person = browser("claire")
    for nonsense in (
        "from=yesterday",
        "to=2026-13-40",
        "from=99999-01-01",
        "number=abc",
        "after=x",
        "after=2026_x",
        "show=x",
    ):
        page = person.get(f"/recordings?{nonsense}")
        assert page.status_code == 200, nonsense
        assert shown(page) == calls[:5], nonsense
        assert ("n’a pas pu être lue" in page.text) == (nonsense != "show=x"), nonsense


def test_number_with_markup_or_pattern_is_plain_text(browser, calls):
    person = browser("claire")
    page = person.get("/recordings", query_string={"number": '"><b>1%_'})
    assert page.status_code == 200
    assert "<b>" not in page.text


@pytest.mark.parametrize("reason", sorted(REASONS | {"take.impossible"}))
def test_every_reason_for_an_unrecorded_call_has_a_sentence(browser, house, bakery, reason):
    house.not_recorded(bakery, reason)
    page = browser("claire").get("/recordings").text
    assert "Non enregistré" in page
    assert reason not in page


def test_customer_sees_only_own_calls(browser, house, bakery, rival):
    house.call(bakery)
    house.not_recorded(bakery, "never_connected")
    assert shown(browser("dyck").get("/recordings")) == []
    assert len(shown(browser("claire").get("/recordings"))) == 2


def test_empty_list_explains_when_calls_appear(browser, bakery):
    page = browser("claire").get("/recordings")
    assert "Un appel apparaît ici une minute après sa fin." in page.text
    assert "Aucun appel ne correspond." in browser("claire").get("/recordings?number=1").text


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
