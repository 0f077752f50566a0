"""An admin sets up a number in the panel: composed, heard, and then switched on."""

from __future__ import annotations

import errno
import html
import io
import json
import re
import wave

import numpy as np
import pytest

from recorder.capture.config_cache import CHECK_INTERVAL, ConfigCache
from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.announcement import SoundTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.line import LineDraftTable, LineTable
from recorder.errors import AccordError
from recorder.features.tenants import greeting_sound, line_policies, setup
from recorder.features.tenants.announcements import read_sound
from recorder.features.tenants.duty import SNAPSHOT_WHOLE, SnapshotDuty
from recorder.features.tenants.greeting_sound import LARGEST
from recorder.processes.worker_loop import TICK
from recorder.prompts.sound_check import check_sound
from recorder.prompts.sound_sources import Sources
from recorder.spool.snapshot import read_snapshot
from tests.announcements import announcement_in
from tests.lost_sounds import lose_sound, restore_sound
from tests.unit.audio.crafted_files import encode
from web.numbers.setup_form import SHOWN_FIRST
from web.text import errors as sentences
from web.text.numbers import setup_error

CHOICES = {
    "purposes": ["agreement"],
    "mode": "notice",
    "keep_days": "60",
    "languages": ["fr", "en"],
    "first": "fr",
    "wording": "short",
    "greeting_text": "",
}


@pytest.fixture
def line(bakery):
    (row,) = queries.lines(bakery.id)
    return row


@pytest.fixture
def paul(browser, bakery):
    return browser("paul")


def send(person, line, greeting: tuple[bytes, str] | None = None, **changes):
    path = f"/numbers/{line.id}/setup"
    form = {"csrf_token": person.token(path), **CHOICES, **changes}
    if greeting is not None:
        form["greeting"] = (io.BytesIO(greeting[0]), greeting[1])
    where = {"REMOTE_ADDR": person.address}
    return person.client.post(path, data=form, content_type="multipart/form-data", environ_base=where)


def previewed(person, line) -> str:
    page = person.get(f"/numbers/{line.id}/preview")
    assert page.status_code == 200, page.text
    return html.unescape(page.text)


def digest(page: str) -> str:
    return re.search(r'name="digest" value="([0-9a-f]{64})"', page)[1]


def switch_on(person, line):
    return person.send(f"/numbers/{line.id}/on", digest=digest(previewed(person, line)))


def leaves(kind: str) -> list[dict]:
    with connected():
        rows = LeafTable.select().where(LeafTable.kind == kind).order_by(LeafTable.number)
        return [json.loads(row.body) for row in rows]


def recorded_lines() -> dict[str, line_policies.line_policy.LinePolicy]:
    return {each.line: each for each in line_policies.policies().lines}


def errors(page: str) -> dict[str, str]:
    found = re.findall(r'<p class="field-error" id="([a-z_]+)-wrong">([^<]+)</p>', page)
    return {name: html.unescape(sentence) for name, sentence in found}


def test_no_error_is_beside_a_field_that_the_form_lacks(app) -> None:
    """Nobody would see it."""
    with app.test_request_context():
        found = [setup_error(AccordError(each, "", ""), SHOWN_FIRST) for each in (*sentences.ERRORS, "x.y")]
    assert all(sentence for _, sentence in found)
    assert {name for name, _ in found} == {"", *SHOWN_FIRST}


def test_what_was_heard_is_what_is_switched_on(paul, house, bakery, line) -> None:
    answer = send(paul, line)
    assert answer.status_code == 303
    assert answer.location == f"/numbers/{line.id}/preview"
    page = previewed(paul, line)
    before = recorded_lines()[line.id]
    assert before.announcement.keep_days == 30, "nothing is on yet"
    addresses = re.findall(r'<audio controls preload="none" src="([^"]+)"', page)
    assert len(addresses) == 3, "the choice of language, and an announcement in each"
    sounds = [paul.get(each) for each in addresses]
    assert {each.mimetype for each in sounds} == {"audio/wav"}
    with wave.open(io.BytesIO(sounds[1].data)) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (8000, 1)

    assert switch_on(paul, line).status_code == 303
    policy = recorded_lines()[line.id]
    languages = [policy.announcement, *(each.announcement for each in policy.others)]
    assert [each.language for each in languages] == ["fr", "en"]
    assert {each.keep_days for each in languages} == {60}
    with connected():
        stored = [bytes(SoundTable.get_by_id(each).wav) for each in policy.sounds]
    assert {each.data for each in sounds} <= set(stored), "byte for byte what callers hear"
    for each in languages:
        assert each.text in page
    (changed,) = leaves("line.changed")
    first, *others = (each.id for each in languages)
    assert (changed["line"], changed["actor"]) == (line.id, bakery.people["paul"].id)
    assert (changed["announcement"], changed["others"]) == (first, others)
    assert (changed["announcement_was"], changed["others_was"]) == (line.announcement, [])
    with connected():
        assert not LineDraftTable.select().exists()


