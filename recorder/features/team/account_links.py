"""Links that a user gets by mail: to set a new password, and to confirm a new address.

A link's token carries what it is for under a MAC with the panel's secret, bound to the user's signed
credential, so that it ends when password, address, role or lines change. The row names the newest link of its
kind: it can end a link and opens none.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from recorder.auditlog.append import append, tenant_lock
from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import UserRow
from recorder.catalogue.tables.identity import AccountLinkTable
from recorder.clock import Now, from_iso, to_iso
from recorder.errors import CatalogueError, MailError, SealError
from recorder.identity import users
from recorder.identity.secret_tokens import new_token, token_hash
from recorder.ids import Entropy
from recorder.mail.address import normalize_address
from recorder.mail.message import MailMessage
from recorder.mail.outbox import Outbox
from recorder.seal.amendment import By
from recorder.seal.revocation import Trust
from recorder.seal.signing import Signer

LIFETIME: Final = timedelta(hours=1)

PASSWORD: Final = "password"  # noqa: S105, a kind of link
ADDRESS: Final = "address"

ISSUED: Final = "user.link_issued"


@dataclass(frozen=True, slots=True)
class AccountLink:
    """An open link: what it is for (:data:`PASSWORD`, :data:`ADDRESS`), for whom, and the new address."""

    kind: str
    user: UserRow
    address: str = ""


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """A new link. ``path`` is where it leads in the panel; ``mailed``: it was queued as a mail."""

    path: str
    mailed: bool


@dataclass(frozen=True, slots=True)
class AccountLinks:
    """Issues and redeems links; ``secret`` is the panel's, ``signer`` signs the changed credential."""

    secret: bytes
    signer: Signer
    trust: Trust
    outbox: Outbox
    now: Now
    entropy: Entropy

    def issue_reset(self, user: UserRow, by: By | None) -> IssuedLink:
        """A link with which a user sets a new password; older ones end. ``by``: who asked for it; ``None``:
        the person, on the log-in page."""
        with tenant_lock(user.tenant):
            path = f"/reset/{self._issue(user, PASSWORD, by)}"
            mailed = self._mail(user, user.login, "password_reset", path, LIFETIME)
        return IssuedLink(path, mailed)

    def issue_address(self, user: UserRow, address: str) -> IssuedLink:
        """A link to a new address, which confirms it. Raises :class:`MailError` (``mail.address``),
        :class:`CatalogueError` (``user.exists``, of a colleague; that somebody at another customer has an
        address, only its owner learns)."""
        address = normalize_address(address)
        if any(each.login == address and each.revoked_at is None for each in users.users(user.tenant)):
            raise CatalogueError("user.exists", f"somebody already logs in as {address!r}", "choose another")
        with tenant_lock(user.tenant):
            path = f"/address/{self._issue(user, ADDRESS, By('user', user.id), address)}"
            mailed = self._mail(user, address, "address_confirmation", path, LIFETIME)
        return IssuedLink(path, mailed)

    def open(self, kind: str, token: str) -> AccountLink:
        """The link of a token. Opening it changes nothing. Raises :class:`CatalogueError`
        (``link.unknown``: used, replaced, or no link; ``link.expired``)."""
        claims = _claims(token)
        with connected():
            user = users.user(str(claims.get("tenant")), str(claims.get("user")))
            row = AccountLinkTable.get_or_none(AccountLinkTable.id == f"{claims.get('user')}/{kind}")
            if user is None or user.revoked_at is not None or claims.get("kind") != kind:
                raise _unknown()
            if not hmac.compare_digest(token.encode(), self._token(claims, user).encode()):
                raise _unknown()
            if row is None or row.tenant_id != user.tenant or row.token_sha256 != token_hash(token):
                raise _unknown()
            try:
                users.require_signed(user, self.trust)
            except SealError as error:
                raise _unknown() from error
        if from_iso(claims["until"]) <= self.now():
            raise CatalogueError("link.expired", "the link has expired", "ask for another one")
        return AccountLink(kind, user, claims["address"])

    def set_password(self, token: str, password_hash: str) -> UserRow:
        """Use up a link for a new password; the user's sessions and other links end. Raises as
        :meth:`open`."""
        user = self.open(PASSWORD, token).user
        with tenant_lock(user.tenant):
            user = self.open(PASSWORD, token).user
            self._drop(user)
            users.set_password(
                user.tenant, user.id, password_hash, now=self.now(), entropy=self.entropy,
                signer=self.signer, trust=self.trust,
            )  # fmt: skip
        return user

    def confirm_address(self, token: str) -> UserRow:
        """Use up a link that confirms an address: the user logs in with it from now on, and the old address
        is told. Raises as :meth:`open`, and :class:`CatalogueError` (``user.exists``)."""
        user = self.open(ADDRESS, token).user
        with tenant_lock(user.tenant):
            link = self.open(ADDRESS, token)
            self.change_address(link.user, link.address)
        return link.user

    def change_address(self, user: UserRow, address: str) -> None:
        """Change an address that needs no confirmation, or got it. Raises :class:`CatalogueError`
        (``user.exists``), :class:`MailError` (``mail.address``)."""
        address = normalize_address(address)
        with tenant_lock(user.tenant):
            self._drop(user)
            users.change_login(
                user.tenant, user.id, address, now=self.now(), entropy=self.entropy, signer=self.signer,
                trust=self.trust,
            )  # fmt: skip
            self._mail(user, user.login, "address_changed", "", timedelta(days=3))

    def _issue(self, user: UserRow, kind: str, by: By | None, address: str = "") -> str:
        until = self.now() + LIFETIME
        claims = {
            "kind": kind, "tenant": user.tenant, "user": user.id, "address": address,
            "until": to_iso(until), "nonce": new_token(self.entropy)[:22],
        }  # fmt: skip
        token = self._token(claims, user)
        row = {"tenant_id": user.tenant, "token_sha256": token_hash(token), "until": until}
        identity = f"{user.id}/{kind}"
        AccountLinkTable.delete().where(AccountLinkTable.id == identity).execute()
        AccountLinkTable.create(id=identity, **row)
        body = {"user": user.id, "link": kind, "by": "" if by is None else by.kind}
        body["actor"] = "" if by is None else by.id or ""
        append(user.tenant, ISSUED, body, self.now(), self.entropy)
        return token

    def _token(self, claims: dict[str, Any], user: UserRow) -> str:
        text = _b64(json.dumps(claims, sort_keys=True).encode())
        bound = hashlib.sha256((user.credential or "").encode()).hexdigest()
        mac = hmac.digest(self.secret, f"accord account link\n{text}\n{bound}".encode(), "sha256")
        return f"{text}.{_b64(mac)}"

    def _drop(self, user: UserRow) -> None:
        ids = [f"{user.id}/{kind}" for kind in (PASSWORD, ADDRESS)]
        AccountLinkTable.delete().where(AccountLinkTable.id.in_(ids)).execute()

    def _mail(self, user: UserRow, address: str, kind: str, path: str, lifetime: timedelta) -> bool:
        """Queue a mail; false where no mail can be sent, or the log-in is no address."""
        tenant = queries.tenant(user.tenant)
        values = {"name": user.name, "customer": "" if tenant is None else tenant.name}
        message = MailMessage(kind, user.language, values, path, lifetime)
        try:
            return self.outbox.enqueue(user.tenant, address, message, self.now(), self.entropy, about=user.id)
        except MailError:
            return False


def drop_old(now: datetime) -> int:
    """Drop expired links; returns how many."""
    with writing():
        return int(AccountLinkTable.delete().where(AccountLinkTable.until < now).execute())


def _claims(token: str) -> dict[str, Any]:
    text = token.partition(".")[0]
    try:
        claims = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        raise _unknown() from None
    if not isinstance(claims, dict) or not all(isinstance(each, str) for each in claims.values()):
        raise _unknown()
    return claims


def _b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _unknown() -> CatalogueError:
    return CatalogueError(
        "link.unknown", "the link was used, or replaced by a newer one", "ask for another one"
    )
