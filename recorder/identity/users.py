"""Users: people with a log-in, and their web sessions.

Only :func:`user_by_login` and :func:`session_by_token` take no tenant, because they find it. Both require
something that only the user has (the caller checks the password).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from peewee import Expression, IntegrityError

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, append_all, lock_tenant, tenant_lock
from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.mappers import session_row, user_row
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.records import SessionRow, UserRow
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.identity import SessionTable, UserTable
from recorder.catalogue.tenant_queries import unknown_tenant
from recorder.clock import SLACK, to_iso
from recorder.domain import names
from recorder.domain.roles import ADMIN, CUSTOMER, GUESTS, roles_of
from recorder.errors import CatalogueError, SealError
from recorder.ids import Entropy, uuid7
from recorder.mail.outbox import drop_mail
from recorder.seal.amendment import By
from recorder.seal.credential import USER, Credential, check, write
from recorder.seal.revocation import Revoked, Trust
from recorder.seal.signing import Signer

CHANGED: Final = "user.password_changed"
PROFILE: Final = "user.profile_changed"
REVOKED: Final = "user.revoked"
ACCESS_CHANGED: Final = "user.access_changed"
LOGIN_CHANGED: Final = "user.login_changed"

NO_PASSWORD: Final = "!"  # noqa: S105, no password
"""The beginning of what a guest has in place of a password's hash; argon2's begin with ``$``."""

MOST_LINES: Final = 500
"""Lines that can be assigned to one colleague; the signed credential lists them."""

LOGIN_SHA256: Final = "login_sha256"
PROFILE_SHA256: Final = "profile_sha256"


def login_hash(login: str, password_hash: str) -> str:
    """What the log contains of a user's log-in and password: one hash (hex) over both, so that the log-in
    cannot be found once argon2's salted string is deleted."""
    return hashlib.sha256(f"{password_hash}\n{login}".encode()).hexdigest()


def display_hash(password_hash: str, name: str, language: str) -> str:
    """What the log contains of a user's name and language: a hash as in :func:`login_hash`, for the same
    reason."""
    return hashlib.sha256(f"{password_hash}\n{name}\n{language}".encode()).hexdigest()


def _password_leaf(row: UserTable, password_hash: str) -> dict[str, object]:
    """The leaf's body for a new user or a new password."""
    hash_ = display_hash(password_hash, row.name, row.language)
    return {"user": row.id, LOGIN_SHA256: login_hash(row.login, password_hash), PROFILE_SHA256: hash_}


def create_user(
    tenant: str,
    *,
    login: str,
    name: str,
    role: str,
    language: str,
    password_hash: str,
    now: datetime,
    entropy: Entropy,
    signer: Signer | None = None,
    lines: Sequence[str] | None = None,
    identity: str = "",
) -> UserRow:
    """Create a user. ``login`` is compared case-insensitively; ``password_hash`` is argon2's string;
    ``signer`` signs the credential, without which nobody logs in; ``lines`` are the ids of the only lines
    that a colleague sees (``None``: all); ``identity`` is the id of the invitation that was accepted. The
    log-in of somebody whose access has ended is free again. Raises :class:`CatalogueError`: ``user.role``,
    ``user.exists``, ``user.name``, ``user.login``, ``user.lines``; :class:`recorder.errors.SealError` for a
    key that is not endorsed for it."""
    name = names.tidy(name, "the name", "user.name")
    login = names.fold(names.tidy(login, "the log-in", "user.login", longest=names.LONGEST_LOGIN))
    visible_lines = check_access(tenant, role, lines)
    identity = identity or str(uuid7(now, entropy))
    row = UserTable(
        id=identity, tenant=tenant, login=login, name=name, role=role, language=language,
        password_hash=password_hash, created_at=now, lines=visible_lines,
    )  # fmt: skip
    try:
        with writing():
            _free_login(login, now, entropy)
            _insert(row, signer, now, entropy)
    except IntegrityError as error:
        if "login" not in str(error):
            raise unknown_tenant(tenant) from error
        raise _login_exists(login) from error
    return user_row(row)


