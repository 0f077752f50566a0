"""A WebAuthn authenticator in software: it makes passkeys and signs with them, as told, also wrongly."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from recorder.strict_json import b64, unb64

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass
class Authenticator:
    """``verifies``: whether it verifies its user; ``counter``: the next signature counter, 0 if it does not
    count."""

    origin: str
    verifies: bool = True
    counter: int = 0
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    handles: dict[str, str] = field(default_factory=dict)

    def make(self, options: str) -> str:
        """Make a passkey, as ``navigator.credentials.create`` does."""
        creation = json.loads(options)
        key = ec.generate_private_key(ec.SECP256R1())
        identity = hashlib.sha256(
            str(len(self.keys)).encode() + key.private_numbers().private_value.to_bytes(32)
        ).digest()
        public = key.public_key().public_numbers()
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32), -3: public.y.to_bytes(32)})
        attested = bytes(16) + len(identity).to_bytes(2) + identity + cose
        data = self._data(creation["rp"]["id"], ATTESTED) + attested
        self.keys[b64(identity)], self.handles[b64(identity)] = key, creation["user"]["id"]
        return json.dumps({
            "id": b64(identity), "rawId": b64(identity), "type": "public-key", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": b64(self._client("webauthn.create", creation["challenge"])),
                "attestationObject": b64(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            },
        })  # fmt: skip

    def use(self, options: str, passkey: str = "") -> str:
        """Sign with a passkey, by default the last one, as ``navigator.credentials.get`` does."""
        request = json.loads(options)
        identity = passkey or [*self.keys][-1]
        client = self._client("webauthn.get", request["challenge"])
        data = self._data(request["rpId"])
        signed = self.keys[identity].sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        self.counter += bool(self.counter)
        return json.dumps({
            "id": identity, "rawId": identity, "type": "public-key", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signed),
                "userHandle": self.handles[identity],
            },
        })  # fmt: skip

    def _data(self, party: str, more: int = 0) -> bytes:
        flags = PRESENT | more | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(party.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4)

    def _client(self, kind: str, challenge: str) -> bytes:
        assert unb64(challenge)
        client_data = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(client_data).encode()
