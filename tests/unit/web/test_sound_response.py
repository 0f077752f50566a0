"""The sound that a player gets: whole, in ranges, or damaged, and the listens in the log."""

from __future__ import annotations

import json
import re

import pytest

from recorder.audit.service import Audit
from recorder.catalogue.database import connected
from recorder.catalogue.tables.grant import ListenTable
from recorder.errors import SealError
from tests.house import announcement_ms

from .player import change, leaves, open_player, plain_sound, sounds


@pytest.fixture
def recording(house, bakery) -> str:
    return house.call(bakery)


@pytest.fixture
def long_recording(house, bakery) -> str:
    """A recording of several blocks, so that a later one can be damaged."""
    return house.call(bakery, times=3)


def test_whole_audio_is_served_as_sealed(browser, house, recording):
    person = browser("claire")
    found = open_player(person, recording)
    assert set(found) == {"audio.opus", "audio.wav", "peaks"}
    answer = person.get(found["audio.opus"])
    assert (answer.status_code, answer.content_type) == (200, "audio/ogg")
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.content_length == len(answer.data)
    assert answer.data == plain_sound(house, recording)
    assert answer.data[:4] == b"OggS"


@pytest.mark.parametrize(
    ("range_header", "start", "end"),
    [
        ("bytes=0-", 0, None),
        ("bytes=0-0", 0, 1),
        ("bytes=70000-70009", 70_000, 70_010),
        ("bytes=65480-65600", 65_480, 65_601),  # across two blocks
        ("bytes=-5", -5, None),
        ("bytes=100-99999999", 100, None),
        ("bytes=-99999999", 0, None),  # a suffix longer than the whole: RFC 9110, section 14.1.2
        ("BYTES=0-9", 0, 10),
        ("bytes=0-999999999999999999", 0, None),
        ("bytes= ,0-9 , ", 0, 10),  # a list may have empty elements: section 5.6.1.2
    ],
)
def test_satisfiable_range_is_served(browser, house, recording, range_header, start, end):
    person = browser("claire")
    address = open_player(person, recording)["audio.wav"]
    whole = plain_sound(house, recording, "audio.wav")
    answer = person.get(address, headers={"Range": range_header})
    assert answer.status_code == 206
    assert answer.data == whole[start:end]
    first = start if start >= 0 else len(whole) + start
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(answer.data) - 1}/{len(whole)}"
    assert answer.content_length == len(answer.data)
    with connected():
        (listen,) = ListenTable.select()
    assert listen.sent_bytes == len(answer.data)


@pytest.mark.parametrize("range_header", ["bytes=99999999-", "bytes=-0", "bytes=99999999-999999999"])
def test_unsatisfiable_range_is_refused(browser, house, recording, range_header):
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    answer = person.get(address, headers={"Range": range_header})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(plain_sound(house, recording))}"
    assert answer.data == b""
    assert leaves("listen.opened") == [], "nothing left"


@pytest.mark.parametrize(
    "range_header",
    ["bytes=5-1", "bytes=x", "lines=0-1", "bytes=0-1,4-5", "bytes=-", "bytes=", "bytes=--5", "bytes=1-2-3",
     "bytes=+1-2", "bytes=\u00b2-5", "bytes=0-" + "9" * 5000, "bytes 0-1", "0-1"],
)  # fmt: skip
def test_malformed_and_multiple_ranges_are_ignored(browser, house, recording, range_header):
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    answer = person.get(address, headers={"Range": range_header})
    assert (answer.status_code, len(answer.data)) == (200, len(plain_sound(house, recording)))


def test_if_range_needs_a_strong_match(browser, recording):
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    tag = person.head(address).headers["ETag"]
    for condition, status in (
        (tag, 206), ('"another"', 200), ("Wed, 25 Nov 2026 09:00:00 GMT", 200), (f"W/{tag}", 200), ("", 200),
        (tag.strip('"'), 200),
    ):  # fmt: skip
        headers = {"Range": "bytes=0-9", "If-Range": condition}
        assert person.get(address, headers=headers).status_code == status, condition