def create_guest(
    tenant: str,
    identity: str,
    *,
    name: str,
    role: str,
    language: str,
    now: datetime,
    entropy: Entropy,
    signer: Signer,
) -> UserRow:
    """Inside the caller's transaction: create the user of a guest, who has sessions and no log-in. Their
    log-in is their id, and in place of a password's hash there is a random string, which no password has.
    Raises :class:`CatalogueError` (``user.role``), :class:`recorder.errors.SealError` for a key that is not
    endorsed for it."""
    if role not in GUESTS:
        raise CatalogueError(
            "user.role", f"{role!r} is no role of a guest", f"use one of {', '.join(GUESTS)}"
        )
    row = UserTable(
        id=identity, tenant=tenant, login=identity, name=name, role=role, language=language,
        password_hash=f"{NO_PASSWORD}{entropy(32).hex()}", created_at=now,
    )  # fmt: skip
    _insert(row, signer, now, entropy)
    return user_row(row)


def _insert(row: UserTable, signer: Signer | None, now: datetime, entropy: Entropy) -> None:
    """Inside the caller's transaction: insert a user with a signed credential, and append the leaf."""
    secret = login_hash(row.login, row.password_hash)
    row.credential = _sign(row.tenant_id, row.id, row.role, row.lines, secret, signer, now)
    row.save(force_insert=True)
    body = _password_leaf(row, row.password_hash) | {"role": row.role}
    body |= {} if row.lines is None else {"lines": row.lines}
    append(row.tenant_id, "user.created", body, now, entropy)


def user_by_login(login: str) -> UserRow | None:
    """The user with a log-in, revoked ones included (``revoked_at`` says so)."""
    with connected():
        row = UserTable.get_or_none(UserTable.login == names.fold(login))
    return None if row is None else user_row(row)


def user(tenant: str, user_id: str) -> UserRow | None:
    """A tenant's user."""
    with connected():
        row = UserTable.get_or_none((UserTable.tenant == tenant) & (UserTable.id == user_id))
    return None if row is None else user_row(row)


def users(tenant: str) -> tuple[UserRow, ...]:
    """A tenant's users, by log-in; guests of its disputes are none of them."""
    with connected():
        return tuple(user_row(row) for row in _people(tenant))


@prepared(UserTable)
def _people(tenant: str) -> Any:
    mine = (UserTable.tenant == tenant) & UserTable.role.not_in(GUESTS)
    return UserTable.select().where(mine).order_by(UserTable.login)


def active_admins(tenant: str) -> tuple[UserRow, ...]:
    """A customer's admins who can log in."""
    return tuple(each for each in users(tenant) if each.role == ADMIN and each.revoked_at is None)


def set_password(
    tenant: str,
    user_id: str,
    password_hash: str,
    *,
    now: datetime,
    entropy: Entropy,
    signer: Signer | None = None,
    trust: Trust | None = None,
) -> bool:
    """Set a new password, signed by ``signer``, and end the user's sessions. False if there is no such user.
    With ``trust``, the row must be as it was signed, because the new credential repeats its role and lines:
    whoever writes rows could widen them otherwise. Raises :class:`recorder.errors.SealError`."""
    with tenant_lock(tenant):
        row = UserTable.get_or_none((UserTable.tenant == tenant) & (UserTable.id == user_id))
        if row is None:
            return False
        if trust is not None:
            require_signed(user_row(row), trust)
        signed = _sign(
            tenant, user_id, row.role, row.lines, login_hash(row.login, password_hash), signer, now
        )
        UserTable.update(password_hash=password_hash, credential=signed).where(
            UserTable.id == row.id
        ).execute()
        _end_sessions(tenant, user_id, now, entropy)
        append(tenant, CHANGED, _password_leaf(row, password_hash), now, entropy)
    return True


