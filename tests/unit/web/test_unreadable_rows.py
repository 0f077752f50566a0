"""A row that contains what Accord never writes concerns its own entry of a page: the rest is shown, and the
page says what is missing."""

from __future__ import annotations

import pytest
from peewee import IntegrityError

from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.tables.recording import RecordingTable

from .account_mails import EVA, shown_link

NUMBER = "Les données d’un numéro sont endommagées"
INVITATION = "Les données d’une invitation sont endommagées"
CALL = "Les données d’un appel sont endommagées"
THIS_CALL = "Les données de cet appel sont endommagées"
DIFFERENCE = "Les données d’un différend sont endommagées"

MADE_UP = (
    "INSERT INTO dispute (id, tenant_id, opened_at, settle_by) "
    "VALUES ('made-up', '{tenant}', 'made-up', 'made-up')"
)


@pytest.mark.parametrize(
    ("path", "sql", "sentence"),
    [
        ("/together", MADE_UP, DIFFERENCE),
        ("/team", "UPDATE invitation SET created_at = 'garbage'", INVITATION),
        ("/numbers", "UPDATE line SET since = 'garbage'", NUMBER),
        ("/numbers", "UPDATE line SET timing = 'whenever'", NUMBER),
        ("/recordings", "UPDATE line SET keep = '{{\"x\": 1}}'", NUMBER),
        ("/recordings", "UPDATE recording SET consented_until = '[' WHERE id = '{other}'", CALL),
        ("/recordings", "UPDATE unrecorded_call SET ended_at = 'garbage'", CALL),
        ("/recordings/{call}", "UPDATE line SET since = 'garbage'", ""),
    ],
)
def test_page_shows_the_rest_and_names_what_is_missing(
    browser, house, bakery, path: str, sql: str, sentence: str
) -> None:
    call, other, admin = house.call(bakery), house.call(bakery), browser("paul")
    house.not_recorded(bakery, "declined")
    assert shown_link(admin.send("/team/invite", **EVA, how="link"))
    with writing():
        database.execute_sql(sql.format(tenant=bakery.id, other=other))
    page = admin.get(path.format(call=call))
    assert page.status_code == 200
    assert sentence in page.text
    assert "is-good" in page.text or path != "/recordings", "the calls are still there"


def test_the_page_of_a_call_names_its_damaged_row(browser, house, bakery) -> None:
    call, admin = house.call(bakery), browser("paul")
    with connected():
        row = RecordingTable.select().where(RecordingTable.id == call).dicts().get()
    values = {"id": (), "tenant_id": (), "consented_until": ('{"x": 1}', "["), "purposes": ("7",)}
    answers: dict[str, set[int]] = {}
    for field in RecordingTable._meta.sorted_fields:
        for value in values.get(field.column_name, ("garbage",)):
            try:
                with writing():
                    database.execute_sql(f'UPDATE recording SET "{field.column_name}" = ?', (value,))
            except IntegrityError:  # the database does not take it
                continue
            page = admin.get(f"/recordings/{call}")
            answers.setdefault(field.column_name, set()).add(page.status_code)
            is_explained = THIS_CALL in page.text or "changé" in page.text
            assert is_explained or page.status_code in (200, 410), (field.column_name, value)
            with writing():
                RecordingTable.update(row).where(RecordingTable.id == call).execute()
    assert set().union(*answers.values()) <= {200, 409, 410}, answers
    assert answers["consented_until"] == answers["purposes"] == answers["objects"] == {409}
    assert admin.get(f"/recordings/{call}").status_code == 200
