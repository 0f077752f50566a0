"""Second factors: an authenticator app (TOTP, RFC 6238) and recovery codes.

The app's secret is derived from a key that is wrapped by the customer's key, as recordings' keys are, so it
is encrypted at rest and gone with that key. The signed set binds the secret by its hash. A code is accepted
once: its time step must be later than that of the last one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pyotp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recorder.catalogue import tenant_queries
from recorder.catalogue.records import UserRow
from recorder.clock import Now, truncate
from recorder.domain.roles import GUESTS
from recorder.errors import CatalogueError, SealError
from recorder.identity import factor_reset, factor_set, sign_in_rule
from recorder.identity.passkeys import RelyingParty, use_key
from recorder.ids import Entropy
from recorder.seal.amendment import By
from recorder.seal.data_key import open_data_key, tenant_key_of
from recorder.seal.keyring import Keyring, WrappedKey
from recorder.seal.revocation import Trust
from recorder.seal.second_factor import AuthenticatorApp, Passkey, SecondFactors
from recorder.seal.signing import Signer
from recorder.store.contract import Store

APP: Final = "app"
CODE: Final = "code"

STEP: Final = 30
"""Seconds that a code of an app is shown."""

WINDOW: Final = 1
"""How many steps an app's clock may be off."""

CODES: Final = 10
"""Recovery codes in a new list."""

ISSUER: Final = "Accord"

_SECRET: Final = 20
"""Bytes of an app's secret: what RFC 4226 recommends, and every app accepts."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that looks like a digit."""

_CODE_BYTES: Final = 15
"""Random bytes of a recovery code: 120 bits, too many to try even with a stolen hash."""

_LOOKALIKE: Final = str.maketrans("oil", "011")


