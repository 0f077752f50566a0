"""``accord doctor`` on key-encryption keys of before: needed, needed for backups, and needed by nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recorder import config
from recorder.lifecycle.key_rotation import Rewrapping
from recorder.ops.doctor.findings import Patient, examine
from recorder.ops.doctor.older_keys import older_keys
from recorder.processes.services import Context
from recorder.seal import kek_files
from recorder.seal.keyring import load_kek
from recorder.seal.signing import KEK
from tests.house import Bakery
from tests.stored import put_small


def found(house: Bakery, days: float) -> list[tuple[str, str, str]]:
    """What is found so many days from now, by the machine's clock: files have that, too."""
    environment = {
        "ACCORD_NODE_DATA": str(house.folder),
        "ACCORD_CATALOGUE_URL": house.catalogue_url,
        "ACCORD_STORE_KIND": "directory",
        "ACCORD_STORE_PATH": str(house.bucket),
    }
    context = Context(config.load(None, environment), None)
    then = datetime.now(UTC) + timedelta(days=days)
    return [
        (each.state, each.what, each.hint) for each in examine(older_keys, Patient(context, lambda: then))
    ]


def test_a_key_of_before_is_named_once_nothing_needs_it(house: Bakery) -> None:
    put_small(house)
    keys = house.folder / "keys"
    assert found(house, 400) == []
    before = load_kek(keys / KEK).id
    old = keys / f"{before}.kek"
    kek_files.make_next(keys)
    kek_files.promote(keys, lambda _boundary: None)  # too early: nothing was wrapped anew
    ((state, what, hint),) = found(house, 400)
    assert (state, hint) == ("warning", "run `accord keys rotate` again")
    assert f"{old} still wraps 1 customers' keys" in what
    Rewrapping(house.means.store, kek_files.rotation_keyring(keys), house.clock, house.entropy, "me").all()
    ((state, what, _),) = found(house, 29)
    assert state == "ok"
    assert "needed for backups of before, until" in what
    ((state, what, hint),) = found(house, 31)
    assert state == "warning"
    assert f"{old} is needed by nothing any more" in what
    assert f"`rm {old}`" in hint
    old.unlink()
    assert found(house, 31) == []