def change_access(
    tenant: str,
    user_id: str,
    *,
    role: str,
    lines: Sequence[str] | None,
    now: datetime,
    entropy: Entropy,
    signer: Signer,
    trust: Trust,
    by: By,
) -> bool:
    """Change a user's role, and the lines that a colleague sees (``None``: all), signed by ``signer`` on
    behalf of ``by``; their sessions end. False if there is no such user, or nothing changes. Raises
    :class:`CatalogueError` (``user.role``, ``user.lines``, ``user.last_admin``),
    :class:`recorder.errors.SealError` for a row that is not as it was signed, and for a key that is not
    endorsed for it."""
    visible_lines = check_access(tenant, role, lines)
    with tenant_lock(tenant):
        row = UserTable.get_or_none(_active(tenant) & (UserTable.id == user_id))
        if row is None or (row.role, row.lines) == (role, visible_lines):
            return False
        require_signed(user_row(row), trust)
        if role != ADMIN:
            _check_not_last_admin(row)
        signed = _sign(
            tenant, user_id, role, visible_lines, login_hash(row.login, row.password_hash), signer, now
        )
        UserTable.update(role=role, lines=visible_lines, credential=signed).where(
            UserTable.id == user_id
        ).execute()
        _end_sessions(tenant, user_id, now, entropy)
        body: dict[str, object] = {"user": user_id, "role": role, "all_lines": visible_lines is None}
        append(tenant, ACCESS_CHANGED, body | {"lines": visible_lines or []} | _author(by), now, entropy)
    return True


def change_login(
    tenant: str, user_id: str, login: str, *, now: datetime, entropy: Entropy, signer: Signer, trust: Trust
) -> bool:
    """Change the address that a user logs in with, signed by ``signer``; their sessions end. False if there
    is no such user. Raises :class:`CatalogueError` (``user.exists``, ``user.login``),
    :class:`recorder.errors.SealError` as :func:`change_access`."""
    login = names.fold(names.tidy(login, "the log-in", "user.login", longest=names.LONGEST_LOGIN))
    try:
        with tenant_lock(tenant):
            row = UserTable.get_or_none(_active(tenant) & (UserTable.id == user_id))
            if row is None:
                return False
            require_signed(user_row(row), trust)
            _free_login(login, now, entropy)
            secret = login_hash(login, row.password_hash)
            signed = _sign(tenant, user_id, row.role, row.lines, secret, signer, now)
            UserTable.update(login=login, credential=signed).where(UserTable.id == user_id).execute()
            row.login = login
            _end_sessions(tenant, user_id, now, entropy)
            append(tenant, LOGIN_CHANGED, _password_leaf(row, row.password_hash), now, entropy)
    except IntegrityError as error:
        raise _login_exists(login) from error
    return True


def check_access(tenant: str, role: str, lines: Sequence[str] | None) -> list[str] | None:
    """Check a role and the ids of lines; returns the lines, sorted, or ``None`` for a role that sees all.
    Raises :class:`CatalogueError` (``user.role``, ``user.lines``)."""
    if role not in roles_of(tenant):
        raise CatalogueError(
            "user.role", f"{role!r} is none of their roles", f"use one of {', '.join(roles_of(tenant))}"
        )
    if lines is None or role != CUSTOMER:
        return None
    if len(set(lines)) > MOST_LINES:
        raise CatalogueError(
            "user.lines", f"more than {MOST_LINES} lines are assigned", "let them see all lines instead"
        )
    known = {row.id for row in queries.lines(tenant, ended=True)}
    if unknown := sorted({*lines} - known):
        raise CatalogueError(
            "user.lines", f"this customer has no line {unknown[0]}", "see `accord line list`"
        )
    return sorted({*lines})


def _active(tenant: str) -> Expression:
    return (UserTable.tenant == tenant) & UserTable.revoked_at.is_null()


def _check_not_last_admin(row: UserTable) -> None:
    """Inside the caller's transaction, which has locked the tenant: refuse to take away its last admin."""
    others = _active(row.tenant_id) & (UserTable.role == ADMIN) & (UserTable.id != row.id)
    if row.role == ADMIN and not UserTable.select().where(others).exists():
        raise CatalogueError(
            "user.last_admin",
            f"{row.login} is the customer's last admin",
            "make somebody else an admin first",
        )


