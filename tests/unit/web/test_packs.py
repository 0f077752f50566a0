"""The panel makes packs, and publishes what checks them."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from recorder.auditlog import checkpoint
from recorder.features.packs import service
from recorder.features.packs.verify_pack import verify_pack
from recorder.seal import signing
from tests.unit.packs.conftest import unzip
from tests.unit.web.player import change, leaves


@pytest.fixture
def recording(house, bakery) -> str:
    return house.call(bakery, questions=[{"answer": "yes", "by": "external", "how": "key"}])


def fetch(person, recording: str, **form: str):
    fields = {"purpose": "agreement", "language": "fr", "recipient": "Maître Dupont", **form}
    return person.send(f"/recordings/{recording}/pack", **fields)


def test_a_pack_is_made_from_the_calls_page(browser, house, bakery, recording, tmp_path: Path) -> None:
    checkpoint.sign_due(house.services, house.clock.forward(hours=1))
    paul = browser("paul")
    assert f'href="/recordings/{recording}/pack"' in paul.get(f"/recordings/{recording}").text
    assert 'name="recipient"' in paul.get(f"/recordings/{recording}/pack").text
    answer = fetch(paul, recording)
    assert (answer.status_code, answer.content_type) == (200, "application/zip")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="recording-{recording}.zip"'
    path = tmp_path / "pack.zip"
    path.write_bytes(answer.data)
    result = verify_pack(str(path), house.root_public, {})
    assert result.intact, result.points
    (leaf,) = leaves("recording.downloaded")
    expected = {"user": bakery.people["paul"].id, "recording": recording, "purpose": "agreement"}
    assert leaf == {**expected, "name": "pack.zip"}
    statement = json.loads(unzip(answer.data)["data/statement.json"])["body"]
    facts = ("recipient", "purpose", "language", "part", "user", "role")
    assert [statement[name] for name in facts] == [
        "Maître Dupont", "agreement", "fr", "whole", bakery.people["paul"].id, "customer_admin"
    ]  # fmt: skip
    assert statement["external_party"] == {"kind": "e164", "value": "+32470123456"}


def test_the_report_is_whole_and_in_the_language_that_was_asked_for(browser, bakery, recording) -> None:
    """It needs nothing but the files of the pack: no script, and no address but the one to check at."""
    order = ["whole", "when", "missing", "who", "announced", "agreed", "since", "unknown", "check"]
    paul = browser("paul")
    titles = {
        "fr": "Est-ce le tout ou une partie",
        "nl": "Is dit het geheel of een deel",
        "de": "Ist das das Ganze oder ein Teil",
        "en": "Is this the whole, or a part",
    }
    for language, title in titles.items():
        files = unzip(fetch(paul, recording, language=language).data)
        report = files["data/report.html"].decode()
        assert title in report
        assert f'<html lang="{language}">' in report
        assert re.findall(r'<h2 id="([a-z]+)"', report) == order
        assert "<script" not in report
        assert set(re.findall(r'(?:src|href)="([^"#]+)', report)) == {
            "sound/call.opus", "sound/call.wav", "http://localhost/verify"
        }  # fmt: skip
        assert "sound/call.opus#t=" in report
        assert "data/report.html" in files["README.txt"].decode()
        assert "Claire" not in report, "colleagues have no names in it"


def test_who_may_not_download_gets_no_pack(browser, recording) -> None:
    for login in ("claire", "audit"):
        person = browser(login)
        assert f"/recordings/{recording}/pack" not in person.get(f"/recordings/{recording}").text
        assert person.get(f"/recordings/{recording}/pack").status_code == 403
        assert fetch(person, recording).status_code == 403
        assert leaves("access.refused")[-1]["reason"] == "access.download_role"
    assert leaves("recording.downloaded") == []


def test_a_pack_needs_an_announced_purpose(browser, recording) -> None:
    paul = browser("paul")
    assert fetch(paul, recording, purpose="training").status_code == 403
    missing = fetch(paul, recording, purpose="")
    assert (missing.status_code, 'aria-invalid="true"' in missing.text) == (400, True)
    assert "Maître Dupont" in missing.text, "what was typed is not lost"
    assert leaves("recording.downloaded") == []


def test_a_damaged_first_block_is_neither_sent_nor_logged(browser, house, recording) -> None:
    change(house, recording, "audio.opus", 1000)
    assert fetch(browser("paul"), recording).status_code == 409
    assert leaves("recording.downloaded") == []
    assert leaves("seal.broken")[0]["object"] == "audio.opus"


def test_what_breaks_later_aborts_before_anything_is_stated(browser, house, bakery) -> None:
    call = house.call(bakery, times=3)
    change(house, call, "audio.wav", 3 * 65_536 + 10)
    paul = browser("paul")
    form = {"csrf_token": paul.token(), "purpose": "agreement", "language": "fr"}
    answer = paul.client.post(f"/recordings/{call}/pack", data=form, buffered=False)
    pieces: list[bytes] = []
    with pytest.raises(ConnectionResetError):
        pieces.extend(answer.iter_encoded())
    assert b"statement.json" not in b"".join(pieces)
    assert len(leaves("recording.downloaded")) == 1


def test_what_checks_a_pack_is_public(browser, house) -> None:
    stranger = browser()
    page = stranger.get("/verify")
    program, root = stranger.get("/verify/verify_pack.py"), stranger.get("/verify/root.pub")
    assert program.data == service.read_verifier()
    assert hashlib.sha256(program.data).hexdigest() in page.text
    assert signing.key_id(house.root_public) in page.text
    assert root.data == signing.public_pem(house.root_public)
