"""Mutual TLS on loopback: one certificate by which a program's own parts recognise each other.

SeaweedFS's parts talk over TCP, and loopback is open to every user of the machine. The certificate's file
(mode 0600) is thus the credential: without reading it, nobody completes a handshake.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from recorder.ids import Entropy

LOOPBACK = "127.0.0.1"
_FROM = datetime(1970, 1, 1, tzinfo=UTC)
_UNTIL = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""RFC 5280's "no well-defined expiration". The file is as secret on its last day as on its first, and an end
date would only stop the store: in a process that runs for years, or because of a wrong clock."""

_ANSWERS_IN = 1.0


def make_certificate(entropy: Entropy) -> bytes:
    """PEM: a private key, its certificate for both ends of a connection, and the authority that signed it,
    whose own key is discarded."""
    authority, own = (Ed25519PrivateKey.from_private_bytes(entropy(32)) for _ in range(2))
    issuer, subject = _name("embedded store's authority"), _name("embedded store")
    root = (
        _builder(issuer, issuer, authority, entropy)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority, None)
    )
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))])
    leaf = (
        _builder(subject, issuer, own, entropy)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(both, critical=False)
        .add_extension(address, critical=False)
        .sign(authority, None)
    )
    pem = serialization.Encoding.PEM
    key = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key + leaf.public_bytes(pem) + root.public_bytes(pem)


def is_complete(path: Path) -> bool:
    """Whether a file has what :func:`make_certificate` makes: SeaweedFS continues without TLS if it cannot
    load its certificate."""
    try:
        content = path.read_bytes()
        key = serialization.load_pem_private_key(content, None)
        leaf, root = x509.load_pem_x509_certificates(content)
        leaf.verify_directly_issued_by(root)
    except Exception:  # a damaged file fails in many ways, even with the library's own InternalError
        return False
    return leaf.public_key() == key.public_key()


def wants_certificate(port: int) -> bool:
    """Whether a port on loopback refuses clients without a certificate. Raises ``OSError`` if nobody
    listens."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is told nothing, and what it says is not used
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection((LOOPBACK, port), timeout=_ANSWERS_IN) as connection:
        try:
            with context.wrap_socket(connection) as wrapped:
                wrapped.recv(1)
        except ssl.SSLError as error:
            return "CERTIFICATE_REQUIRED" in (error.reason or "")
        except OSError:
            return False  # it speaks no TLS, or waits for a request
        return False


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Ed25519PrivateKey, entropy: Entropy
) -> x509.CertificateBuilder:
    serial = int.from_bytes(entropy(16), "big") >> 1 or 1
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
