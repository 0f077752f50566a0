"""Fills a folder as the store with many recordings, for ``bench/rebuild.py``.

    python -m bench.recordings FOLDER COUNT [--processes 2]

Every manifest, wrapped key and amendment is its recording's own, made by the code that seals calls. A
rebuild reads no sound, so each is a link to that of another recording, of a few hundred bytes. One in 50 was
erased on its expiry, one in 70 is on legal hold, one in 40 was not announced. The files are written in the
store's layout without its own care (nothing is synchronised, and nothing is compared), and there is no
catalogue. Started again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.audio.encoded_take import Encoded, EncodedSound, Gap, LocatedAnnouncement
from recorder.domain.markers import LocatedMarker, Marker
from recorder.domain.parties import Party
from recorder.ids import uuid7
from recorder.lifecycle import amendment_store
from recorder.seal import signing, streaming_aead
from recorder.seal.amendment import SYSTEM
from recorder.seal.amendment_chain import make_tombstone
from recorder.seal.amendment_kinds import HoldSet
from recorder.seal.keyring import Keyring, WrappedKey, load_kek, tenant_key_path
from recorder.seal.sealing import NAME as MANIFEST
from recorder.seal.sealing import SealedTake, seal
from recorder.seal.streaming_aead import StoredObject
from recorder.spool.layout import CallEnd, CallStart, Take
from recorder.store.directory import DirectoryStore
from tests.recovery.many import FIRST_DAY, call_start

SPAN = timedelta(days=250)
TENANTS = 100
SHARE = 1000


@dataclass
class LinkedSounds:
    """Stands in for the encryption of sounds: the first of each kind is encrypted, the others are links."""

    stored: dict[str, tuple[Path, StoredObject]] = field(default_factory=dict)
    real: Callable[..., StoredObject] = streaming_aead.encrypt

    def encrypt(self, source: Path, target: Path, *arguments: Any) -> StoredObject:
        if source.name not in self.stored:
            stored = self.real(source, target, *arguments)
            original = source.with_name(f"{source.name}.{arguments[1].hex()[-32:]}")
            original.unlink(missing_ok=True)
            os.link(target, original)
            self.stored[source.name] = original, stored
            return stored
        original, stored = self.stored[source.name]
        os.link(original, target)
        return stored


@dataclass(frozen=True, slots=True)
class Bucket:
    """The store, its customers and their keys; ``count`` recordings are spread over ``SPAN``."""

    folder: Path
    count: int
    tenants: tuple[WrappedKey, ...]

    def fill(self, begin: int) -> int:
        """Store the recordings of one share, from the number ``begin`` on; returns how many."""
        os.fsync = lambda _descriptor: None  # type: ignore[assignment]
        streaming_aead.encrypt = LinkedSounds().encrypt
        numbers = range(begin, min(begin + SHARE, self.count))
        chance = random.Random(begin)
        keys = self.folder / "keys"
        keyring = Keyring(load_kek(keys / signing.KEK))
        signer = signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT)
        root = signing.load_public(keys / signing.ROOT_PUBLIC)
        sounds = tuple(sounds_in(self.folder / "plain"))
        for number in numbers:
            encoded = self._encoded(number, sounds, chance)
            key = self.tenants[number % TENANTS]
            at = encoded.take.end.ended_at + timedelta(seconds=30)
            sealed = seal(encoded, keyring, key, signer, at, chance.randbytes)
            self._store(sealed)
            if number % 50 == 1 or number % 70 == 2:
                self._amend(sealed, signer, root, erase=number % 50 == 1)
        return len(numbers)

    def _encoded(self, number: int, sounds: tuple[EncodedSound, ...], chance: random.Random) -> Encoded:
        tenant = self.tenants[number % TENANTS].tenant
        started_at = FIRST_DAY + SPAN * number / self.count
        start = call_start(number, tenant, str(uuid7(started_at, chance.randbytes)), started_at)
        end = call_end(start, number)
        # Its own place in the bucket is where it is sealed.
        place = self.folder / "bucket" / tenant / started_at.strftime("%Y/%m/%d") / start.recording
        place.mkdir(parents=True, exist_ok=True)
        return encode(place, start, end, sounds, announced=number % 40 != 0)

    def _store(self, sealed: SealedTake) -> None:
        for upload in sealed.uploads:
            target = self.folder / "bucket" / upload.key
            if target != upload.path:
                upload.path.rename(target)

    def _amend(
        self, sealed: SealedTake, signer: signing.Signer, root: Ed25519PublicKey, *, erase: bool
    ) -> None:
        store, manifest = DirectoryStore(self.folder / "bucket"), sealed.manifest
        chain = amendment_store.chain_of(store, sealed.prefix, root)
        hold = HoldSet(("agreement",), "an-owner", "they still talk", manifest.keep_until)
        data = make_tombstone(chain, "expired") if erase else hold
        at = manifest.keep_until if erase else manifest.sealed_at
        if not chain.amendments:  # it may have been begun before
            amendment_store.put(store, chain, data, SYSTEM, signer, root, at)
        if erase:
            for upload in sealed.uploads:
                if not upload.key.endswith(MANIFEST):
                    (self.folder / "bucket" / upload.key).unlink()


def call_end(start: CallStart, number: int) -> CallEnd:
    """The end of a recorded call of one minute."""
    internal_party = Party("extension", str(1000 + number % 256))
    return CallEnd("recorded", None, start.started_at + timedelta(seconds=60), internal_party)


def encode(
    folder: Path, start: CallStart, end: CallEnd, sounds: tuple[EncodedSound, ...], *, announced: bool = True
) -> Encoded:
    """A call in a folder, as its encoding would have left it."""
    hangup = {"cause": "NORMAL_CLEARING"}
    return Encoded(
        take=Take(folder, start, (Marker(end.ended_at, "hangup", hangup),), end),
        duration_ms=60_000,
        sample_rate=8000,
        announced=LocatedAnnouncement(210, 6410, 0.98) if announced else None,
        gaps=(Gap(0, 6410, "left", "before_announcement_end"),),
        markers=(LocatedMarker(end.ended_at, "hangup", hangup, 60_000),),
        drift_ms=3,
        sounds=sounds,
    )


def sounds_in(folder: Path) -> Iterator[EncodedSound]:
    """The plain sounds that :func:`make_sounds` made."""
    for name, media_type in (("audio.opus", "audio/ogg"), ("peaks", "application/json")):
        content = (folder / name).read_bytes()
        yield EncodedSound(name, folder / name, media_type, hashlib.sha256(content).hexdigest(), len(content))


def make_sounds(folder: Path, chance: random.Random) -> None:
    """Make the plain sounds of every recording: a few hundred bytes."""
    folder.mkdir()
    (folder / "audio.opus").write_bytes(chance.randbytes(300))
    (folder / "peaks").write_bytes(chance.randbytes(100))


def open_bucket(folder: Path, count: int) -> Bucket:
    """The bucket that was made in a folder, or a new one: an installation's keys, its customers, and a bucket
    with their wrapped keys."""
    if (folder / "keys").exists():
        found = [
            WrappedKey.from_bytes(path.read_bytes()) for path in folder.glob("bucket/keys/*/tenant.json")
        ]
        return Bucket(folder, count, _sorted(found))
    chance = random.Random(20261129)
    signing.init(folder / "keys", FIRST_DAY - timedelta(days=1), chance.randbytes)
    keyring = Keyring(load_kek(folder / "keys" / signing.KEK))
    make_sounds(folder / "plain", chance)
    tenants = []
    for _ in range(TENANTS):
        key = keyring.new_tenant_key(str(uuid7(FIRST_DAY, chance.randbytes)), chance.randbytes)
        path = folder / "bucket" / tenant_key_path(key.tenant)
        path.parent.mkdir(parents=True)
        path.write_bytes(key.to_bytes())
        tenants.append(key)
    return Bucket(folder, count, _sorted(tenants))


def _sorted(keys: Iterable[WrappedKey]) -> tuple[WrappedKey, ...]:
    return tuple(sorted(keys, key=lambda key: key.tenant))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    bucket = open_bucket(options.folder, options.count)
    progress = options.folder / "progress"
    first = int(progress.read_text()) if progress.exists() else 0
    start, count, last_report = time.monotonic(), 0, 0
    with ProcessPoolExecutor(options.processes) as pool:
        for stored in pool.map(bucket.fill, range(first, options.count, SHARE)):
            count += stored
            progress.write_text(str(first + count))
            if count - last_report >= 20_000 or first + count == options.count:
                last_report = count
                rate = count / (time.monotonic() - start)
                print(f"{first + count} of {options.count}, {rate:.0f}/s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