def test_a_change_makes_a_version_and_the_page_lists_the_old_one(paul, house, bakery, line, clock) -> None:
    first = queries.announcement(bakery.id, line.announcement)
    clock.forward(hours=1)
    send(paul, line, languages=["fr"])
    switch_on(paul, line)
    clock.forward(hours=1)
    send(paul, line, languages=["fr"], keep_days="90")
    switch_on(paul, line)
    rows = {row.id: row for row in queries.announcements(bakery.id)}
    now = rows[queries.lines(bakery.id)[0].announcement]
    assert (now.name, now.version, now.keep_days) == ("3225550100-fr", 2, 90)
    page = html.unescape(paul.get(f"/numbers/{line.id}/history").text)
    assert page.count("Changed by Paul Martin") + page.count("par Paul Martin") == 2
    assert first.text in page
    assert page.count("<audio") == 3
    for address in re.findall(r'<audio controls preload="none" src="([^"]+)"', page):
        assert paul.get(address).status_code == 200
    versions = [each.announcements for each in setup.versions(bakery.id)[line.id]]
    assert versions[0] == (now.id,)
    assert versions[-1] == (first.id,)


def test_switches_off_and_on_again(paul, bakery, line, clock) -> None:
    assert paul.send(f"/numbers/{line.id}/off").status_code == 303
    assert recorded_lines() == {}
    assert queries.lines(bakery.id)[0].until is None, "the number stays theirs"
    page = paul.get("/numbers").text
    assert "Enregistrement désactivé" in page
    by_paul = {"line": line.id, "actor": bakery.people["paul"].id}
    off = {**by_paul, "mode": "off", "mode_was": "notice"}
    assert leaves("line.changed") == [off]
    clock.forward(minutes=1)
    assert switch_on(paul, line).status_code == 303
    policy = recorded_lines()[line.id]
    assert policy.announcement.id == line.announcement, "what it said before"
    assert leaves("line.changed") == [off, {**by_paul, "mode": "notice", "mode_was": "off"}]


def test_a_row_alone_switches_nothing_on(paul, bakery, line) -> None:
    paul.send(f"/numbers/{line.id}/off")
    with writing():
        LineTable.update(mode="notice").where(LineTable.id == line.id).execute()
    found = line_policies.policies()
    assert found.lines == []
    assert [each.id for each in found.unlogged] == [line.id]


def test_a_draft_that_changed_after_it_was_heard_is_heard_again(paul, bakery, line) -> None:
    send(paul, line)
    digest_seen = digest(previewed(paul, line))
    with writing():
        row = LineDraftTable.get()
        LineDraftTable.update(settings={**row.settings, "keep_days": 3650}).execute()
    refused = paul.send(f"/numbers/{line.id}/on", digest=digest_seen)
    assert refused.status_code == 409
    assert "écouter" in refused.text
    assert recorded_lines()[line.id].announcement.keep_days == 30
    assert leaves("line.changed") == []