def _free_login(login: str, now: datetime, entropy: Entropy) -> None:
    """Inside the caller's transaction: take a log-in away from somebody whose access has ended."""
    row = UserTable.get_or_none((UserTable.login == login) & UserTable.revoked_at.is_null(False))
    if row is not None:
        row.login = row.id
        UserTable.update(login=row.id).where(UserTable.id == row.id).execute()
        append(row.tenant_id, LOGIN_CHANGED, _password_leaf(row, row.password_hash), now, entropy)


def _login_exists(login: str) -> CatalogueError:
    return CatalogueError("user.exists", f"somebody already logs in as {login!r}", "choose another log-in")


def revoke_user(
    tenant: str,
    user_id: str,
    *,
    now: datetime,
    entropy: Entropy,
    by: By | None = None,
    last_admin: bool = False,
) -> bool:
    """Revoke a user: end their log-in, sessions and, through the gate, grants; mail to them is not sent any
    more. An id suffices: this only takes away access, and a new invitation gives it again. False if there is
    none. Raises :class:`CatalogueError` (``user.last_admin``), unless the operator
    takes even the ``last_admin`` away."""
    with tenant_lock(tenant):
        row = UserTable.get_or_none(_active(tenant) & (UserTable.id == user_id))
        if row is not None:
            if not last_admin:
                _check_not_last_admin(row)
            drop_mail(tenant, user_id)
        changed = (
            UserTable.update(revoked_at=now, credential=None)
            .where((UserTable.tenant == tenant) & (UserTable.id == user_id) & UserTable.revoked_at.is_null())
            .execute()
        )
        if changed:
            _end_sessions(tenant, user_id, now, entropy)
            append(tenant, REVOKED, {"user": user_id} | ({} if by is None else _author(by)), now, entropy)
    return bool(changed)


def _author(by: By) -> dict[str, object]:
    return {"by": by.kind, "actor": by.id or ""}


def open_session(
    person: UserRow,
    *,
    token_sha256: str,
    now: datetime,
    until: datetime,
    entropy: Entropy,
    factor: str = "",
    device: str = "",
    network: str = "",
) -> SessionRow:
    """Open a web session for a user whose password was checked, and the second ``factor``, if any (``app``,
    ``code``, ``passkey``); only the token's hash is stored."""
    with writing():
        # The customer before the user and the session, as elsewhere: two orders would deadlock.
        lock_tenant(person.tenant)
        row = SessionTable.create(
            id=str(uuid7(now, entropy)),
            user=person.id,
            token_sha256=token_sha256,
            created_at=now,
            seen_at=now,
            until=until,
            device=device,
            network=network,
        )
        body = {"user": person.id, "session": row.id, "token_sha256": token_sha256}
        body |= {"factor": factor} if factor else {}
        append(person.tenant, "session.opened", body, now, entropy)
    return session_row(row, person.tenant)


def note_refused_log_in(person: UserRow, now: datetime, entropy: Entropy) -> bool:
    """Append a leaf about a wrong password for an existing log-in, at most one in five minutes per user, so
    that a stranger's guesses do not fill the log; returns whether it was appended."""
    if not lease.take(f"log-in:{person.id}", entropy(8).hex(), now):
        return False
    with writing():
        append(person.tenant, "session.refused", {"user": person.id}, now, entropy)
    return True


def session_by_token(token_sha256: str, now: datetime) -> tuple[SessionRow, UserRow] | None:
    """The session of a token, and its user; ``None`` if it has ended or the user was revoked."""
    with connected():
        opened = next(iter(_by_token(token_sha256, to_iso(now), to_iso(now + SLACK))), None)
        person = None if opened is None else next(iter(_not_revoked(opened.user_id)), None)
    if opened is None or person is None:
        return None
    return session_row(opened, person.tenant_id), user_row(person)


@prepared(SessionTable)
def _by_token(token_sha256: str, now: str, soon: str) -> Any:
    condition = (SessionTable.token_sha256 == token_sha256) & SessionTable.ended_at.is_null()
    return SessionTable.select().where(condition & _lasts(now, soon))


