"""A first visit is light: below 150 kB over its first pages, before audio, and nothing from elsewhere."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.long

LIMIT = 150_000
AUDIO = ("audio/", "application/ogg")


def test_first_visit_transfers_less_than_150_kb(person):
    """The log-in, the list and the page of a call, with an empty cache: bytes on the wire."""
    claire = person(width=360)
    session = claire.page.context.new_cdp_session(claire.page)
    session.send("Network.enable")
    addresses, kinds, sizes = {}, {}, {}
    session.on(
        "Network.requestWillBeSent",
        lambda _request: addresses.update({_request["requestId"]: _request["request"]["url"]}),
    )
    session.on(
        "Network.responseReceived",
        lambda _response: kinds.update({_response["requestId"]: _response["response"]["mimeType"]}),
    )
    session.on(
        "Network.loadingFinished",
        lambda _finish: sizes.update({_finish["requestId"]: _finish["encodedDataLength"]}),
    )
    claire.log_in()
    claire.listen("short")
    claire.page.wait_for_load_state("networkidle")
    pages = {each: size for each, size in sizes.items() if not kinds.get(each, "").startswith(AUDIO)}
    heaviest = sorted(((size, addresses[each]) for each, size in pages.items()), reverse=True)[:5]
    assert len(pages) > 8, "the pages, their styles and scripts were counted"
    assert sum(pages.values()) < LIMIT, heaviest
    home = urlsplit(claire.panel.address).netloc
    assert {urlsplit(each).netloc for each in addresses.values() if not each.startswith("data:")} == {home}