def test_a_draft_row_never_announces_what_the_country_forbids(paul, bakery, line) -> None:
    send(paul, line)
    with writing():
        row = LineDraftTable.get()
        LineDraftTable.update(settings={**row.settings, "purposes": ["training"]}).execute()
    page = paul.get(f"/numbers/{line.id}/preview")
    assert page.status_code == 422
    assert "mode-wrong" not in page.text
    assert paul.send(f"/numbers/{line.id}/on", digest="0" * 64).status_code == 422


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"purposes": []}, "purposes", "au moins un usage"),
        ({"purposes": ["training"], "keep_days": "30"}, "mode", "Belgique"),
        ({"purposes": ["quality"], "keep_days": "31"}, "keep_days", "30 jours"),
        ({"keep_days": "0"}, "keep_days", "3653"),
        ({"keep_days": "many"}, "keep_days", "3653"),
        ({"keep_days": "99999999999"}, "keep_days", "3653"),
        ({"mode": "silent"}, "mode", "Choisissez"),
        ({"languages": [], "first": ""}, "languages", "au moins une langue"),
    ],
)
def test_laxer_settings_are_refused_beside_the_field(paul, bakery, line, changes, field, text) -> None:
    answer = send(paul, line, **changes)
    assert answer.status_code == 422
    assert text in errors(answer.text)[field]
    fields = {**CHOICES, **changes}
    assert f'value="{fields["keep_days"][:6]}' in answer.text, "what was entered is kept"
    assert recorded_lines()[line.id].announcement.keep_days == 30


def test_stricter_than_the_country_is_fine(paul, bakery, line) -> None:
    assert send(paul, line, mode="opt-in", keep_days="7").status_code == 303
    page = previewed(paul, line)
    assert page.index("Question · Français") < page.index("Après un oui · Français")
    assert switch_on(paul, line).status_code == 303
    assert recorded_lines()[line.id].mode == "opt-in"


# --- the greeting


def recording(seconds: float = 3.0, *, rate: int = 8000, channels: int = 1, level: float = 0.2) -> bytes:
    """Noise like speech, as a WAV."""
    noise = np.random.default_rng(1).normal(0, level, int(seconds * rate) * channels)
    samples = (np.clip(noise, -1, 1) * 32767).astype("<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return out.getvalue()


def test_greeting_is_heard_first(paul, bakery, line) -> None:
    greeting = "Bonjour, boulangerie Martin."
    wav = announcement_in("fr").path.read_bytes()
    assert send(paul, line, (wav, "hello.wav"), greeting_text=greeting, languages=["fr"]).status_code == 303
    assert greeting in previewed(paul, line)
    assert switch_on(paul, line).status_code == 303
    row = queries.announcement(bakery.id, recorded_lines()[line.id].announcement.id)
    assert row.text.startswith(greeting)
    assert row.composition.greeting.text == greeting
    page = paul.get(f"/numbers/{line.id}/setup").text
    assert greeting in html.unescape(page)
    assert send(paul, line, languages=["fr"], no_greeting="yes").status_code == 303
    assert greeting not in previewed(paul, line)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"ID3\x03no sound", "endommagé"),
        (b"", "endommagé"),
        (recording()[:30], "endommagé"),
        (recording(61.0), "60 secondes"),
        (recording(0.3), "60 secondes"),
        (recording(level=0.0), "presque muet"),
        (b"RIFF" + b"\0" * LARGEST, "trop"),
    ],
    ids=["mp3", "empty", "broken", "long", "short", "silent", "large"],
)
def test_an_unusable_greeting_is_refused_beside_the_field(paul, bakery, line, content, text) -> None:
    answer = send(paul, line, (content, "hello.wav"), greeting_text="Bonjour.", keep_days="45")
    assert answer.status_code == 422
    assert list(errors(answer.text)) == ["greeting"]
    assert text in errors(answer.text)["greeting"]
    assert 'value="45"' in answer.text
    assert "Bonjour." in answer.text


@pytest.mark.parametrize(
    "name",
    ["computer.wav", "telephone.m4a", "a.mp3", "a.ogg", "a.flac"],
    ids=lambda name: name.rpartition(".")[2],
)
def test_whatever_a_telephone_or_computer_records_is_a_greeting(paul, bakery, line, tmp_path, name) -> None:
    codecs = {"m4a": "aac", "mp3": "mp3", "ogg": "libopus", "flac": "flac"}
    if name.endswith(".wav"):
        content = recording(rate=44_100, channels=2)
    else:
        noise = np.random.default_rng(1).normal(0, 6000, 3 * 48_000)
        content = encode(tmp_path / name, codecs[name.rpartition(".")[2]], noise, 48_000).read_bytes()
    assert send(paul, line, (content, name), greeting_text="Bonjour.", languages=["fr"]).status_code == 303
    assert switch_on(paul, line).status_code == 303
    row = queries.announcement(bakery.id, recorded_lines()[line.id].announcement.id)
    sound = check_sound(read_sound(row.composition.greeting.sha256), name)
    assert sound.sample_rate == 16_000
    assert 2_900 <= sound.duration_ms <= 3_200


