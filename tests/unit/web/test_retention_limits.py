"""Retention limits in the panel: a preview shows the effect of a change before it is made."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.lifecycle import limits, preview
from recorder.lifecycle.limit_application import apply_limits
from recorder.lifecycle.retention_limits import NewLimit, set_limit
from recorder.seal import retention_limit
from recorder.seal.amendment import By
from recorder.seal.usage_terms import RetentionLimit
from tests.amendments import amend
from web.state import KEY

CHANGE = "/settings/retention/change"


@pytest.fixture
def calls(house, bakery, clock) -> list[str]:
    """Recordings of fifteen days ago and of now, kept for thirty days."""
    return [house.call(bakery, at=clock() - timedelta(days=days)) for days in (15, 0)]


def preview_page(browser, **query: str):
    return browser.client.get(CHANGE, query_string=query)


def in_table(page: str) -> list[tuple[str, str]]:
    return re.findall(r'<th scope="row">([^<]+)</th><td>(\d+)</td>', page)


def test_shorter_limit_is_previewed_then_applied(house, browser, bakery, calls, clock) -> None:
    paul = browser("paul")
    assert "/settings/retention" in paul.get("/compliance").text
    page = paul.get("/settings/retention").text
    assert "<strong>30 jours</strong>" in page
    assert "Comme annoncé sur vos numéros" in page
    text = preview_page(paul, purpose="agreement", days="12").text
    assert in_table(text) == [("Aussitôt", "1"), ("Décembre 2026", "1")]
    assert "2 enregistrements prennent fin plus tôt." in text
    assert "2 sont actuellement conservés pour cet usage" in text
    assert "2 d’entre eux n’ont pas d’autre usage" in text
    assert all(f'href="/recordings/{each}"' in text for each in calls), "by name"
    assert limits.in_force(bakery.id, house.changes.trust) == (), "seen, not done"
    unsure = paul.send(CHANGE, purpose="agreement", days="12")
    assert (unsure.status_code, in_table(unsure.text)) == (200, in_table(text))
    assert "puis cochez la case" in unsure.text
    assert limits.in_force(bakery.id, house.changes.trust) == ()
    assert paul.send(CHANGE, purpose="agreement", days="12", sure="yes").status_code == 303
    (row,) = limits.in_force(bakery.id, house.changes.trust)
    assert (row.limit.purpose, row.limit.line, row.limit.keep_days) == ("agreement", None, 12)
    assert limits.limits_of(bakery.id, house.changes.trust) == (row.limit,), "as the log bears it out"
    with connected():
        leaf = LeafTable.select().where(LeafTable.kind == limits.SET).get()
    assert json.loads(leaf.body)["by"] == bakery.people["paul"].id
    page = paul.get("/settings/retention").text
    assert "Au plus 12 jours" in page
    assert "Défini par Paul Martin le 25 novembre 2026" in page
    assert "Votre pays permet au plus" in page

    apply_limits(house.services.store, house.services.root, clock())
    ends = sorted(queries.recording(bakery.id, each).keep_until.date() for each in calls)
    forecast = preview.preview_limit(
        bakery.id, RetentionLimit(12, "agreement", None, clock()), clock(), house.changes.trust
    )
    assert forecast.ends == {}, "it is so already"
    assert [(end - clock().date()).days for end in ends] == [0, 12]


def agreed_until(house, tenant: str, recording: str, clock) -> bool:
    """Whether the gate still lets somebody listen for the agreed purpose."""
    return "agreement" in house.changes.look(tenant, recording).terms.active(clock())


def test_agreements_end_only_if_chosen_by_name(house, browser, bakery, rival, calls, clock) -> None:
    yes = {"answer": "yes", "by": "external", "how": "key"}
    exempt, on_hold, selected_id = (
        house.call(bakery, at=clock() - timedelta(days=15), questions=[yes]) for _ in range(3)
    )
    foreign = house.call(rival, at=clock() - timedelta(days=15), questions=[yes])
    review = clock() + timedelta(days=9)
    hold = {"owner": "p", "purposes": ["agreement"], "reason": "…", "review_at": review}
    amend(house.changes.hold, bakery.id, on_hold, By("operator"), **hold)
    paul = browser("paul")
    form = {"purpose": "agreement", "days": "12"}
    text = preview_page(paul, **form).text
    assert in_table(text) == [("Aussitôt", "1"), ("Décembre 2026", "1")]
    assert "Il a été convenu de garder 3 enregistrements plus longtemps" in text
    offered = re.findall(r'name="end" value="([^"]+)"', text)
    assert [each in offered for each in (exempt, on_hold, selected_id)] == [True, False, True]
    assert foreign not in text

    choice = {**form, "end": [selected_id, on_hold, foreign], "sure": "yes"}
    again = paul.send(CHANGE, **choice)
    assert again.status_code == 200, "the number that was confirmed is not that of the page"
    assert "il avait été convenu de le garder" in again.text
    assert 'name="confirmed" value="1"' in again.text
    assert limits.in_force(bakery.id, house.changes.trust) == ()
    assert paul.send(CHANGE, **choice, confirmed="1").status_code == 303

    apply_limits(house.services.store, house.services.root, clock())
    assert [agreed_until(house, bakery.id, each, clock) for each in (exempt, on_hold, selected_id)] == [
        True, True, False,
    ]  # fmt: skip
    assert agreed_until(house, rival.id, foreign, clock)
    assert queries.recording(bakery.id, exempt).keep_until > clock() + timedelta(days=300)
    (row,) = limits.in_force(bakery.id, house.changes.trust)
    assert not row.limit.covers_consents
    statement, key = retention_limit.open_set(row.content, house.root_public)
    assert (statement.by, key) == (By("user", bakery.people["paul"].id), house.changes.signer.key_id)
    amendment = house.changes.look(bakery.id, selected_id).chain.amendments[-1]
    assert (amendment.kind, amendment.by) == ("purposes_narrowed", By("user", bakery.people["paul"].id))


def test_setting_of_the_operator_names_the_provider_and_what_it_covers(house, browser, bakery, calls) -> None:
    set_limit(house.changes, bakery.id, NewLimit("agreement", None, 9, covers_consents=True), By("operator"))
    page = browser("paul").get("/settings/retention").text
    assert "Défini par votre fournisseur" in page
    assert "Vaut aussi pour les accords antérieurs." in page


def test_limits_page_without_a_key_says_so(app, browser, bakery) -> None:
    app.extensions[KEY] = replace(app.extensions[KEY], changes=None)
    paul = browser("paul")
    answer = paul.client.get("/settings/retention")
    assert answer.status_code == 503
    assert "clé" in answer.text
    assert preview_page(paul, purpose="agreement", days="12").status_code == 403
    assert paul.send(CHANGE, purpose="agreement", days="12").status_code == 403


def test_lifted_limit_affects_new_recordings_only(house, browser, bakery, calls, clock) -> None:
    paul = browser("paul")
    paul.send(CHANGE, purpose="agreement", days="20", sure="yes")
    clock.at += timedelta(hours=1)
    text = preview_page(paul, purpose="agreement", days="25").text
    assert "restent comme ils sont : au plus 20 jours" in text
    assert in_table(text) == []
    (row,) = limits.in_force(bakery.id, house.changes.trust)
    lifted = preview_page(paul, limit=row.id).text
    assert "aussi longtemps qu’annoncé" in lifted
    assert "restent comme ils sont : au plus 20 jours" in lifted
    assert paul.send(CHANGE, limit=row.id).status_code == 303
    assert limits.in_force(bakery.id, house.changes.trust) == ()
    assert paul.send(CHANGE, limit=row.id).status_code == 403
    new = house.call(bakery, at=clock())
    apply_limits(house.services.store, house.services.root, clock())
    assert (queries.recording(bakery.id, calls[-1]).keep_until - clock()).days == 19
    assert (queries.recording(bakery.id, new).keep_until - clock()).days == 30


def test_other_purposes_and_line_limits_are_shown(house, browser, clock, entropy) -> None:
    duty = house.customer("Notaire", "+3225550177", purposes=("agreement", "legal-duty"))
    house.person(duty, "anne", "Anne", role="customer_admin")
    house.call(duty)
    house.limit(duty.id, 14, line=duty.line.id)
    anne = browser("anne")
    page = anne.get("/settings/retention").text
    assert "Tout usage que la loi n’exige pas" in page
    assert "Une loi l’exige" in page
    assert 'value="legal-duty"' not in page
    text = preview_page(anne, purpose="agreement", days="7").text
    assert "1 enregistrement prend fin plus tôt." in text
    assert "Ils restent conservés pour leurs autres usages." in text
    assert in_table(preview_page(anne, purpose="agreement", days="14").text) == [], (
        "the line's own time ends it"
    )


def test_invalid_limits_are_refused_with_a_reason(house, browser, bakery) -> None:
    paul = browser("paul")
    for form, sentence in (
        ({"purpose": "agreement", "days": "0"}, "nombre de jours"),
        ({"purpose": "agreement", "days": "-1"}, "nombre de jours"),
        ({"purpose": "agreement", "days": "٣"}, "nombre de jours"),
        ({"purpose": "agreement"}, "nombre de jours"),
        ({"purpose": "agreement", "days": "99999"}, "Les règles de votre pays"),
        ({"purpose": "training", "days": "3"}, "Choisissez l’un des usages"),
        ({}, "Choisissez l’un des usages"),
        ({"limit": "x"}, "modifié entre-temps"),
    ):
        for answer in (preview_page(paul, **form), paul.send(CHANGE, **form)):
            assert answer.status_code == (403 if "limit" in form else 422)
            assert sentence in answer.text
            expected = 'href="/settings/retention"' if "limit" in form else f'value="{form.get("days", "")}"'
            assert expected in answer.text, "the way back, or what was typed"
    assert limits.in_force(bakery.id, house.changes.trust) == ()


def test_limit_of_another_customer_is_not_lifted(house, browser, bakery, rival) -> None:
    house.person(rival, "dora", "Dora Van Dyck", role="customer_admin")
    browser("paul").send(CHANGE, purpose="agreement", days="12", sure="yes")
    (row,) = limits.in_force(bakery.id, house.changes.trust)
    assert browser("dora").send(CHANGE, limit=row.id).status_code == 403
    assert limits.in_force(bakery.id, house.changes.trust) == (row,)