def test_browser_requests_are_one_listen_with_all_bytes(browser, house, recording):
    """Chromium requests all, disconnects, and requests the rest; Firefox requests from a seek position on;
    Safari starts with two bytes; some request the last bytes, to find the end of an Ogg stream."""
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    whole = plain_sound(house, recording)
    tag = person.head(address).headers["ETag"]
    requests = [
        ({"Range": "bytes=0-"}, 206, whole),
        ({"Range": "bytes=0-1"}, 206, whole[:2]),
        ({"Range": f"bytes={len(whole) - 700}-", "If-Range": tag}, 206, whole[-700:]),
        ({"Range": "bytes=-500"}, 206, whole[-500:]),
        ({"Range": f"bytes=9000-{len(whole) + 9}"}, 206, whole[9000:]),
        ({"Range": f"bytes={len(whole)}-"}, 416, b""),
        ({"Range": "bytes=0-4,9-12"}, 200, whole),
        ({}, 200, whole),
    ]
    for headers, status, content in requests:
        answer = person.get(address, headers=headers)
        assert (answer.status_code, answer.data) == (status, content), headers
    assert len(leaves("listen.opened")) == 1
    with connected():
        (listen,) = ListenTable.select()
    assert listen.sent_bytes == sum(len(content) for _, _, content in requests)


def test_head_returns_the_length_without_a_listen(browser, house, recording):
    person = browser("claire")
    answer = person.head(open_player(person, recording)["audio.opus"])
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.content_length == len(plain_sound(house, recording))
    assert leaves("listen.opened") == []


def test_play_is_one_listen_with_the_bytes_sent(browser, recording):
    person = browser("claire")
    found = open_player(person, recording)
    person.get(found["peaks"])
    assert leaves("listen.opened") == []
    for expected in ("bytes=0-99", "bytes=1000-1199"):
        assert person.get(found["audio.opus"], headers={"Range": expected}).data
    assert len(leaves("listen.opened")) == 1
    address, _, play = found["audio.opus"].partition("?play=")
    grant = address.rpartition("/")[0]
    assert person.send(f"{grant}/close", play=play).status_code == 204
    assert [leaf["sent_bytes"] for leaf in leaves("listen.closed")] == [300]
    open_player(person, recording)
    other = open_player(person, recording)["audio.opus"]
    person.get(other, headers={"Range": "bytes=0-9"})
    assert len(leaves("listen.opened")) == 2


def test_listen_is_logged_before_the_first_byte(browser, app, house, long_recording, monkeypatch):
    person = browser("claire")
    address = open_player(person, long_recording)["audio.wav"]
    read: list[int] = []
    fetch = house.store.read

    def counted(key: str, start: int = 0, end: int | None = None) -> bytes:
        data = fetch(key, start, end)
        read.append(len(data))
        return data

    monkeypatch.setattr(house.store, "read", counted)
    answer = person.client.get(address, buffered=False)
    assert len(leaves("listen.opened")) == 1
    pieces = iter(answer.iter_encoded())
    first = next(pieces)
    assert 0 < len(first) <= 65_536
    assert sum(read) <= 65_536, "more was fetched than the first piece needs"
    answer.close()
    with connected():
        (listen,) = ListenTable.select()
        assert listen.sent_bytes <= len(first)


def test_peaks_cover_both_channels(browser, bakery, recording):
    person = browser("claire")
    answer = person.get(open_player(person, recording)["peaks"])
    outline = json.loads(answer.data)
    assert max(map(abs, outline["right"])) > 10
    windows = announcement_ms(bakery.announcement.language) * 8 // outline["window_frames"]
    assert set(outline["left"][: 2 * windows]) == {0}, "what the caller said is silent there"


def test_player_needs_play_id_and_known_object(browser, recording):
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    path, _, play = address.partition("?play=")
    for wrong in (
        path,
        f"{path}?play=x",
        f"{path}?play={play}%0a",
        path.replace(".opus", ".mp3") + f"?play={play}",
    ):
        assert person.get(wrong).status_code == 404, wrong
    assert person.get(path.replace("audio.opus", "manifest.json") + f"?play={play}").status_code == 404
    assert leaves("listen.opened") == []


