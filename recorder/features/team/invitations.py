"""Invitations: who may become a user of a customer, or of the provider, with which role and lines.

A signed statement decides (:mod:`recorder.seal.invitation`), and the customer's log says that it is the
newest one and neither used nor withdrawn. The row is an index to it: whoever writes rows can make no
invitation, widen none, and bring none back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, lock_tenant, sha256_of, tenant_lock
from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.prepared_query import insert
from recorder.catalogue.records import UserRow
from recorder.catalogue.row_reader import read_rows
from recorder.catalogue.row_values import read_value
from recorder.catalogue.tables.identity import InvitationTable
from recorder.clock import Now, truncate
from recorder.domain import names
from recorder.domain.roles import PROVIDER
from recorder.errors import CatalogueError, SealError
from recorder.fault_log import FaultLog
from recorder.features.team.extensions import check_free, set_free_extensions
from recorder.identity import users
from recorder.identity.secret_tokens import new_token, token_hash
from recorder.ids import Entropy, uuid7
from recorder.mail.address import normalize_address
from recorder.mail.message import MailMessage
from recorder.mail.outbox import DeliveryState, Outbox, delivery_states, drop_mail
from recorder.seal import hints
from recorder.seal.amendment import By
from recorder.seal.invitation import Invitation, read, write
from recorder.seal.revocation import Trust
from recorder.seal.signing import Signer

LIFETIME: Final = timedelta(days=7)

CREATED: Final = "invitation.created"
RENEWED: Final = "invitation.renewed"
WITHDRAWN: Final = "invitation.withdrawn"
ACCEPTED: Final = "invitation.accepted"

MAIL: Final = "invitation"
PROVIDER_MAIL: Final = "provider_invitation"
"""Kinds of mail: to a customer's people, and to the provider's."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """An invitation that has not ended, as the team page lists it; ``until`` may be over. ``delivery``: its
    mail is ``waiting`` to be sent, or the mail server ``refused`` it; ``None`` if it was sent, or shown as a
    link."""

    id: str
    tenant: str
    address: str
    name: str
    role: str
    lines: tuple[str, ...] | None
    extensions: tuple[str, ...] | None
    language: str
    created_at: datetime
    until: datetime
    delivery: DeliveryState | None


@dataclass(frozen=True, slots=True)
class IssuedInvitation:
    """A new or renewed invitation. ``path`` is its link in the panel, which is known now only; ``mailed``:
    the link was queued as a mail."""

    id: str
    address: str
    path: str
    mailed: bool


@dataclass(frozen=True, slots=True)
class Invitations:
    """Makes, renews, withdraws and accepts invitations, signed by ``signer``."""

    signer: Signer
    trust: Trust
    outbox: Outbox
    now: Now
    entropy: Entropy

    def invite(
        self,
        tenant: str,
        *,
        address: str,
        name: str,
        role: str,
        lines: Sequence[str] | None,
        language: str,
        by: By,
        extensions: Sequence[str] = (),
        mail: bool = True,
    ) -> IssuedInvitation:
        """Invite somebody, by mail if that can be sent (unless ``mail`` is false). Raises
        :class:`CatalogueError`: ``user.name``, ``user.name_exists``, ``user.role``, ``user.lines``,
        ``user.exists``, ``invitation.exists``, ``extension.taken``; :class:`recorder.errors.MailError`
        (``mail.address``); :class:`SealError` for a key that is not endorsed for it."""
        address = normalize_address(address)
        name = names.tidy(name, "the name", "user.name")
        visible_lines = users.check_access(tenant, role, lines)
        now, token = truncate(self.now()), new_token(self.entropy)
        statement = Invitation(
            tenant, str(uuid7(now, self.entropy)), address, name, role, language, token_hash(token), now,
            now + LIFETIME, *_author(by), None if visible_lines is None else tuple(visible_lines),
            tuple(extensions) or None,
        )  # fmt: skip
        with tenant_lock(tenant):
            self._check_free(tenant, address, name)
            check_free(tenant, extensions)
            signed = write(statement, self.signer)
            insert(InvitationTable(id=statement.id, created_at=now, **_columns(statement, signed)))
            append(tenant, CREATED, _body(statement, signed), now, self.entropy)
            return self._issue(statement, token, mail)

    def renew(self, tenant: str, invitation: str, by: By, mail: bool = True) -> IssuedInvitation:
        """Send an invitation again, also an expired one: a new link for seven days; the old one ends. Raises
        :class:`CatalogueError` (``invitation.unknown``)."""
        with tenant_lock(tenant):
            return self._renew(self._find(tenant, invitation), by, mail)

    def renew_of_address(self, address: str) -> bool:
        """Send an invitation again to somebody who never accepted it, and lost it; false if the address has
        none, or no mail can be sent."""
        with writing():
            open_ = InvitationTable.ended_at.is_null() & (InvitationTable.address == address)
            row = InvitationTable.select().where(open_).order_by(InvitationTable.created_at.desc()).first()
            if row is None or not self.outbox.sends:
                return False
            lock_tenant(row.tenant_id)
            try:
                signed = self._verify(row)
                self._renew(row, By(signed.by_kind, signed.by), mail=True)
            except CatalogueError:
                return False
        return True

    def withdraw(self, tenant: str, invitation: str, by: By) -> None:
        """Withdraw an invitation: its link ends at once. Raises :class:`CatalogueError`
        (``invitation.unknown``)."""
        now = self.now()
        with tenant_lock(tenant):
            row = self._find(tenant, invitation)
            _end(row, "withdrawn", now)
            append(tenant, WITHDRAWN, {"invitation": row.id, **_who(by)}, now, self.entropy)

    def open(self, token: str) -> Invitation:
        """The invitation of a link. Opening it changes nothing. Raises :class:`CatalogueError`
        (``invitation.unknown``, ``invitation.accepted``, ``invitation.withdrawn``,
        ``invitation.expired``)."""
        with connected():
            row = InvitationTable.get_or_none(InvitationTable.token_sha256 == token_hash(token))
            if row is None:
                raise _unknown()
            if row.outcome == "accepted":
                raise CatalogueError("invitation.accepted", f"invitation {row.id} was accepted", "log in")
            if row.outcome is not None:
                raise CatalogueError(
                    "invitation.withdrawn", f"invitation {row.id} was withdrawn", "invite the person again"
                )
            found = self._verify(row)
        if found.until <= self.now():
            raise CatalogueError(
                "invitation.expired", f"invitation {row.id} has expired", "send the invitation again"
            )
        return found

    def accept(self, token: str, password_hash: str) -> UserRow:
        """Accept an invitation: its person becomes a user with this password, and has those of its extensions
        that are still free. Raises as :meth:`open`, and :class:`CatalogueError` (``user.exists``)."""
        now = self.now()
        tenant = self.open(token).tenant
        with tenant_lock(tenant):
            found = self.open(token)
            person = users.create_user(
                tenant,
                login=found.address,
                name=found.name,
                role=found.role,
                language=found.language,
                lines=found.lines,
                password_hash=password_hash,
                now=now,
                entropy=self.entropy,
                signer=self.signer,
                identity=found.id,
            )
            _end(InvitationTable.get_by_id(found.id), "accepted", now)
            append(tenant, ACCEPTED, {"invitation": found.id, "user": person.id}, now, self.entropy)
            author = By(found.by_kind, found.by)
            set_free_extensions(
                tenant, person.id, found.extensions or (), by=author, now=now, entropy=self.entropy
            )
        return person

    def _renew(self, row: InvitationTable, by: By, mail: bool) -> IssuedInvitation:
        """Inside the caller's transaction. What is signed anew is what was signed before."""
        old, now, token = self._verify(row), truncate(self.now()), new_token(self.entropy)
        statement = Invitation(
            old.tenant, old.id, old.address, old.name, old.role, old.language, token_hash(token), now,
            now + LIFETIME, *_author(by), old.lines, old.extensions,
        )  # fmt: skip
        signed = write(statement, self.signer)
        InvitationTable.update(_columns(statement, signed)).where(InvitationTable.id == old.id).execute()
        append(old.tenant, RENEWED, _body(statement, signed), now, self.entropy)
        drop_mail(old.tenant, old.id)
        return self._issue(statement, token, mail)

    def _issue(self, statement: Invitation, token: str, mail: bool) -> IssuedInvitation:
        path = f"/invitation/{token}"
        mailed = False
        if mail:
            tenant = queries.tenant(statement.tenant)
            values = {"name": statement.name, "customer": "" if tenant is None else tenant.name}
            kind = PROVIDER_MAIL if statement.tenant == PROVIDER else MAIL
            message = MailMessage(kind, statement.language, values, path, LIFETIME)
            mailed = self.outbox.enqueue(
                statement.tenant, statement.address, message, statement.at, self.entropy, about=statement.id
            )
        return IssuedInvitation(statement.id, statement.address, path, mailed)

    def _verify(self, row: InvitationTable) -> Invitation:
        """The signed invitation of a row that agrees with it and with the log. Raises
        :class:`CatalogueError` (``invitation.unknown``)."""
        try:
            signed = read(row.statement or "", self.trust)
            _check_row(row, signed)
        except SealError as error:
            log.error("invitation.refused", invitation=row.id, error_id=error.error_id, error=error.message)
            raise _unknown() from error
        leaves = [each for each in leaf_lookup.team_leaves(signed.tenant) if _is_about(each, row.id)]
        newest = leaves[-1] if leaves else None
        if (
            newest is None
            or newest.kind not in (CREATED, RENEWED)
            or newest.body != _body(signed, row.statement or "")
        ):
            log.error("invitation.refused", invitation=row.id, error_id="invitation.superseded")
            raise _unknown()
        return signed

    def _find(self, tenant: str, invitation: str) -> InvitationTable:
        mine = (InvitationTable.tenant_id == tenant) & (InvitationTable.id == invitation)
        row: InvitationTable | None = InvitationTable.get_or_none(mine & InvitationTable.ended_at.is_null())
        if row is None:
            raise _unknown()
        return row

    def _check_free(self, tenant: str, address: str, name: str) -> None:
        people = [row for row in users.users(tenant) if row.revoked_at is None]
        if any(row.login == address for row in people):
            raise CatalogueError(
                "user.exists", f"{address} has access already", "change the role of that person instead"
            )
        invited = list(_open_invitations(tenant))
        if any(row.address == address for row in invited):
            raise CatalogueError(
                "invitation.exists", f"{address} is invited already", "send that invitation again"
            )
        others = [row.name for row in people] + [row.name for row in invited]
        if names.fold(name) in map(names.fold, others):
            raise users.name_exists(name)


