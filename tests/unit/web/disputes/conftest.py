"""A difference with two people in its room."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from werkzeug.test import TestResponse

from recorder.features.disputes.queries import dispute_ids, find_dispute
from recorder.features.fleet.service import NodeReport, report_node
from recorder.verification_calls import register
from tests.unit.web.conftest import Browser

SUBJECT = "The price of the bread"


@pytest.fixture(autouse=True)
def calling_node(house) -> NodeReport:
    """A node that can call people."""
    at = house.clock()
    report = NodeReport("north", at, at, "0.1.0", 0, 0, None, 0, 1000, 500, calls=register.USES)
    report_node(report)
    return report


@pytest.fixture
def call(house, bakery) -> str:
    return house.call(bakery)


@pytest.fixture
def claire(browser, bakery) -> Browser:
    return browser("claire")


def open_difference(claire: Browser, house, call: str, **changes: object) -> str:
    """The address of a difference's page."""
    day = (house.clock() + timedelta(days=5)).date().isoformat()
    answer = claire.send(f"/recordings/{call}/together", **{"subject": SUBJECT, "settle_by": day} | changes)
    assert answer.status_code == 303, answer.text
    return urlsplit(answer.location).path


def invite(claire: Browser, page: str, **changes: str) -> tuple[str, str]:
    """The link and the code that are shown."""
    entry = {"name": "Jan Peeters", "language": "nl", "how": "link"} | changes
    answer = claire.send(f"{page}/invite", **entry)
    assert answer.status_code == 200, answer.text
    link = re.search(r">(http[^<]+/together/invitation/[^<]+)<", answer.text)
    code = re.search(r'<strong class="together-code">(\d{3} \d{3})</strong>', answer.text)
    assert link is not None
    assert code is not None
    return urlsplit(link[1]).path, code[1]


def accept(guest: Browser, link: str, code: str) -> None:
    answer = guest.send(link, guest.token(link), answer="accepted", code=code)
    assert answer.status_code == 303, answer.text
    assert answer.location == "/together/welcome"


def vouch(browser: Callable[..., Browser], page: str, guest: str) -> None:
    for login in ("claire", "paul"):
        answer = browser(login).send(f"{page}/guests/{guest}/vouch", reason="I know his voice")
        assert answer.status_code == 303, answer.text


def guest_of(house, bakery) -> str:
    (dispute,) = dispute_ids(bakery.id)
    return find_dispute(bakery.id, dispute, house.trust).guests[-1].id


@pytest.fixture
def room(browser, claire, house, bakery, call) -> tuple[str, Browser, Browser]:
    """A difference's page, and the two people in its room."""
    page = open_difference(claire, house, call)
    link, code = invite(claire, page)
    guest = browser()
    accept(guest, link, code)
    vouch(browser, page, guest_of(house, bakery))
    return page, claire, guest


def chunks(answer: TestResponse) -> Iterator[str]:
    """What a stream sends, piece by piece."""
    return (each.decode() if isinstance(each, bytes) else each for each in answer.response)


def state(browser: Browser, page: str) -> dict:
    """The first event of the room's stream."""
    answer = browser.client.get(f"{page}/events", environ_base={"REMOTE_ADDR": browser.address})
    assert answer.status_code == 200
    assert answer.headers["X-Accel-Buffering"] == "no"
    for text in chunks(answer):
        if text.startswith("event: room"):
            answer.close()
            return json.loads(text.partition("data: ")[2])
    raise AssertionError("no event")
