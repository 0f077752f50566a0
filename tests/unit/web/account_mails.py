"""Mails with links to accounts, and links that the team page shows."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.mail import delivery
from tests.mailbox import Mailbox, link_in, text_of

from .conftest import Browser

PANEL = "https://accord.example.com"
OWN = "seven quiet rivers bend"
EVA = {"name": "Eva Maes", "address": "eva@example.com", "role": "customer", "language": "nl", "sees": "all"}
LINK = re.compile(r"https?://[^<\s]+/(?:invitation|reset)/[\w.-]+")


def send(house, box: Mailbox) -> list[str]:
    """Send what waits; the links of all mails so far, as paths."""
    delivery.send_due(house.services, box.server)
    return [urlsplit(link_in(mail)).path for mail in box.mails if "http" in text_of(mail)]


def kinds(tenant: str) -> list[str]:
    with connected():
        rows = LeafTable.select(LeafTable.kind).where(LeafTable.tenant == tenant).order_by(LeafTable.number)
        return [row.kind for row in rows]


def shown_link(answer) -> str:
    found = LINK.search(answer.text)
    assert found is not None, answer.text
    return urlsplit(found.group()).path


def invite(admin: Browser, **changes) -> str:
    """The path of an invitation that is shown."""
    return shown_link(admin.send("/team/invite", **(EVA | {"how": "link"} | changes)))