def test_damaged_first_block_is_refused_and_reported(browser, house, recording):
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    change(house, recording, "audio.opus", 1000)
    page = person.get(address)
    assert page.status_code == 409
    assert "a changé depuis qu’il a été scellé" in page.text
    answer = person.get(address, headers={"Accept": "application/json", "Range": "bytes=0-"})
    assert answer.status_code == 409
    assert answer.json["error"] == "seal.block"
    assert "a changé depuis qu’il a été scellé" in answer.json["message"]
    assert leaves("seal.broken")[0]["object"] == "audio.opus"


def test_damaged_later_block_aborts_the_connection(browser, house, long_recording):
    person = browser("claire")
    address = open_player(person, long_recording)["audio.wav"]
    whole = plain_sound(house, long_recording, "audio.wav")
    change(house, long_recording, "audio.wav", 3 * 65_536 + 10)
    answer = person.client.get(address, buffered=False)
    assert (answer.status_code, answer.content_length) == (200, len(whole))
    pieces: list[bytes] = []
    with pytest.raises(ConnectionResetError) as failure:
        pieces.extend(answer.iter_encoded())
    content = b"".join(pieces)
    assert isinstance(failure.value.__cause__, SealError)
    assert content
    assert content == whole[: len(content)]
    assert len(content) < 3 * 65_536
    assert leaves("seal.broken")[0]["object"] == "audio.wav"
    after = person.get(address, headers={"Range": f"bytes={4 * 65_536}-"})
    assert after.status_code == 206, "the other blocks are what they were"


def test_damaged_manifest_is_refused_before_a_purpose_is_chosen(browser, house, recording):
    change(house, recording, "manifest.json", 100)
    person = browser("claire")
    for answer in (
        person.get(f"/recordings/{recording}"),
        person.send(f"/recordings/{recording}", purpose="agreement"),
    ):
        assert answer.status_code == 409
        assert "a changé depuis qu’il a été scellé" in answer.text
    assert leaves("grant.given") == []
    assert len(leaves("seal.broken")) == 1, "once an hour for each who finds it"


def test_play_after_close_is_another_listen(browser, recording):
    """A page restored by the Back button has the same play id."""
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    path, _, play = address.partition("?play=")
    headers = {"Range": "bytes=0-9"}
    assert person.get(address, headers=headers).data
    assert person.send(f"{path.rpartition('/')[0]}/close", play=play).status_code == 204
    assert person.get(address, headers=headers).status_code == 206
    assert len(leaves("listen.opened")) == 2


def test_listen_report_is_in_the_leaf(browser, house, bakery, rival, recording):
    claire = browser("claire")
    path = claire.grant_for(recording)
    address = sounds(claire.get(f"/recordings/{recording}"))["audio.opus"]
    play = re.search(r"play=([A-Za-z0-9_-]{22})", address).group(1)
    tell = f"{path}/listen-report"
    assert claire.send(tell, play=play, played="0-1000").status_code == 204, "no listen yet: nothing"
    assert claire.get(address).status_code == 200
    for text in ("500-1500", "3000-4000", "3000-4000"):
        assert claire.send(tell, play=play, played=text).status_code == 204
    for wrong in ("", "a", "9-1", "999999-1000000", "0-1," * 2000):
        assert claire.send(tell, play=play, played=wrong).status_code == 400
    assert claire.send(tell, play="x", played="0-1").status_code == 404
    assert browser("dyck").send(tell, play=play, played="0-9").status_code == 404
    assert claire.send(f"{path}/close", play=play, played="1400-2000").status_code == 204
    (closed,) = leaves("listen.closed")
    assert closed["listen_report"] == [[500, 2000], [3000, 4000]]
    assert closed["sent_bytes"] > 0, "which is our own count"
    assert claire.send(tell, play=play, played="0-9").status_code == 204, "too late, and no error"
    assert leaves("listen.closed") == [closed]
    means = house.services
    found = Audit(means.store, means.root, house.clock(), means.keyring).tenant(bakery.id)
    assert [each.code for each in found] == []
    with connected():
        ListenTable.update(listen_report=[[0, 99]]).execute()
    found = Audit(means.store, means.root, house.clock(), means.keyring).tenant(bakery.id)
    assert [each.code for each in found] == ["row.changed"]