def test_a_full_disk_refuses_the_greeting_and_not_the_page(paul, line, monkeypatch) -> None:
    def fill(*_: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(greeting_sound.decoder_process, "decode", fill)
    answer = send(paul, line, (recording(rate=44_100), "hello.wav"), greeting_text="Bonjour.")
    assert answer.status_code == 422
    assert errors(answer.text) or 'role="alert"' in answer.text
    assert "Bonjour." in answer.text


def test_a_usable_greeting_survives_another_mistake(paul, bakery, line) -> None:
    wav = announcement_in("fr").path.read_bytes()
    answer = send(paul, line, (wav, "hello.wav"), greeting_text="Bonjour.", keep_days="0")
    assert list(errors(answer.text)) == ["keep_days"]
    assert send(paul, line, greeting_text="Bonjour.").status_code == 303
    assert "Bonjour." in previewed(paul, line)


def test_a_greeting_needs_its_words(paul, bakery, line) -> None:
    wav = announcement_in("fr").path.read_bytes()
    answer = send(paul, line, (wav, "hello.wav"))
    assert list(errors(answer.text)) == ["greeting_text"]


def test_words_need_their_greeting(paul, bakery, line) -> None:
    answer = send(paul, line, greeting_text="Bonjour.")
    assert list(errors(answer.text)) == ["greeting"]
    assert "Bonjour." in answer.text


# --- who may


@pytest.mark.parametrize("login", ["claire", "audit"])
def test_only_admins_are_offered_to_set_up(browser, bakery, line, login) -> None:
    page = browser(login).get("/numbers").text
    assert line.number[-2:] in page
    assert f"/numbers/{line.id}/setup" not in page


# --- how fast


def test_next_call_follows_one_turn_of_worker_and_daemon(paul, house, line) -> None:
    """Each of the two looks once a second."""
    assert TICK + CHECK_INTERVAL <= 2
    duty = SnapshotDuty(house.services, (), Sources())
    cache = ConfigCache(house.spool, house.services.snapshot, 0.99, house.clock)
    (house.folder / "spool").mkdir(exist_ok=True)

    def turn() -> str | None:
        assert duty.refresh()
        cache._check()
        return cache.decide(line.number)[1]

    assert turn() is None
    paul.send(f"/numbers/{line.id}/off")
    assert turn() == "no_line"
    switch_on(paul, line)
    assert turn() is None


# --- a sound that the catalogue has lost


def test_number_without_its_sound_says_so(paul, bakery, line) -> None:
    lose_sound(queries.announcement(bakery.id, line.announcement).sound)
    page = paul.get(f"/numbers/{line.id}/preview")
    assert page.status_code == 422
    assert "n’a plus de son" in page.text
    assert paul.get(f"/numbers/{line.id}/preview/0.wav").status_code == 404
    assert paul.get(f"/numbers/announcements/{line.announcement}/announcement.wav").status_code == 404
    assert paul.get(f"/numbers/{line.id}/setup").status_code == 200


def test_draft_without_its_greetings_sound_asks_for_it_again(paul, bakery, line) -> None:
    answer = send(paul, line, (recording(), "hello.wav"), languages=["fr"], greeting_text="Bonjour.")
    assert answer.status_code == 303, errors(answer.text)
    switch_on(paul, line)
    (row,) = queries.lines(bakery.id)
    lose_sound(queries.announcement(bakery.id, row.announcement).composition.greeting.sha256)
    assert paul.get(f"/numbers/{line.id}/setup").status_code == 200
    assert list(errors(send(paul, line, languages=["fr"], greeting_text="Bonjour.").text)) == ["greeting"]


def test_snapshot_follows_a_sound_that_is_back_within_a_minute(house, bakery, line, clock) -> None:
    sha256 = queries.announcement(bakery.id, line.announcement).sound
    wav, seconds = lose_sound(sha256), [1000.0]
    duty = SnapshotDuty(house.services, (), Sources(), lambda: seconds[0])
    (house.folder / "spool").mkdir(exist_ok=True)

    def refreshed() -> bool:
        seconds[0] += SNAPSHOT_WHOLE
        assert duty.refresh()
        return read_snapshot(house.services.snapshot).line(line.number) is not None

    assert not refreshed()
    restore_sound(sha256, wav, clock())
    assert refreshed()
