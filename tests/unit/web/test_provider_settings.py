"""The provider's settings page: name, logo, colours, mail sender and help address, signed and logged."""

from __future__ import annotations

import io
import json
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.branding import BrandingTable
from recorder.domain.roles import OPERATOR, PROVIDER, SUPPORT
from recorder.errors import CatalogueError
from recorder.features.branding.logo import LARGEST_SIDE, SIGNATURE, check_logo
from recorder.features.branding.rules import check_help_address, sent_by
from recorder.features.branding.service import CHANGED, save_branding
from recorder.features.tenants.registration import Registration
from recorder.mail.message import MailMessage
from recorder.mail.outbox import Outbox
from recorder.mail.server import MailServer
from recorder.processes.mail_delivery import MailDelivery
from recorder.seal.branding import KIND, LONGEST_LOGO, Branding
from tests.expected_errors import expect_error
from tests.house import Customer, House
from tests.unit.web.conftest import Browser
from tests.unit.web.test_provider import text_of
from web.config import SupportContact
from web.state import KEY


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*more: bytes, width: int = 2, height: int = 2, pixels: bytes = bytes(14)) -> bytes:
    """A picture of red, green and blue, with chunks before its end."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    picture = chunk(b"IDAT", zlib.compress(pixels))
    return SIGNATURE + header + picture + b"".join(more) + chunk(b"IEND", b"")


@pytest.fixture
def provider(house: House, app) -> Customer:
    Registration(house.keyring).open_provider("Accord", "en", house.clock())
    owner = Customer(PROVIDER, None, None)  # type: ignore[arg-type]  # it has neither line nor announcement
    house.person(owner, "olga", "Olga Opera", role=OPERATOR, language="en")
    house.person(owner, "sam", "Sam Support", role=SUPPORT, language="en")
    state = app.extensions[KEY]
    config = replace(state.config, mail_sender="calls@telvoip.example")
    app.extensions[KEY] = replace(state, config=config)
    return owner


@pytest.fixture
def olga(provider, browser) -> Browser:
    return browser("olga")


@pytest.fixture
def row(provider) -> Callable[[], BrandingTable]:
    def read() -> BrandingTable:
        with connected():
            return BrandingTable.get_by_id(PROVIDER)

    return read


def save(olga: Browser, **fields: object) -> None:
    answer = olga.send("/settings", **fields)
    assert answer.status_code == 303, text_of(answer.text)


def test_what_is_saved_is_shown_to_everybody_at_once(house, bakery, olga, browser) -> None:
    save(
        olga, name="Telvoip", colour="#003366", colour_dark="#99CCFF", help_address="https://telvoip.example/help",
        logo=(io.BytesIO(png()), "logo.png"),
    )  # fmt: skip
    page = browser().get("/login").text
    assert "– Telvoip</title>" in page
    assert '<img src="/brand/logo?v=1" alt="Telvoip">' in page
    logo = browser().get("/brand/logo?v=1")
    assert (logo.data, logo.content_type) == (png(), "image/png")
    assert logo.headers["X-Content-Type-Options"] == "nosniff"
    style = browser().get("/brand/colours.css?v=1").text
    assert "--one: #003366" in style
    assert "--one: #99ccff" in style
    found = browser("claire").get("/help").text
    assert '<a href="https://telvoip.example/help" rel="noreferrer">' in found
    assert "Telvoip" in text_of(found)
    found = text_of(olga.get("/settings").text)
    assert "Last changed on" in found
    assert "by Olga Opera." in found
    tenant = queries.tenant(PROVIDER)
    assert tenant is not None
    assert tenant.name == "Telvoip", "mails to the provider's people name it"


def test_empty_fields_take_the_values_of_the_settings_file(app, olga, browser) -> None:
    state = app.extensions[KEY]
    brand = replace(state.config.brand, name="Filed", support=SupportContact(mail="help@filed.example"))
    app.extensions[KEY] = replace(state, config=replace(state.config, brand=brand))
    save(olga, name="Telvoip", help_address="help@telvoip.example", logo=(io.BytesIO(png()), "logo.png"))
    assert 'value="Telvoip"' in olga.get("/settings").text
    save(olga, name="", help_address="", no_logo="yes")
    page = browser().get("/login").text
    assert "– Filed</title>" in page
    assert "/brand/logo" not in page
    assert 'placeholder="help@filed.example"' in olga.get("/settings").text


def test_change_is_a_leaf_of_the_providers_log(olga, row) -> None:
    save(olga, name="Telvoip")
    save(olga, name="Telvoip Nord")
    with connected():
        leaves = LeafTable.select().where((LeafTable.tenant == PROVIDER) & (LeafTable.kind == CHANGED))
        bodies = [json.loads(each.body) for each in leaves.order_by(LeafTable.number)]
    assert [each["number"] for each in bodies] == [1, 2]
    assert {each["by"] for each in bodies} == {"user"}
    assert row().number == 2


@pytest.mark.parametrize(
    ("field", "entry", "sentence"),
    [
        ("name", "x" * 41, "Write a name of at most 40 characters"),
        ("colour", "red", "Write a colour as # and six digits"),
        ("colour", "#ffcc00", "The contrast is 1.4:1, and text needs 4.5:1. Choose a darker colour."),
        ("colour_dark", "#003366", "The contrast is 1.2:1, and text needs 4.5:1. Choose a lighter colour."),
        ("sender", "olga", "Write an email address"),
        ("sender", "calls@bank.example", "the mail server sends for no other one"),
        ("help_address", "http://telvoip.example", "a link that starts with https://"),
        ("help_address", "javascript:alert(1)", "a link that starts with https://"),
    ],
)
def test_mistake_is_shown_beside_its_field(olga, field, entry, sentence) -> None:
    answer = olga.send("/settings", **{"name": "Telvoip", field: entry})
    assert answer.status_code == 422
    _, mark, after = answer.text.partition(f'<p class="field-error" id="{field}-wrong">')
    assert mark
    assert sentence in after.partition("</p>")[0]
    assert f'value="{entry}"' in answer.text
    with connected():
        assert not BrandingTable.select().exists()


def test_logo_beside_another_mistake_is_chosen_again(olga) -> None:
    answer = olga.send("/settings", colour="red", logo=(io.BytesIO(png()), "logo.png"))
    assert answer.status_code == 422
    assert "Choose the logo again" in text_of(answer.text)


def test_without_a_mail_server_the_sender_is_not_asked_for(app, olga) -> None:
    state = app.extensions[KEY]
    app.extensions[KEY] = replace(state, config=replace(state.config, mail_sender=""))
    assert 'name="sender"' not in olga.get("/settings").text
    save(olga, sender="calls@bank.example")


def test_only_operators_open_the_page(provider, bakery, browser) -> None:
    for login in ("sam", "paul"):
        assert browser(login).get("/settings").status_code == 403
        assert browser(login).send("/settings", name="Telvolp").status_code == 403


# --- only the newest signed statement decides


def test_changed_row_shows_the_settings_file(house, olga, row, browser) -> None:
    save(olga, name="Telvoip")
    with writing():
        forged = row().statement.replace("Telvoip", "Telvolp")
        BrandingTable.update(statement=forged).execute()
    house.clock.forward(seconds=6)
    with capture_logs() as logs:
        page = browser().get("/login").text
    assert "– Accord</title>" in page
    assert [(each["event"], each["error_id"]) for each in logs if each["log_level"] == "error"] == [
        ("branding.refused", "seal.signature")
    ]
    assert "could not be verified" in text_of(olga.get("/settings").text)
    save(olga, name="Telvoip")
    assert "– Telvoip</title>" in browser().get("/login").text


def test_older_and_removed_statements_show_the_settings_file(house, olga, row, browser) -> None:
    save(olga, name="Telvolp")
    older = row().statement
    save(olga, name="Telvoip")
    with writing():
        BrandingTable.update(statement=older, number=1).execute()
    house.clock.forward(seconds=6)
    assert "– Accord</title>" in browser().get("/login").text
    with writing():
        BrandingTable.delete().execute()
    house.clock.forward(seconds=6)
    assert "– Accord</title>" in browser().get("/login").text
    assert "could not be verified" in text_of(olga.get("/settings").text)


def test_statement_that_was_never_logged_counts_for_nothing(house, olga, browser) -> None:
    signed = KIND.write(Branding(PROVIDER, 1, "", name="Telvolp"), house.changes.signer, house.clock())
    with writing():
        BrandingTable.create(id=PROVIDER, tenant_id=PROVIDER, number=1, statement=signed.decode())
    page = browser().get("/login")
    assert page.status_code == 200
    assert "– Accord</title>" in page.text


def test_change_of_another_panel_appears_within_seconds(house, olga, browser) -> None:
    assert "– Accord</title>" in browser().get("/login").text
    app = olga.client.application
    state = app.extensions[KEY]
    app.extensions[KEY] = replace(state, branding=None)  # the other panel does not know of this one
    save(olga, name="Telvoip")
    app.extensions[KEY] = state
    assert "– Accord</title>" in browser().get("/login").text
    house.clock.forward(seconds=6)
    assert "– Telvoip</title>" in browser().get("/login").text


# --- values


@pytest.mark.parametrize(
    "content",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        png()[:-5],
        png().replace(b"IDAT", b"IDAX"),
        png(width=LARGEST_SIDE + 1),
        png(width=0),
        png(pixels=bytes(10_000)),
        SIGNATURE + chunk(b"IEND", b""),
        png(chunk(b"tEXt", bytes(LONGEST_LOGO))),
    ],
)
def test_other_files_than_small_pictures_are_refused(content) -> None:
    with expect_error(CatalogueError, "branding.logo"):
        check_logo(content)


def test_nothing_but_the_picture_of_a_logo_is_kept() -> None:
    assert check_logo(png(chunk(b"tEXt", b"Author\0Olga")) + b"<script>") == png()


@pytest.mark.parametrize(
    "link",
    ["https://", "https://user@telvoip.example", "https://telvoip.example/a b", "https://x\\@y.example"],
)
def test_links_that_hide_where_they_lead_are_refused(link) -> None:
    with pytest.raises(CatalogueError):
        check_help_address(link)


def test_mails_come_from_the_sender_in_the_configured_domain() -> None:
    server = MailServer("localhost", 25, "none", "calls@telvoip.example")
    branding = Branding(PROVIDER, 1, "", name="Telvoip", sender="hello@telvoip.example")
    found = sent_by(server, branding)
    assert (found.sender, found.sender_name) == ("hello@telvoip.example", "Telvoip")
    found = sent_by(server, replace(branding, sender="hello@bank.example", sender_name="Calls"))
    assert (found.sender, found.sender_name) == ("calls@telvoip.example", "Calls")
    assert sent_by(server, None) == server


def test_worker_sends_from_the_saved_sender(house, bakery, provider, box) -> None:
    logo = check_logo(png())
    branding = Branding(
        PROVIDER, 1, provider.people["olga"].id, name="Telvoip", sender="hello@provider.example", logo=logo
    )
    save_branding(branding, signer=house.changes.signer, now=house.clock(), entropy=house.entropy)
    message = MailMessage("invitation", "fr", {"name": "Eva", "customer": "Martin"}, "/invitation/x")
    outbox = Outbox(house.keyring, "https://calls.example", lambda: "Telvoip <Nord>")
    assert outbox.enqueue(bakery.id, "eva@example.com", message, house.clock(), house.entropy)
    MailDelivery(house.services, replace(box.server, sender_name="")).turn()
    (sender,) = box.mails[0]["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Telvoip", "hello@provider.example")
    page = box.mails[0].get_body(("html",)).get_content()
    (picture,) = [each for each in box.mails[0].walk() if each.get_content_type() == "image/png"]
    assert picture.get_content() == logo
    assert picture["Content-ID"].strip("<>") == re.search('src="cid:([^"]+)"', page)[1]
    assert "<strong>Telvoip &lt;Nord&gt;</strong>" in page
    assert 'src="http' not in page, "nothing is loaded from elsewhere"
