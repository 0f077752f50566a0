"""Makes an installation with many small recordings, sealed by the real code:

    python tests/recovery/many.py ROOT COUNT [SEAWEEDFS PORT]

Each has a few hundred bytes of audio and its peaks, encrypted and signed; one in 40 was not announced, one in
50 was erased on its expiry, one in 70 is on legal hold. A rebuild must restore ``ROOT/catalogue.db``. Nothing
is synchronised to the disk.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recorder.audio.encoded_take import Encoded, EncodedSound, Gap, LocatedAnnouncement
from recorder.catalogue import database, schema
from recorder.catalogue.recording_projection import recording_of
from recorder.catalogue.records import RecordingRow
from recorder.domain.line_policy import Announcement
from recorder.domain.markers import LocatedMarker, Marker
from recorder.domain.parties import Party
from recorder.identity import tenants
from recorder.ids import Entropy, uuid7
from recorder.lifecycle import amendment_store, amendments, expiry, recordings
from recorder.lifecycle.expired_recording import ExpiredRecording
from recorder.seal import signing
from recorder.seal.amendment import SYSTEM
from recorder.seal.amendment_kinds import HoldSet
from recorder.seal.keyring import Keyring, WrappedKey, load_kek, tenant_key_path
from recorder.seal.manifest import Parties
from recorder.seal.sealing import SealedTake, seal
from recorder.services import Services
from recorder.spool.layout import CallEnd, CallStart, Take
from recorder.store.contract import Store
from recorder.store.directory import DirectoryStore
from recorder.store.s3 import S3Store
from recorder.store.seaweedfs import SeaweedFS

FIRST_DAY = datetime(2026, 3, 1, 7, 0, tzinfo=UTC)
TENANTS = 7
BATCH = 200
TEXT = "Cet appel est enregistré afin que ce qui a été convenu reste clair ; gardé 30 jours."


def call_start(number: int, tenant: str, recording: str, started_at: datetime) -> CallStart:
    """The beginning of the call of that ``number`` among many: some parties withhold theirs."""
    return CallStart(
        recording=recording,
        tenant=tenant,
        line=f"line-{number % 31}",
        number=f"+32255501{number % 31:02}",
        direction="inbound",
        node="node1",
        channel=f"channel-{number}",
        external_party=Party("e164", f"+3247{number:07}") if number % 9 else Party("withheld", ""),
        started_at=started_at,
        formats=("opus",),
        announcement=Announcement(f"told-{tenant}", 1, "fr", TEXT, ("agreement",), 30, "ab" * 32, 6200),
    )


def small(folder: Path, start: CallStart, entropy: Entropy, *, announced: bool = True) -> Encoded:
    """An encoded call of one minute, with a few hundred bytes of audio."""

    def sound(name: str, media_type: str) -> EncodedSound:
        content = entropy(60 + entropy(1)[0])
        (folder / name).write_bytes(content)
        return EncodedSound(
            name, folder / name, media_type, hashlib.sha256(content).hexdigest(), len(content)
        )

    ended = start.started_at + timedelta(seconds=60)
    internal_party = Party("extension", str(1000 + entropy(1)[0]))
    hangup = {"cause": "NORMAL_CLEARING"}
    take = Take(
        folder, start, (Marker(ended, "hangup", hangup),), CallEnd("recorded", None, ended, internal_party)
    )
    return Encoded(
        take=take,
        duration_ms=60_000,
        sample_rate=8000,
        announced=LocatedAnnouncement(210, 6410, 0.98) if announced else None,
        gaps=(Gap(0, 6410, "left", "before_announcement_end"),),
        markers=(LocatedMarker(ended, "hangup", hangup, 60_000),),
        drift_ms=3,
        sounds=(sound("audio.opus", "audio/ogg"), sound("peaks", "application/json")),
    )


class LargeInstallation:
    """An installation to be filled with recordings."""

    def __init__(self, root: Path, store: Store, url: str = "") -> None:
        self.chance = random.Random(20261125)
        self.entropy = self.chance.randbytes
        self.root, self.store = root, store
        url = url or f"sqlite:///{root / 'catalogue.db'}"
        schema.migrate(url)
        database.open_catalogue(url)
        signing.init(root / "keys", FIRST_DAY - timedelta(days=1), self.entropy)
        keys = root / "keys"
        self.keyring = Keyring(load_kek(keys / signing.KEK))
        self.signer = signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT)
        self.public = signing.load_public(keys / signing.ROOT_PUBLIC)
        self.tenants = [self.tenant(number) for number in range(TENANTS)]
        self.services = Services(
            store=store,
            keyring=self.keyring,
            signer=self.signer,
            root=self.public,
            spool=root / "spool",
            snapshot=root / "snapshot",
            entropy=self.entropy,
        )

    def tenant(self, number: int) -> tuple[str, WrappedKey]:
        identity = str(uuid7(FIRST_DAY, self.entropy))
        key = self.keyring.new_tenant_key(identity, self.entropy)
        self.put(tenant_key_path(identity), key.to_bytes())
        tenants.create_tenant(
            identity, name=f"Customer {number}", wrapped_key=key.to_bytes().decode(), now=FIRST_DAY,
            entropy=self.entropy,
        )  # fmt: skip
        return identity, key

    def put(self, key: str, content: bytes) -> None:
        path = self.root / "putting"
        path.write_bytes(content)
        self.store.put(key, path, hashlib.sha256(content).hexdigest())

    def sealed(self, number: int) -> tuple[SealedTake, CallStart, CallEnd]:
        """A sealed recording in its own folder."""
        tenant, key = self.tenants[number % TENANTS]
        start_time = FIRST_DAY + timedelta(seconds=97 * number)
        start = call_start(number, tenant, str(uuid7(start_time, self.entropy)), start_time)
        folder = self.root / "sealing" / start.recording
        folder.mkdir(parents=True)
        encoded = small(folder, start, self.entropy, announced=number % 40 != 0)
        at = encoded.take.end.ended_at + timedelta(seconds=30)
        sealed = seal(encoded, self.keyring, key, self.signer, at, self.entropy)
        return sealed, start, encoded.take.end

    def batch(self, numbers: Sequence[int], pool: ThreadPoolExecutor) -> None:
        batch_of_takes = [self.sealed(number) for number in numbers]
        list(pool.map(self.upload, [sealed for sealed, _, _ in batch_of_takes]))
        rows = [
            recording_of(
                sealed.manifest,
                sealed.manifest_bytes,
                Parties(start.external_party, end.internal_party, ()),
                sealed.key,
            )
            for sealed, start, end in batch_of_takes
        ]
        with database.writing():
            for row in rows:
                recordings.add_recording(row, now=row.stored_at, entropy=self.entropy)
        for number, row in zip(numbers, rows, strict=True):
            self.amend(number, row)
        shutil.rmtree(self.root / "sealing")

    def upload(self, sealed: SealedTake) -> None:
        for upload in sealed.uploads:
            self.store.put(upload.key, upload.path, upload.sha256)

    def amend(self, number: int, row: RecordingRow) -> None:
        """Erase some recordings, and put some on legal hold."""
        if number % 50 == 1:
            chain = amendment_store.chain_of(self.store, row.prefix, self.public)
            expiry.destroy(ExpiredRecording(row, chain, "expired"), self.services, row.keep_until)
        elif number % 70 == 2:
            chain = amendment_store.chain_of(self.store, row.prefix, self.public)
            data = HoldSet(("agreement",), "an-owner", "they still talk", row.keep_until)
            amendment_store.put(self.store, chain, data, SYSTEM, self.signer, self.public, row.stored_at)
            with database.writing():
                amendments.insert_amendments(amendment_store.chain_of(self.store, row.prefix, self.public))


def main() -> None:
    root, count = Path(sys.argv[1]), int(sys.argv[2])
    os.fsync = lambda _descriptor: None  # type: ignore[assignment]
    store: Store = DirectoryStore(root / "bucket")
    if len(sys.argv) > 3:
        store = S3Store(SeaweedFS(Path(sys.argv[3]), int(sys.argv[4])).bucket())
    start_time = time.monotonic()
    installation = LargeInstallation(root, store)
    with ThreadPoolExecutor(8) as pool:
        for start in range(0, count, BATCH):
            installation.batch(range(start, min(start + BATCH, count)), pool)
            count_stored = min(start + BATCH, count)
            if count_stored % 10_000 == 0 or count_stored == count:
                print(
                    f"{count_stored} of {count}, {count_stored / (time.monotonic() - start_time):.0f}/s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