def invitations(tenant: str, faults: FaultLog | None = None) -> tuple[InvitationRow, ...]:
    """A tenant's invitations that have not ended, oldest first, expired ones included. Those that cannot be
    read are left out, and reported to ``faults`` as ``invitation.unreadable``."""
    states = delivery_states(tenant, MAIL)

    def read(row: InvitationTable) -> InvitationRow:
        return read_value(InvitationRow, row, delivery=states.get(row.id))

    return tuple(read_rows(_open_invitations(tenant), read, faults or FaultLog(), "invitation.unreadable"))


def _open_invitations(tenant: str) -> Any:
    mine = (InvitationTable.tenant_id == tenant) & InvitationTable.ended_at.is_null()
    return InvitationTable.select().where(mine).order_by(InvitationTable.created_at)


def is_invitation(tenant: str, invitation: str) -> bool:
    """Whether an invitation is, or was, a tenant's."""
    mine = (InvitationTable.tenant_id == tenant) & (InvitationTable.id == invitation)
    with connected():
        return bool(InvitationTable.select().where(mine).exists())


def check_invitation(row: InvitationTable, trust: Trust) -> None:
    """For an audit: refuse a row that is not as it was signed. Raises :class:`SealError`."""
    if row.ended_at is not None:
        if row.statement is not None or row.address or row.name or row.extensions:
            raise SealError(
                "invitation.differs",
                f"invitation {row.id} has ended, but its row still has personal data",
                hints.COMPARE,
            )
        return
    _check_row(row, read(row.statement or "", trust))


