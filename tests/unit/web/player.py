"""What a player's page offers, and what listening leaves in the log."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.seal import plaintext
from recorder.seal.keyring import WrappedKey
from recorder.seal.sealing import open_manifest
from tests.house import House


def leaves(kind: str) -> list[dict]:
    """The bodies of the log's leaves of a kind, in order."""
    with connected():
        rows = LeafTable.select().where(LeafTable.kind == kind).order_by(LeafTable.number)
        return [json.loads(row.body) for row in rows]


def sounds(page) -> dict[str, str]:
    """The addresses of audio on a player's page, by object."""
    found = re.findall(r'(?:src|data-peaks)="(/listen/[^"]+)"', page.text)
    return {urlsplit(address).path.rpartition("/")[2]: address.replace("&amp;", "&") for address in found}


def open_player(person, recording: str) -> dict[str, str]:
    return sounds(person.get(person.listen_to(recording)))


def plain_sound(house: House, recording: str, name: str = "audio.opus") -> bytes:
    """The expected audio, decrypted with the keys without the panel."""
    with connected():
        tenant = next(row.id for row in tenant_queries.all_tenants() if queries.recording(row.id, recording))
    row = queries.recording(tenant, recording)
    manifest = open_manifest(house.store.read(f"{row.prefix}manifest.json"), house.root_public)
    tenant_key = WrappedKey.from_bytes(tenant_queries.tenant_wrapped_key(tenant).encode())
    key = house.keyring.open_data_key(tenant_key, WrappedKey.from_bytes(row.wrapped_key.encode()))
    reader = plaintext.reader(
        manifest, name, key, lambda start, end: house.store.read(row.prefix + name, start, end)
    )
    return b"".join(reader.read())


def change(house: House, recording: str, name: str, at: int) -> None:
    """Change one byte of an object in the bucket."""
    file = house.stored(recording, name)
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)
