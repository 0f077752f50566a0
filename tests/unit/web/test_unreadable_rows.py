"""A row that contains what Accord never writes concerns its own entry of a page: the rest is shown, and the
page says what is missing."""

from __future__ import annotations

import pytest

from recorder.catalogue.database import database, writing

from .account_mails import EVA, shown_link

NUMBER = "Les données d’un numéro sont endommagées"
INVITATION = "Les données d’une invitation sont endommagées"
CALL = "Les données d’un appel sont endommagées"
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
