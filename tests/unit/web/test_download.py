"""Downloading a recording: a permission and a leaf of its own, through the same gate."""

from __future__ import annotations

import io
import re
import wave

import pytest

from recorder.errors import SealError
from tests.unit.web.player import change, leaves, plain_sound


@pytest.fixture
def recording(house, bakery) -> str:
    return house.call(bakery)


def fetch(person, recording: str, name: str = "audio.opus", purpose: str = "agreement"):
    return person.send(f"/recordings/{recording}/download", purpose=purpose, format=name)


@pytest.mark.parametrize("name", ["audio.opus", "audio.wav"])
def test_admin_downloads_what_was_sealed(browser, house, bakery, recording, name):
    answer = fetch(browser("paul"), recording, name)
    assert answer.status_code == 200
    assert answer.data == plain_sound(house, recording, name)
    file = re.fullmatch(r'attachment; filename="([^"]+)"', answer.headers["Content-Disposition"])
    assert file is not None
    assert file[1] == f"recording-{recording}.{name[6:]}", "no number, no name, no time"
    (leaf,) = leaves("recording.downloaded")
    assert leaf == {
        "user": bakery.people["paul"].id, "recording": recording, "purpose": "agreement", "name": name
    }  # fmt: skip
    assert leaves("listen.opened") == []
    assert "L’a téléchargé" in browser("audit").get(f"/recordings/{recording}").text


def test_wav_is_made_of_opus(browser, house):
    customer = house.customer("Fleurs", "+3225550144", formats=("opus",))
    house.person(customer, "lea", "Léa", role="customer_admin")
    call = house.call(customer)
    lea = browser("lea")
    assert '<option value="audio.wav">' in lea.get(f"/recordings/{call}").text
    answer = fetch(lea, call, "audio.wav")
    assert answer.content_length == len(answer.data)
    with wave.open(io.BytesIO(answer.data)) as sound:
        assert (sound.getnchannels(), sound.getframerate()) == (2, 8000)
        frames = sound.readframes(sound.getnframes())
    assert any(frames[0::4]), "the caller is heard"
    assert any(frames[2::4]), "and the colleague"
    assert leaves("recording.downloaded")[-1]["name"] == "audio.wav"


def test_only_admins_download(browser, recording):
    for login in ("claire", "audit"):
        person = browser(login)
        assert f"/recordings/{recording}/download" not in person.get(f"/recordings/{recording}").text
        refused = fetch(person, recording)
        assert refused.status_code == 403
        assert leaves("access.refused")[-1]["reason"] == "access.download_role"
    assert leaves("recording.downloaded") == []


def test_download_needs_an_announced_purpose(browser, recording):
    paul = browser("paul")
    assert fetch(paul, recording, purpose="training").status_code == 403
    missing = fetch(paul, recording, purpose="")
    assert (missing.status_code, 'id="download-error"' in missing.text) == (400, True)
    for name in ("peaks", "manifest.json", "", "../x"):
        assert fetch(paul, recording, name).status_code == 404
    assert leaves("recording.downloaded") == []


def test_damaged_first_block_is_neither_sent_nor_logged_as_downloaded(browser, house, recording):
    change(house, recording, "audio.opus", 1000)
    answer = fetch(browser("paul"), recording)
    assert answer.status_code == 409
    assert leaves("recording.downloaded") == []
    assert leaves("seal.broken")[0]["object"] == "audio.opus"


def test_damaged_later_block_aborts_the_download(browser, house, bakery):
    call = house.call(bakery, times=3)
    change(house, call, "audio.wav", 3 * 65_536 + 10)
    paul = browser("paul")
    form = {"csrf_token": paul.token(), "purpose": "agreement", "format": "audio.wav"}
    answer = paul.client.post(f"/recordings/{call}/download", data=form, buffered=False)
    with pytest.raises(ConnectionResetError) as failure:
        list(answer.iter_encoded())
    assert isinstance(failure.value.__cause__, SealError)
    assert len(leaves("recording.downloaded")) == 1, "it was logged before the first byte"
