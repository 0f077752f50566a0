"""What somebody changes in a pack is found, and named: without a key, and with the panel's key."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.features.packs.verify_pack import FAILS, PackResult, verify_pack
from recorder.seal import canonical_json
from recorder.strict_json import b64

from .conftest import PackWorld, list_again, state_again, unzip, write_zip

Files = dict[str, bytes]

MANIFEST = "data/documents/manifest.json"
SECOND = "data/documents/amendment-0002.json"


def check(files: Files, world: PackWorld, tmp_path: Path) -> PackResult:
    return verify_pack(str(write_zip(tmp_path / "changed.zip", files)), world.house.root_public, {})


def failures(result: PackResult) -> set[tuple[str, str]]:
    """The names of the points that do not hold, each with a code."""
    return {(point.name, each.code) for point in result.points for each in point.findings}


def flip(files: Files, name: str, at: int = -40) -> None:
    content = bytearray(files[name])
    content[at] ^= 1
    files[name] = bytes(content)


def newest_note(files: Files) -> str:
    return max(name for name in files if name.startswith("data/log/checkpoint-"))


def stored_leaf(files: Files) -> str:
    return next(name for name, content in files.items() if b'"kind":"recording.stored"' in content)


# --- without any key: the lists of hashes are brought up to date, the statement cannot be


def a_bit_in_the_sound(files: Files, world: PackWorld) -> None:
    flip(files, "data/sound/call.opus")


def a_bit_in_the_other_sound(files: Files, world: PackWorld) -> None:
    flip(files, "data/sound/call.wav")


def the_sound_of_another_recording(files: Files, world: PackWorld) -> None:
    other = unzip(world.make(world.record()))
    files["data/sound/call.opus"] = other["data/sound/call.opus"]


def a_bit_in_the_manifest(files: Files, world: PackWorld) -> None:
    flip(files, MANIFEST)


def a_field_of_the_manifest(files: Files, world: PackWorld) -> None:
    files[MANIFEST] = files[MANIFEST].replace(b'"direction":"inbound"', b'"direction":"outbound"')


def an_amendment_less(files: Files, world: PackWorld) -> None:
    del files[SECOND]


def the_first_amendment_less(files: Files, world: PackWorld) -> None:
    del files["data/documents/amendment-0001.json"]


def a_bit_in_an_amendment(files: Files, world: PackWorld) -> None:
    flip(files, SECOND)


def a_leaf(files: Files, world: PackWorld) -> None:
    name = stored_leaf(files)
    files[name] = files[name].replace(b'"format":1', b'"format":2')


def a_body(files: Files, world: PackWorld) -> None:
    name = stored_leaf(files).replace(".json", ".body.json")
    files[name] = files[name].replace(b'announced\\":true', b'announced\\":null')


def a_path(files: Files, world: PackWorld) -> None:
    name = stored_leaf(files).replace(".json", ".tlog-proof")
    head, blank, note = files[name].partition(b"\n\n")
    lines = head.split(b"\n")
    lines[2], lines[3] = lines[3], lines[2]
    files[name] = b"\n".join(lines) + blank + note


def a_checkpoint(files: Files, world: PackWorld) -> None:
    name = newest_note(files)
    files[name] = files[name].replace(b"number ", b"number 1")


def a_consistency_proof(files: Files, world: PackWorld) -> None:
    name = next(name for name in files if name.startswith("data/log/consistency-"))
    document = json.loads(files[name])
    document["path"] = document["path"][::-1] + document["path"][:1]
    files[name] = canonical_json.dump(document)


def a_timestamp_of_another_checkpoint(files: Files, world: PackWorld) -> None:
    name = next(name for name in files if name.endswith(".tsr"))
    files[name.replace("0000000002", "0000000003")] = files.pop(name)


def the_statement(files: Files, world: PackWorld) -> None:
    files["data/statement.json"] = files["data/statement.json"].replace(b"Dupont", b"Durand")


def the_report(files: Files, world: PackWorld) -> None:
    files["data/report.html"] = b"<p>Somebody else"


def a_file_more(files: Files, world: PackWorld) -> None:
    files["data/documents/letter.txt"] = b"Trust me."


def a_file_less(files: Files, world: PackWorld) -> None:
    del files["data/check-with-openssl.txt"]


def white_space_in_a_document(files: Files, world: PackWorld) -> None:
    files[SECOND] = json.dumps(json.loads(files[SECOND])).encode()


def a_field_twice(files: Files, world: PackWorld) -> None:
    files[SECOND] = files[SECOND].replace(b'{"body":', b'{"body":1,"body":', 1)


CHANGES: list[tuple[Callable[[Files, PackWorld], None], tuple[str, str]]] = [
    (a_bit_in_the_sound, ("sound", "object.plain")),
    (a_bit_in_the_other_sound, ("sound", "object.plain")),
    (the_sound_of_another_recording, ("sound", "object.plain")),
    (a_bit_in_the_manifest, ("seal", "seal.signature")),
    (a_field_of_the_manifest, ("seal", "seal.signature")),
    (an_amendment_less, ("amendments", "amendment.missing")),
    (the_first_amendment_less, ("amendments", "amendment.missing")),
    (a_bit_in_an_amendment, ("amendments", "seal.signature")),
    (a_leaf, ("log", "leaf.not_in_it")),
    (a_body, ("log", "body.changed")),
    (a_path, ("log", "leaf.not_in_it")),
    (a_checkpoint, ("checkpoints", "checkpoint.signature")),
    (a_consistency_proof, ("checkpoints", "checkpoint.not_followed")),
    (a_timestamp_of_another_checkpoint, ("timestamps", "timestamp.wrong")),
    (the_statement, ("statement", "seal.signature")),
    (the_report, ("statement", "pack.changed")),
    (a_file_more, ("statement", "pack.added")),
    (a_file_less, ("statement", "pack.missing")),
    (white_space_in_a_document, ("amendments", "seal.not_canonical")),
    (a_field_twice, ("amendments", "seal.duplicate_field")),
]


def test_each_change_is_found_and_named(world: PackWorld, tmp_path: Path) -> None:
    pack = unzip(world.make())
    missed = {}
    for change, expected in CHANGES:
        files = dict(pack)
        change(files, world)
        assert files != pack, change.__name__
        before = failures(check(files, world, tmp_path))
        list_again(files)
        found = failures(check(files, world, tmp_path))
        if expected not in found or not {each for each in before if each[0] == "files"}:
            missed[change.__name__] = found
    assert missed == {}


def test_the_panels_key_cannot_hide_what_the_recorder_sealed(world: PackWorld, tmp_path: Path) -> None:
    """The statement can be signed anew about other files; seal and log name them all the same."""
    pack = unzip(world.make())
    missed = {}
    for change, expected in CHANGES:
        if expected[0] == "statement":
            continue
        files = dict(pack)
        change(files, world)
        state_again(files, world.house.changes.signer)
        found = failures(check(files, world, tmp_path))
        if expected not in found and expected[0] not in {point for point, _ in found}:
            missed[change.__name__] = found
    assert missed == {}


def test_an_older_state_of_amendments_is_found_by_the_log(world: PackWorld, tmp_path: Path) -> None:
    files = unzip(world.make())
    first = hashlib.sha256(files["data/documents/amendment-0001.json"]).hexdigest()
    del files[SECOND]
    state_again(files, world.house.changes.signer, amendments=[first])
    assert failures(check(files, world, tmp_path)) == {("log", "amendment.missing")}


def test_sound_that_was_decoded_is_the_word_of_who_signed(world: PackWorld, tmp_path: Path) -> None:
    recording = world.record(formats=("opus",))
    files = unzip(world.make(recording))
    result = check(files, world, tmp_path)
    assert result.intact
    assert "converted" in {point.name for point in result.points}
    files["data/sound/call.wav"] = files["data/sound/call.wav"][:-4]
    state_again(files, world.house.changes.signer)
    assert failures(check(files, world, tmp_path)) == {("sound", "object.length")}


def test_another_root_is_refused(world: PackWorld, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "pack.zip", unzip(world.make()))
    other = Ed25519PrivateKey.generate().public_key()
    found = failures(verify_pack(str(path), other, {}))
    assert {("statement", "seal.endorsement_root"), ("seal", "seal.endorsement_root")} <= found
    result = verify_pack(str(path), "0" * 32, {})
    assert failures(result) == {("zip", "seal.endorsement_root")}


def test_a_revoked_key_counts_only_before(world: PackWorld, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "pack.zip", unzip(world.make()))
    key = world.house.changes.signer.key_id
    assert verify_pack(str(path), world.house.root_public, {key: "2999-01-01T00:00:00.000Z"}).intact
    found = failures(verify_pack(str(path), world.house.root_public, {key: "2000-01-01T00:00:00.000Z"}))
    assert ("statement", "seal.key_revoked") in found


def test_a_key_without_the_endorsement_signs_nothing(world: PackWorld, tmp_path: Path) -> None:
    """The panel's key may not seal recordings: a manifest that it signed is refused."""
    files = unzip(world.make())
    signer = world.house.changes.signer
    body = json.loads(files[MANIFEST])["body"] | {"direction": "outbound"}
    signature = {"algorithm": "Ed25519", "key_id": signer.key_id, "signature": b64(signer.sign(body))}
    files[MANIFEST] = canonical_json.dump(
        {"body": body, "endorsement": signer.endorsement.document(), "signatures": [signature]}
    )
    state_again(files, signer, manifest_sha256=hashlib.sha256(files[MANIFEST]).hexdigest())
    assert ("seal", "seal.endorsement_use") in failures(check(files, world, tmp_path))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("pack/data/report.html", "pack.name_twice"),
        ("pack/data/REPORT.html", "pack.name_twice"),
        ("pack/../../etc/passwd", "pack.name"),
        ("/etc/passwd", "pack.name"),
        ("other/report.html", "pack.name"),
        ("pack/data/..", "pack.name"),
        ("pack\\data\\report.html", "pack.name"),
        ("pack/data/", "pack.name"),
    ],
)
def test_names_that_programs_unpack_differently_are_refused(
    world: PackWorld, tmp_path: Path, name: str, code: str
) -> None:
    path = write_zip(tmp_path / "pack.zip", unzip(world.make()))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(name, b"another")
    assert failures(verify_pack(str(path), world.house.root_public, {})) == {("zip", code)}


def test_what_is_no_zip_file_or_hides_something_is_refused(world: PackWorld, tmp_path: Path) -> None:
    content, path = world.make(), tmp_path / "pack.zip"
    for damage, code in (
        (b"MZ" + content, "pack.hidden"),
        (content[:-30], "pack.damaged"),
        (b"no ZIP file", "pack.damaged"),
    ):
        path.write_bytes(damage)
        assert failures(verify_pack(str(path), world.house.root_public, {})) == {("zip", code)}
    link = zipfile.ZipInfo("pack/data/link")
    link.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    path.write_bytes(out.getvalue())
    assert failures(verify_pack(str(path), world.house.root_public, {})) == {("zip", "pack.name")}


def test_points_that_fail_have_findings(world: PackWorld, tmp_path: Path) -> None:
    files = unzip(world.make())
    files = dict.fromkeys(files, b"{}")
    result = check(files, world, tmp_path)
    assert all(point.findings for point in result.points if point.state == FAILS)
    assert not result.intact
