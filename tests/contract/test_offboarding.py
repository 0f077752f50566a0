"""Offboarding on a real, versioned SeaweedFS: a download by ranges, then every version is deleted."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest

from recorder.catalogue import queries
from recorder.features.offboarding import duty as offboarding_duty
from recorder.features.offboarding import service
from recorder.features.offboarding.plan import prepare_handover
from recorder.identity import users
from recorder.playback.interface import Actor
from recorder.playback.verified_recording import RecordingVerifier
from recorder.processes.gate import PanelGate
from recorder.seal import signing
from recorder.seal.keyring import data_key_path
from recorder.store.s3 import S3Store
from tests.entropy import RepeatableEntropy


@pytest.fixture
def entropy() -> RepeatableEntropy:
    return RepeatableEntropy(uuid4().hex)


@pytest.mark.long
def test_offboarding_deletes_every_version(house, bucket_store: S3Store) -> None:
    house.services = replace(house.services, store=bucket_store)
    folder = house.take(talk_ms=300, formats=("wav",))
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    house.clock.forward(minutes=2)
    means, root = house.services, house.services.root
    when = {"now": house.clock(), "entropy": house.entropy}
    login = {"login": uuid4().hex, "name": "Ada", "language": "fr", "password_hash": "$argon2id$"}
    ada = users.create_user(house.tenant, role="customer_admin", **login, **when)
    office = house.office()
    service.announce(office, house.tenant, house.clock() + timedelta(days=9))
    seals = RecordingVerifier(bucket_store, means.keyring, root)
    sign = partial(service.hand_over, office, house.tenant)
    whole = prepare_handover(
        house.tenant, seals, bucket_store, signing.public_pem(root), sign, anew=False, **when
    )
    gate = PanelGate(bucket_store, means.keyring, root, now=house.clock, entropy=house.entropy)
    opened = gate.handover(Actor(ada.id, house.tenant, ada.role, "fr"))
    parts = [
        b"".join(opened.read(at, min(at + 99_999, whole.length))) for at in range(0, whole.length, 99_999)
    ]
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
        sound = archive.extractfile(f"accord/recordings/{row.id}/audio.wav")
        assert sound is not None
        assert len(sound.read()) == row.objects[0].length

    service.order_erasure(office, house.tenant, early="By letter")
    assert offboarding_duty.erase_due(replace(means, store=bucket_store), house.clock()) == 1
    keys = [data_key_path(house.tenant, row.id), *(row.prefix + each.name for each in row.objects)]
    assert [len(list(bucket_store._versions(key))) for key in keys] == [0] * len(keys)
    receipt = bucket_store.read(offboarding_duty.place_of(house.tenant))
    assert offboarding_duty.read(receipt, root).body.recordings_erased == {"deleted": 1}
