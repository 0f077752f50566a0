"""`accord recording verify` checks a customer's archive with the root's public key alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.audit.handover_check import HandoverCheck, find_handover_folder
from recorder.cli import accord
from recorder.seal import signing
from recorder.seal.amendment import By
from tests.amendments import amend
from tests.unit.offboarding.test_handover import (
    announce,
    bakery,
    fetched,
    person,
    sign,
    unpacked,
)

assert bakery

BY = By("operator")


@pytest.fixture
def folder(house, bakery, handed, tmp_path) -> Path:
    """An unpacked archive: two recordings, one of them amended."""
    live = house.call(bakery)
    house.call(bakery)
    house.call(bakery, announced=False)
    house.not_recorded(bakery, "never_connected")
    amend(house.changes.agree, bakery.id, live, BY, purpose="training", keep_days=30, reason="on paper")
    announce(house, bakery)
    sign(house, bakery)
    handed(bakery.id)
    for name, content in unpacked(fetched(house, person(bakery))).items():
        path = tmp_path / "unpacked" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "unpacked"


def found_in(house, folder: Path) -> list[tuple[str, str]]:
    place = find_handover_folder(folder)
    assert place is not None
    return [(each.code, each.where) for each in HandoverCheck(place, house.root_public, house.clock()).read()]


def recordings(folder: Path) -> list[Path]:
    return sorted((folder / "accord" / "recordings").iterdir())


def amended(folder: Path) -> Path:
    return next(folder.glob("accord/recordings/*/amendment-0001.json"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def replace(path: Path, was: str, becomes: str) -> None:
    text = path.read_text("utf-8")
    assert was in text, text[:500]
    path.write_text(text.replace(was, becomes, 1), "utf-8")


def leaf_written_anew(folder: Path) -> None:
    """A leaf of the log is altered."""
    path = folder / "accord" / "log" / "leaves-0000000000.jsonl"
    replace(path, "tenant.created", "tenant.changed")


def leaf_deleted(folder: Path) -> None:
    path = folder / "accord" / "log" / "leaves-0000000000.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines[:2], *lines[3:]]), "utf-8")


def last_leaves_deleted(folder: Path) -> None:
    path = folder / "accord" / "log" / "leaves-0000000000.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:4]), "utf-8")


def body_changed(folder: Path) -> None:
    path = recordings(folder)[0] / "log.jsonl"
    bodies = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    bodies[0]["body"] = bodies[0]["body"].replace("true", "false")
    path.write_text("".join(f"{json.dumps(each)}\n" for each in bodies), "utf-8")


def half_zeros(folder: Path) -> None:
    path = recordings(folder)[0] / "audio.wav"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


TAMPERINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a sound is changed": (lambda f: flip(recordings(f)[0] / "audio.wav"), "object.plain"),
    "half of a sound is silenced": (half_zeros, "object.plain"),
    "a sound is longer": (lambda f: append(recordings(f)[0] / "audio.wav"), "object.length"),
    "a sound is deleted": (lambda f: (recordings(f)[0] / "audio.wav").unlink(), "object.missing"),
    "another recording's sound": (
        lambda f: shutil.copy(recordings(f)[0] / "audio.opus", recordings(f)[1] / "audio.opus"),
        "object.",
    ),
    "a manifest is changed": (
        lambda f: replace(
            recordings(f)[0] / "manifest.json", '"direction":"inbound"', '"direction":"outbound"'
        ),
        "seal.",
    ),
    "a manifest is deleted": (lambda f: (recordings(f)[0] / "manifest.json").unlink(), "manifest.missing"),
    "another recording's folder": (
        lambda f: recordings(f)[0].rename(recordings(f)[0].with_name("01930000-0000-7000-8000-00000000000b")),
        "manifest.place",
    ),
    "a recording is deleted": (lambda f: shutil.rmtree(recordings(f)[0]), "object.missing"),
    "an amendment is changed": (lambda f: replace(amended(f), "on paper", "by phone"), "seal.signature"),
    "an amendment is deleted": (lambda f: amended(f).unlink(), "amendment.missing"),
    "an amendment is put twice": (
        lambda f: shutil.copy(amended(f), amended(f).with_name("amendment-0002.json")),
        "amendment.doubled",
    ),
    "an amendment of another": (
        lambda f: shutil.copy(
            amended(f),
            next(each for each in recordings(f) if each != amended(f).parent) / "amendment-0001.json",
        ),
        "amendment.foreign",
    ),
    "what the log says of a recording is changed": (body_changed, "body.changed"),
    "what the log says of a recording is deleted": (
        lambda f: (recordings(f)[0] / "log.jsonl").unlink(),
        "row.unlogged",
    ),
    "a leaf says something else": (leaf_written_anew, "log.rewritten"),
    "a leaf is deleted": (leaf_deleted, "leaf.changed"),
    "the last leaves are deleted": (last_leaves_deleted, "log.behind"),
    "the checkpoint is changed": (
        lambda f: replace(f / "accord" / "log" / "checkpoint.note", "number 1", "number 2"),
        "checkpoint.signature",
    ),
    "the checkpoint is deleted": (
        lambda f: (f / "accord" / "log" / "checkpoint.note").unlink(),
        "checkpoint.missing",
    ),
    "the endorsement is changed": (
        lambda f: replace(
            f / "accord" / "log" / "checkpoint.endorsement.json", '"uses":["', '"uses":["receipt","'
        ),
        "seal.",
    ),
    "an announcement's sound is changed": (
        lambda f: flip(next((f / "accord" / "announcements").glob("*.wav"))),
        "object.plain",
    ),
    "something lies with a recording": (
        lambda f: (recordings(f)[0] / "notes.txt").write_text("x"),
        "object.unknown",
    ),
    "something lies elsewhere": (lambda f: (f / "accord" / "notes.txt").write_text("x"), "object.unknown"),
}


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def test_accepts_an_unaltered_archive(house, folder: Path) -> None:
    assert found_in(house, folder) == []
    place = find_handover_folder(folder)
    assert place is not None
    checked = HandoverCheck(place, house.root_public, house.clock())
    assert list(checked.read()) == []
    assert (checked.recordings, checked.blanks) == (2, [])
    assert 0 < checked.signed <= checked.leaves


def test_accepts_zeros_for_an_erased_recording(house, folder: Path) -> None:
    first = recordings(folder)[0]
    for path in first.iterdir():
        path.write_bytes(bytes(path.stat().st_size))
    table = folder / "accord" / "tables" / "recordings-00001.csv"
    lines = table.read_text("utf-8").splitlines(keepends=True)
    blank = [" " * (len(line) - 1) + "\n" if first.name in line else line for line in lines]
    table.write_text("".join(blank), "utf-8")
    assert found_in(house, folder) == []


def test_names_every_alteration(house, folder: Path, tmp_path: Path) -> None:
    """One alteration at a time, each in a copy of its own."""
    for number, (name, (tamper, code)) in enumerate(TAMPERINGS.items()):
        changed = tmp_path / f"changed-{number}"
        shutil.copytree(folder, changed)
        tamper(changed)
        found = found_in(house, changed)
        assert [each for each, _ in found if each.startswith(code)], (name, found)


def test_refuses_a_key_that_was_revoked_before(house, folder: Path) -> None:
    place = find_handover_folder(folder)
    assert place is not None
    manifest = json.loads((recordings(folder)[0] / "manifest.json").read_bytes())
    key = manifest["endorsement"]["body"]["key_id"]
    revoked = {key: house.clock().replace(year=2020)}
    codes = {each.code for each in HandoverCheck(place, house.root_public, house.clock(), revoked).read()}
    assert codes >= {"seal.key_revoked", "checkpoint.key_revoked"}


def test_requires_the_root_key_from_another_source(house, folder: Path, tmp_path: Path) -> None:
    """Whoever makes a folder can put a root key of their own into it."""
    root = tmp_path / "root.pub"
    root.write_bytes(signing.public_pem(house.root_public))
    run = CliRunner().invoke(accord, ["recording", "verify", str(folder), "--root", str(root)])
    assert (run.exit_code, run.output.startswith("as it was sealed")) == (0, True), run.output
    assert "it must not come from the folder itself" in run.output
    other = Ed25519PrivateKey.generate().public_key()
    root.write_bytes(signing.public_pem(other))
    run = CliRunner().invoke(accord, ["recording", "verify", str(folder), "--root", str(root)])
    assert run.exit_code == 1
    assert "seal.endorsement_root" in run.output
    assert "the folder names another root key" in run.output