def _check_row(row: InvitationTable, signed: Invitation) -> None:
    columns = _columns(signed, row.statement) | {"id": signed.id}
    if others := sorted(name for name, value in columns.items() if getattr(row, name) != value):
        what = f"{', '.join(others)} of invitation {row.id} differs from the signed statement"
        raise SealError("invitation.differs", what, hints.COMPARE)


def _columns(found: Invitation, signed: str | None) -> dict[str, Any]:
    return {
        "tenant_id": found.tenant,
        "address": found.address,
        "name": found.name,
        "role": found.role,
        "lines": None if found.lines is None else list(found.lines),
        "extensions": None if found.extensions is None else list(found.extensions),
        "language": found.language,
        "token_sha256": found.token_sha256,
        "until": found.until,
        "statement": signed,
    }


def _body(found: Invitation, signed: str | None) -> dict[str, object]:
    """The leaf's body for a new or renewed invitation, without personal data: the statement contains a
    random token's hash, so that its own hash can be guessed from nothing."""
    return {
        "invitation": found.id,
        "role": found.role,
        "all_lines": found.lines is None,
        "lines": list(found.lines or ()),
        "statement_sha256": sha256_of(signed or ""),
        "by": found.by_kind,
        "actor": found.by or "",
    }


def _is_about(leaf: leaf_lookup.LoggedLeaf, invitation: str) -> bool:
    return leaf.kind.startswith("invitation.") and leaf.body.get("invitation") == invitation


def _end(row: InvitationTable, outcome: str, now: datetime) -> None:
    """Inside the caller's transaction: end an invitation, and erase who was invited."""
    change = {
        "ended_at": now, "outcome": outcome, "address": "", "name": "", "extensions": None, "statement": None,
    }  # fmt: skip
    InvitationTable.update(change).where(InvitationTable.id == row.id).execute()
    drop_mail(row.tenant_id, row.id)


def _author(by: By) -> tuple[Any, str | None]:
    return by.kind, by.id


def _who(by: By) -> dict[str, object]:
    return {"by": by.kind, "actor": by.id or ""}


def _unknown() -> CatalogueError:
    return CatalogueError(
        "invitation.unknown", "there is no such invitation", "invite the person, or send the invitation again"
    )