class SecondFactorService:
    """Second factors as the panel needs them. ``signer`` is ``None`` if the panel has no key to sign with:
    then factors are checked, but none can be added or removed."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        trust: Trust,
        signer: Signer | None,
        *,
        now: Now,
        entropy: Entropy,
    ) -> None:
        self._store, self._keyring, self._trust, self._signer = store, keyring, trust, signer
        self._now, self._entropy = now, entropy

    def current(self, user: UserRow) -> SecondFactors:
        """A user's verified factors. Raises :class:`SealError` as
        :func:`recorder.identity.factor_set.current`."""
        return factor_set.current(user, self._trust)

    def new_app_key(self, user: UserRow) -> str:
        """A new wrapped key for an authenticator app; it opens nothing without the key-encryption key. Raises
        :class:`SealError`."""
        _, wrapped = self._keyring.new_data_key(self._tenant_key(user), user.id, self._entropy)
        return wrapped.to_bytes().decode()

    def secret(self, user: UserRow, app_key: str) -> str:
        """The secret of an app, in base 32 as apps take it. Raises :class:`SealError` for a key that is not
        this user's, :class:`recorder.errors.StoreError`."""
        return base64.b32encode(self._secret(user, app_key)).decode()

    def uri(self, user: UserRow, app_key: str) -> str:
        """The address that an app reads from a QR code."""
        return pyotp.TOTP(self.secret(user, app_key)).provisioning_uri(name=user.login, issuer_name=ISSUER)

    def add_app(self, user: UserRow, app_key: str, code: str) -> tuple[str, ...] | None:
        """Add an app, or replace it, if ``code`` is one of its current codes; otherwise return ``None``.
        Returns the new recovery codes, if these are the user's first."""
        secret = self._secret(user, app_key)
        step = self._step(secret, code)
        if step is None:
            return None
        app = AuthenticatorApp(hashlib.sha256(secret).hexdigest(), truncate(self._now()))
        codes = self._change(user, "app_added", lambda old: replace(old, app=app), app_key=app_key)
        factor_set.use(user, APP, step, self._now())
        return codes

    def remove_app(self, user: UserRow) -> tuple[str, ...]:
        """Remove the app; with the last factor, the recovery codes go too. Returns new codes, if all were
        used."""
        return self._change(user, "app_removed", lambda old: replace(old, app=None))

    def check_app_code(self, user: UserRow, factors: SecondFactors, code: str) -> bool:
        """Whether ``code`` is a current code of the user's app that was not used before."""
        app_key = factor_set.app_key(user)
        if factors.app is None or app_key is None:
            return False
        secret = self._secret(user, app_key)
        if not hmac.compare_digest(hashlib.sha256(secret).hexdigest(), factors.app.secret_sha256):
            what = f"the authenticator app's key of user {user.id} is not the one that was signed"
            raise SealError("factors.differs", what, factor_set.HINT)
        step = self._step(secret, code)
        if step is None or not factor_set.use(user, APP, step, self._now()):
            return False
        self._rewrap(user, app_key)
        return True

    def add_passkey(self, user: UserRow, passkey_id: bytes, public_key: bytes, name: str) -> tuple[str, ...]:
        """Add a passkey; returns the new recovery codes, if these are the user's first."""
        passkey = Passkey(passkey_id, public_key, name, truncate(self._now()))
        return self._change(
            user, "passkey_added", lambda old: replace(old, passkeys=(*old.passkeys, passkey))
        )

    def remove_passkey(self, user: UserRow, passkey_id: bytes) -> tuple[str, ...]:
        """Remove a passkey; with the last factor, the recovery codes go too."""
        return self._change(
            user,
            "passkey_removed",
            lambda old: replace(old, passkeys=tuple(each for each in old.passkeys if each.id != passkey_id)),
        )

    def rename_passkey(self, user: UserRow, passkey_id: bytes, name: str) -> None:
        """Give a passkey another name. The rest of the set stays as it is."""
        old = self.current(user)
        passkeys = tuple(replace(each, name=name) if each.id == passkey_id else each for each in old.passkeys)
        if passkeys != old.passkeys:
            new = replace(old, passkeys=passkeys)
            self._put(user, new, "passkey_renamed", factor_set.app_key(user))

    def check_passkey(
        self, user: UserRow, party: RelyingParty, passkey: Passkey, answer: str, challenge: bytes
    ) -> bool:
        """Whether a user's passkey signed ``challenge``. An authenticator that counts must count up."""
        key = use_key(passkey.id)
        last = factor_set.uses(user).get(key)
        counter = party.verify_authentication(answer, challenge, passkey, 0 if last is None else last.counter)
        if counter is None:
            return False
        if counter == 0:  # most passkeys do not count
            return True
        return factor_set.use(user, key, counter, self._now())

    def make_codes(self, user: UserRow) -> tuple[str, ...]:
        """Make new recovery codes; the former ones end."""
        return self._change(user, "codes_made", lambda old: replace(old, codes=()))

    def use_code(self, user: UserRow, factors: SecondFactors, code: str) -> bool:
        """Use up a recovery code; false if it is none."""
        hashed = hash_code(user.id, code)
        if hashed not in factors.codes:
            return False
        left = replace(factors, codes=tuple(each for each in factors.codes if each != hashed))
        try:
            self._put(user, left, "code_used", factor_set.app_key(user))
        except CatalogueError as error:
            if error.error_id == "factors.changed":  # another request used it
                return False
            raise
        return True

    def requires_second_factor(self, tenant: str) -> bool:
        """Whether everybody at a customer must have a second factor."""
        return sign_in_rule.requires_second_factor(tenant, self._trust)

    def must_enrol(self, user: UserRow) -> bool:
        """Whether a user must have a second factor, and has none. A guest of a dispute comes in by a link,
        and cannot have one."""
        if user.role in GUESTS:
            return False
        return self.requires_second_factor(user.tenant) and not self.current(user).required

    def require_second_factor(self, admin: UserRow, required: bool) -> None:
        """Set the rule for everybody at an admin's company."""
        sign_in_rule.require_second_factor(
            admin.tenant, required, By("user", admin.id), signer=self._key(), now=self._now(),
            entropy=self._entropy,
        )  # fmt: skip

    def request_reset(self, user: UserRow, admin: UserRow) -> None:
        """Ask for the reset of a colleague's factors. Raises :class:`CatalogueError`
        (``factors.not_allowed``)."""
        number = factor_set.newest_number(user)
        factor_reset.request_reset(
            user, admin, number, signer=self._key(), now=self._now(), entropy=self._entropy
        )

    def confirm_reset(self, admin: UserRow, request_id: str) -> UserRow | None:
        """Confirm another admin's request, as :func:`recorder.identity.factor_reset.confirm`."""
        return factor_reset.confirm(
            admin.tenant, request_id, admin, trust=self._trust, signer=self._key(), now=self._now(),
            entropy=self._entropy,
        )  # fmt: skip

    def withdraw_reset(self, admin: UserRow, request_id: str) -> bool:
        """End a request without a reset."""
        return factor_reset.withdraw(admin.tenant, request_id, admin, now=self._now(), entropy=self._entropy)

    def _change(
        self,
        user: UserRow,
        change: str,
        changed: Callable[[SecondFactors], SecondFactors],
        *,
        app_key: str | None = None,
    ) -> tuple[str, ...]:
        new = changed(self.current(user))
        codes: tuple[str, ...] = ()
        if not new.required:
            new = new.without_factor()
        elif not new.codes:
            codes = tuple(self._new_code() for _ in range(CODES))
            new = replace(new, codes=tuple(hash_code(user.id, each) for each in codes))
        app_key_before = factor_set.app_key(user) if new.app is not None else None
        self._put(user, new, change, app_key or app_key_before)
        return codes

    def _put(self, user: UserRow, new: SecondFactors, change: str, app_key: str | None) -> None:
        factor_set.put(
            new, change, By("user", user.id), signer=self._key(), now=self._now(), entropy=self._entropy,
            app_key=app_key,
        )  # fmt: skip

    def _key(self) -> Signer:
        if self._signer is None:
            raise SealError("factors.no_key", "the panel has no key to sign with", "`accord key renew`")
        return self._signer

    def _tenant_key(self, user: UserRow) -> WrappedKey:
        found = tenant_queries.tenant_key(user.tenant)
        if found is None:
            raise SealError(
                "seal.key_damaged",
                f"tenant {user.tenant} has no key any more",
                "the customer has left, and their keys were destroyed: revoke the user",
            )
        return found

    def _secret(self, user: UserRow, app_key: str) -> bytes:
        wrapped = WrappedKey.from_bytes(app_key.encode())
        if (wrapped.tenant, wrapped.recording) != (user.tenant, user.id):
            raise SealError(
                "seal.key_foreign", f"the key belongs to another user than {user.id}", factor_set.HINT
            )
        key = open_data_key(self._store, self._keyring, self._tenant_key(user), wrapped)
        return HKDF(hashes.SHA256(), _SECRET, None, b"accord/1/authenticator-app").derive(key.key)

    def _step(self, secret: bytes, code: str) -> int | None:
        """The time step that a code belongs to; ``None`` for a wrong one."""
        digits, now = re.sub(r"\s", "", code), int(self._now().timestamp()) // STEP
        totp = pyotp.TOTP(base64.b32encode(secret).decode())
        matches = [
            step
            for step in range(now - WINDOW, now + WINDOW + 1)
            if hmac.compare_digest(totp.generate_otp(step).encode(), digits.encode())
        ]
        return max(matches, default=None)

    def _rewrap(self, user: UserRow, app_key: str) -> None:
        """Wrap an app's key by the customer's present key, after that was changed."""
        wrapped, present = WrappedKey.from_bytes(app_key.encode()), self._tenant_key(user)
        if wrapped.wrapped_by != present.key_id:
            former = tenant_key_of(self._store, user.tenant, wrapped.wrapped_by)
            if former is not None:
                fresh = self._keyring.rewrap_data_key(former, present, wrapped, self._entropy)
                factor_set.set_app_key(user, app_key, fresh.to_bytes().decode())

    def _new_code(self) -> str:
        number = int.from_bytes(self._entropy(_CODE_BYTES), "big")
        letters = "".join(_ALPHABET[number >> shift & 31] for shift in range(0, _CODE_BYTES * 8, 5))
        return "-".join(letters[at : at + 6] for at in range(0, len(letters), 6))


def hash_code(user_id: str, code: str) -> str:
    """The hash (hex) of a recovery code, in whatever case and with whatever hyphens it is written."""
    plain = re.sub(r"[^a-z0-9]", "", code.casefold()).translate(_LOOKALIKE)
    return hashlib.sha256(f"accord/1/recovery-code\n{user_id}\n{plain}".encode()).hexdigest()