@prepared(UserTable)
def _not_revoked(user_id: str) -> Any:
    return UserTable.select().where((UserTable.id == user_id) & UserTable.revoked_at.is_null())


def is_session_valid(tenant: str, user_id: str, session_id: str | None, now: datetime) -> bool:
    """Whether a user may still act: not revoked and, with a session, that session has not ended."""
    with connected():
        if not _theirs(tenant, user_id):
            return False
        return session_id is None or bool(
            _open_session(session_id, user_id, to_iso(now), to_iso(now + SLACK))
        )


@prepared(UserTable)
def _theirs(tenant: str, user_id: str) -> Any:
    condition = (UserTable.tenant == tenant) & (UserTable.id == user_id) & UserTable.revoked_at.is_null()
    return UserTable.select(UserTable.id).where(condition)


@prepared(SessionTable)
def _open_session(session_id: str, user_id: str, now: str, soon: str) -> Any:
    condition = (SessionTable.id == session_id) & (SessionTable.user == user_id)
    return SessionTable.select(SessionTable.id).where(
        condition & SessionTable.ended_at.is_null() & _lasts(now, soon)
    )


def touch_session(
    person: UserRow, session_id: str, *, now: datetime, until: datetime, network: str = ""
) -> None:
    """Extend a session to ``until``; it was last used in ``network``."""
    with writing():
        SessionTable.update(seen_at=now, until=until, network=network).where(
            (SessionTable.id == session_id)
            & (SessionTable.user == person.id)
            & SessionTable.ended_at.is_null()
        ).execute()


def user_of_session(session_id: str) -> UserRow | None:
    """The user whose session it is, or was."""
    with connected():
        row = UserTable.select().join(SessionTable).where(SessionTable.id == session_id).first()
    return None if row is None else user_row(row)


def end_session(person: UserRow, session_id: str, *, now: datetime, entropy: Entropy) -> bool:
    """Log out; false if the user never had this session. Repeating it changes nothing."""
    mine = (SessionTable.id == session_id) & (SessionTable.user == person.id)
    with tenant_lock(person.tenant):
        if SessionTable.update(ended_at=now).where(mine & SessionTable.ended_at.is_null()).execute():
            body = {"user": person.id, "session": session_id}
            append(person.tenant, "session.closed", body, now, entropy)
        return bool(SessionTable.select().where(mine).exists())


def sessions(person: UserRow, now: datetime) -> tuple[SessionRow, ...]:
    """A user's sessions that have not ended, the one last used first."""
    is_valid = SessionTable.ended_at.is_null() & _lasts(to_iso(now), to_iso(now + SLACK))
    with connected():
        query = SessionTable.select().where((SessionTable.user == person.id) & is_valid)
        rows = query.order_by(SessionTable.seen_at.desc(), SessionTable.id)
        return tuple(session_row(row, person.tenant) for row in rows)


def end_sessions(person: UserRow, *, now: datetime, entropy: Entropy, keep: str = "") -> None:
    """End all sessions of a user but the one with the id ``keep``."""
    with writing():
        _end_sessions(person.tenant, person.id, now, entropy, keep)


def name_exists(name: str) -> CatalogueError:
    """The error for a name that a colleague has."""
    return CatalogueError(
        "user.name_exists", f"somebody is already called {name}", "add an initial or the department"
    )


def set_profile(
    tenant: str, user_id: str, *, name: str, language: str, now: datetime, entropy: Entropy
) -> bool:
    """Change a user's name and language. False if there is no such user. Raises :class:`CatalogueError`
    (``user.name``; ``user.name_exists``: a colleague's, who would be taken for the author of what this user
    does)."""
    name = names.tidy(name, "the name", "user.name")
    with tenant_lock(tenant):
        row = UserTable.get_or_none((UserTable.tenant == tenant) & (UserTable.id == user_id))
        if row is None:
            return False
        others = UserTable.select(UserTable.name).where(_active(tenant) & (UserTable.id != user_id))
        other_names = {names.fold(each.name) for each in others}
        if names.fold(name) != names.fold(row.name) and names.fold(name) in other_names:
            raise name_exists(name)
        if (row.name, row.language) != (name, language):
            UserTable.update(name=name, language=language).where(UserTable.id == row.id).execute()
            body = {"user": row.id, PROFILE_SHA256: display_hash(row.password_hash, name, language)}
            append(tenant, PROFILE, body, now, entropy)
    return True


