"""``accord doctor`` on retired key-encryption keys: in use, needed for backups, and unneeded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recorder import config
from recorder.lifecycle.key_rotation import KeyRotation
from recorder.ops.doctor.findings import Patient, examine
from recorder.ops.doctor.older_keys import older_keys
from recorder.processes.services import Context
from recorder.seal import kek_files
from recorder.seal.keyring import load_kek
from recorder.seal.signing import KEK
from tests.house import Bakery
from tests.stored_recordings import put_small


def key_findings(house: Bakery, days: float) -> list[tuple[str, str, str]]:
    """The findings so many days from now, by the machine's clock, like the times of files."""
    environment = house.environment(ACCORD_STORE_PATH=str(house.bucket))
    context = Context(config.load(None, environment), None)
    then = datetime.now(UTC) + timedelta(days=days)
    return [
        (each.state, each.what, each.hint) for each in examine(older_keys, Patient(context, lambda: then))
    ]


def test_retired_key_is_reported_once_nothing_needs_it(house: Bakery) -> None:
    put_small(house)
    keys = house.folder / "keys"
    assert key_findings(house, 400) == []
    before = load_kek(keys / KEK).id
    old = keys / f"{before}.kek"
    kek_files.make_next(keys)
    kek_files.promote(keys, lambda _boundary: None)  # too early: nothing was rewrapped
    ((state, what, hint),) = key_findings(house, 400)
    assert (state, hint) == ("warning", "run `accord key rotate` again")
    assert f"{old} still wraps 1 customers' keys" in what
    KeyRotation(
        house.services.store, kek_files.rotation_keyring(keys), house.clock, house.entropy, "me"
    ).all()
    ((state, what, _),) = key_findings(house, 29)
    assert state == "ok"
    assert "needed for older backups, until" in what
    ((state, what, hint),) = key_findings(house, 31)
    assert state == "warning"
    assert f"{old} is no longer needed" in what
    assert f"`rm {old}`" in hint
    old.unlink()
    assert key_findings(house, 31) == []
