"""The queue of outgoing mail, written in the transaction that causes the mail.

A row's content is encrypted and authenticated under a key derived from the key-encryption key, which panel,
command line and worker hold. So whoever reads the catalogue learns no address and no link, and whoever writes
to it cannot have anything sent in the provider's name. A row is deleted once it is sent, and with the person.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.clock import from_iso, to_iso
from recorder.errors import SealError
from recorder.ids import Entropy, uuid7
from recorder.mail.address import normalize_address
from recorder.mail.message import MailMessage, RenderedMail, render
from recorder.seal.keyring import Keyring

_NONCE: Final = 12

DeliveryState = Literal["waiting", "refused"]

STATES: Final[tuple[DeliveryState, ...]] = get_args(DeliveryState)


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail in the queue, decrypted."""

    address: str
    content: RenderedMail
    until: datetime


def _product_name() -> str:
    return "Accord"


@dataclass(frozen=True, slots=True)
class Outbox:
    """Queues mail to people. ``keyring`` is ``None`` where no mail can be sent: no mail server, or no public
    address of the ``panel`` for its links (``https://accord.example.com``). ``provider`` returns the
    provider's name, in which mails are sent."""

    keyring: Keyring | None = None
    panel: str = ""
    provider: Callable[[], str] = _product_name

    @property
    def sends(self) -> bool:
        """Whether mail is sent; if not, the page shows the link, to be passed on."""
        return self.keyring is not None

    def enqueue(
        self,
        tenant: str,
        address: str,
        message: MailMessage,
        now: datetime,
        entropy: Entropy,
        *,
        about: str = "",
        replaces: bool = True,
        send_from: datetime | None = None,
    ) -> bool:
        """Queue a message to an address, inside the caller's transaction; false, and nothing is queued, where
        no mail can be sent. ``about`` is the id of the person or invitation that the mail is about:
        :func:`drop_mail` finds it. If it ``replaces`` others, a waiting mail of the same kind about the same
        is deleted. With ``send_from`` it is sent then, not at once. Raises
        :class:`recorder.errors.MailError` (``mail.address``)."""
        if self.keyring is None:
            return False
        address, rendered = normalize_address(address), render(message, self.panel, self.provider())
        identity, until = str(uuid7(now, entropy)), (send_from or now) + message.lifetime
        body = {"address": address, "until": to_iso(until), **asdict(rendered)}
        sealed = _encrypt(self.keyring, _purpose(tenant, identity, about), json.dumps(body).encode(), entropy)
        with writing():
            if about and replaces:
                drop_mail(tenant, about, kind=message.kind)
            OutgoingMailTable.create(
                id=identity, tenant_id=tenant, about=about, kind=message.kind, content=sealed, created_at=now,
                until=until, attempts=0, next_at=send_from or now, send_from=send_from, refused=None,
            )  # fmt: skip
        return True


def drop_mail(tenant: str, about: str | None = None, *, kind: str | None = None) -> int:
    """Delete a tenant's queued mail, or only what is ``about`` somebody or of a ``kind``; returns how many
    there were."""
    condition = OutgoingMailTable.tenant_id == tenant
    if about is not None:
        condition &= OutgoingMailTable.about == about
    if kind is not None:
        condition &= OutgoingMailTable.kind == kind
    with writing():
        return int(OutgoingMailTable.delete().where(condition).execute())


def delivery_states(tenant: str, kind: str) -> dict[str, DeliveryState]:
    """By whom they are about: a tenant's mails of a kind that are not sent, ``refused`` where the mail server
    does not accept them. A mail that was sent is in no queue."""
    with connected():
        query = OutgoingMailTable.select(OutgoingMailTable.about, OutgoingMailTable.refused).where(
            (OutgoingMailTable.tenant_id == tenant) & (OutgoingMailTable.kind == kind)
        )
        return {row.about: "waiting" if row.refused is None else "refused" for row in query}


def count_mails(now: datetime) -> dict[DeliveryState, int]:
    """How many mails of all tenants that are to be sent by now are in the queue, by state."""
    with connected():
        every = OutgoingMailTable.select().where(is_for_now(now)).count()
        refused = OutgoingMailTable.select().where(OutgoingMailTable.refused.is_null(False)).count()
    return {"waiting": every - refused, "refused": refused}


def is_for_now(now: datetime) -> Any:
    """The condition that a mail is not one to be sent later."""
    return OutgoingMailTable.send_from.is_null() | (OutgoingMailTable.send_from <= now)


def open_mail(row: OutgoingMailTable, keyring: Keyring) -> QueuedMail:
    """Decrypt a queued mail. Raises :class:`SealError` (``mail.forged``, ``seal.kek_missing``) for a row that
    no :class:`Outbox` wrote."""
    kek, _, sealed = row.content.partition(":")
    try:
        content = base64.b64decode(sealed, validate=True)
        key = keyring.mail_key(kek)[0].key
        purpose = _purpose(row.tenant_id, row.id, row.about)
        body = json.loads(AESGCM(key).decrypt(content[:_NONCE], content[_NONCE:], purpose))
    except (InvalidTag, ValueError, TypeError, AttributeError) as error:
        raise SealError(
            "mail.forged", f"the queued mail {row.id} was not written by Accord", "it was deleted, not sent"
        ) from error
    rendered = RenderedMail(body["subject"], body["text"], body["html"])
    return QueuedMail(body["address"], rendered, from_iso(body["until"]))


def _encrypt(keyring: Keyring, purpose: bytes, content: bytes, entropy: Entropy) -> str:
    key, kek = keyring.mail_key()
    nonce = entropy(_NONCE)
    return f"{kek}:{base64.b64encode(nonce + AESGCM(key.key).encrypt(nonce, content, purpose)).decode()}"


def _purpose(tenant: str, identity: str, about: str) -> bytes:
    """Binds the content to its row: another customer's, or one about somebody else, does not open."""
    return f"accord/1/mail/{tenant}/{identity}/{about}".encode()