def drop_old_sessions(before: datetime) -> int:
    """Drop sessions that ended before a time; returns how many."""
    with writing():
        return int(SessionTable.delete().where(SessionTable.until < to_iso(before)).execute())


def check_user(row: UserRow, root: Ed25519PublicKey, revoked: Revoked) -> None:
    """Refuse a user whose row is not as it was signed. Raises :class:`recorder.errors.SealError` as
    :func:`recorder.seal.credential.check`."""
    secret = login_hash(row.login, row.password_hash)
    expected = Credential(row.tenant, USER, row.id, row.role, secret, row.created_at, row.lines)
    check(row.credential, expected, root, revoked)


def check_latest(row: UserRow) -> None:
    """Refuse a superseded credential: according to the log, the user was revoked, or got another password,
    log-in, role or other lines since. Raises :class:`recorder.errors.SealError`
    (``credential.superseded``)."""
    every = leaf_lookup.find_decisions(row.tenant, [CHANGED, REVOKED]) + leaf_lookup.team_leaves(row.tenant)
    leaves = sorted((each for each in every if each.body.get("user") == row.id), key=lambda leaf: leaf.number)
    secret = login_hash(row.login, row.password_hash)
    signs_in = [leaf for leaf in leaves if leaf.kind in (CHANGED, REVOKED, LOGIN_CHANGED)]
    access = [leaf for leaf in leaves if leaf.kind == ACCESS_CHANGED]
    later = None
    if signs_in and (signs_in[-1].kind == REVOKED or signs_in[-1].body.get(LOGIN_SHA256) != secret):
        later = signs_in[-1]
    elif access and not _has_access(row, access[-1].body):
        later = access[-1]
    if later is not None:
        raise SealError(
            "credential.superseded",
            f"user {row.id} has a superseded credential: the log has a later {later.kind}",
            "an older row was restored: run `accord audit run`",
        )


def require_signed(row: UserRow, trust: Trust) -> None:
    """Refuse a user whose row is not as it was last signed. Raises :class:`recorder.errors.SealError` as
    :func:`check_user` and :func:`check_latest`."""
    check_user(row, trust.root, trust.revoked())
    check_latest(row)


def _has_access(row: UserRow, body: Mapping[str, Any]) -> bool:
    lines = None if body.get("all_lines") else tuple(body.get("lines", ()))
    return (row.role, row.lines) == (body.get("role"), lines)


def _sign(
    tenant: str,
    user_id: str,
    role: str,
    lines: Sequence[str] | None,
    secret_sha256: str,
    signer: Signer | None,
    now: datetime,
) -> str | None:
    if signer is None:
        return None
    visible_lines = None if lines is None else tuple(lines)
    return write(Credential(tenant, USER, user_id, role, secret_sha256, now, visible_lines), signer)


def _lasts(now: str, soon: str) -> Any:
    """The condition that a session has not ended. A session last seen in the future (after ``soon``) has
    ended too: a clock that had jumped ahead wrote it, and it would last until that time."""
    return (SessionTable.until > now) & (SessionTable.seen_at <= soon)


def _end_sessions(tenant: str, user_id: str, now: datetime, entropy: Entropy, keep: str = "") -> None:
    lock_tenant(tenant)
    condition = (SessionTable.user == user_id) & SessionTable.ended_at.is_null() & (SessionTable.id != keep)
    ids = [row.id for row in SessionTable.select(SessionTable.id).where(condition).order_by(SessionTable.id)]
    if ids:
        SessionTable.update(ended_at=now).where(SessionTable.id.in_(ids)).execute()
        bodies = [({"user": user_id, "session": each}, None) for each in ids]
        append_all(tenant, "session.closed", bodies, now, entropy)
