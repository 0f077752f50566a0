"""Choosing a purpose and listening: what is served, to whom, and what is logged."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

import pytest

from recorder.audit.service import Audit
from recorder.catalogue import tenant_queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.catalogue.tables.identity import SessionTable
from recorder.domain import parties
from recorder.errors import SealError
from recorder.spool import layout
from recorder.store.contract import Unreachable
from tests.house import House, told_ms
from tests.lost_frames import lose_frames


@pytest.fixture
def recording(house, bakery) -> str:
    return house.call(bakery)


@pytest.fixture
def long_recording(house, bakery) -> str:
    """A recording of several blocks, so that a later one can be damaged."""
    return house.call(bakery, times=3)


def leaves(kind: str) -> list[dict]:
    with connected():
        rows = LeafTable.select().where(LeafTable.kind == kind).order_by(LeafTable.number)
        return [json.loads(row.body) for row in rows]


def sounds(page) -> dict[str, str]:
    """The addresses of audio on a player's page, by object."""
    found = re.findall(r'(?:src|data-peaks)="(/listen/[^"]+)"', page.text)
    return {urlsplit(address).path.rpartition("/")[2]: address.replace("&amp;", "&") for address in found}


def open_player(person, recording: str) -> dict[str, str]:
    return sounds(person.get(person.listen_to(recording)))


def plain_sound(house: House, recording: str, name: str = "audio.opus") -> bytes:
    """The expected audio, decrypted with the keys without the panel."""
    from recorder.catalogue import queries
    from recorder.seal import plaintext
    from recorder.seal.keyring import WrappedKey
    from recorder.seal.sealing import open_manifest

    with connected():
        tenant = next(row.id for row in tenant_queries.all_tenants() if queries.recording(row.id, recording))
    row = queries.recording(tenant, recording)
    manifest = open_manifest(house.store.read(f"{row.prefix}manifest.json"), house.root_public)
    tenant_key = WrappedKey.from_bytes(tenant_queries.tenant_wrapped_key(tenant).encode())
    key = house.keyring.open_data_key(tenant_key, WrappedKey.from_bytes(row.wrapped_key.encode()))
    reader = plaintext.reader(
        manifest, name, key, lambda start, end: house.store.read(row.prefix + name, start, end)
    )
    return b"".join(reader.read())


def test_purposes_page_offers_announced_purposes(browser, bakery, recording):
    page = browser("claire").get(f"/recordings/{recording}").text
    assert bakery.announcement.text.replace("'", "&#39;") in page
    assert "Mémoire de ce qui a été convenu" in page
    assert re.findall(r'name="purpose"[^>]*value="([^"]+)"', page) == ["agreement"]
    assert "25 décembre 2026" in page


def test_player_reports_duration_mismatch(house, bakery, browser):
    """Shortened by lost frames; a complete recording shows no mismatch."""
    folder, end = house.finished(bakery)
    lose_frames(folder / layout.AUDIO, 1900)
    house.work(folder, end)
    whole = house.call(bakery)
    person = browser("claire")
    page = person.get(person.listen_to(folder.name)).text
    assert "plus court que l’appel" in page
    assert "Rien ne manque" not in page
    assert "out-of-time" not in person.get(person.listen_to(whole)).text


def test_purpose_outside_the_role_is_disabled_and_refused(browser, recording):
    auditor = browser("audit")
    page = auditor.get(f"/recordings/{recording}").text
    assert "votre rôle ne le comprend pas" in page
    assert 'id="player"' not in page, "no button that refuses"
    assert 'class="timeline"' in page, "but what the call was like"
    refused = auditor.send(f"/recordings/{recording}", purpose="agreement")
    assert refused.status_code == 403
    assert "votre rôle ne le comprend pas" in refused.text
    assert leaves("access.refused")[-1]["reason"] == "access.purpose_not_for_role"


def test_unannounced_purpose_is_refused_and_logged(browser, recording):
    refused = browser("claire").send(f"/recordings/{recording}", purpose="training")
    assert refused.status_code == 403
    assert "n’a pas été annoncé pour cet usage" in refused.text
    assert f'href="/recordings/{recording}"' in refused.text
    assert leaves("access.refused")[-1]["purpose"] == "training"
    assert leaves("grant.given") == []


def test_missing_purpose_gives_no_grant(browser, recording):
    answer = browser("claire").send(f"/recordings/{recording}")
    assert answer.status_code == 400
    assert 'aria-describedby="purpose-missing"' in answer.text, "beside the field"
    assert leaves("grant.given") == []


def test_opening_the_page_gives_nothing(browser, recording):
    person = browser("claire")
    page = person.get(f"/recordings/{recording}")
    assert sounds(page) == {}
    assert "Pour : Mémoire de ce qui a été convenu" in page.text
    assert leaves("grant.given") == leaves("listen.opened") == []


def test_only_purpose_is_preselected_and_logged_as_such(browser, recording):
    person = browser("claire")
    page = person.get(f"/recordings/{recording}").text
    assert re.search(r'value="agreement"[^>]* checked', page)
    person.listen_to(recording)
    assert leaves("grant.given")[-1]["preselected"] is True


def test_purpose_is_asked_once_and_remembered_for_a_quarter_of_an_hour(browser, house, clock):
    customer = house.customer("Notaire", "+3225550177", purposes=("agreement", "quality"))
    house.person(customer, "anne", "Anne", role="customer_admin")
    house.person(customer, "olga", "Olga", role="customer_admin")
    first, second = house.call(customer), house.call(customer)
    anne, chosen = browser("anne"), re.compile(r'value="([a-z]+)"[^>]* checked')
    assert chosen.findall(anne.get(f"/recordings/{first}").text) == []
    anne.listen_to(first, "quality")
    assert "preselected" not in leaves("grant.given")[-1]
    assert chosen.findall(anne.get(f"/recordings/{second}").text) == ["quality"]
    assert chosen.findall(browser("olga").get(f"/recordings/{second}").text) == [], "each person's own"
    anne.listen_to(second, "quality")
    assert leaves("grant.given")[-1]["preselected"] is True
    anne.listen_to(second, "agreement")
    assert "preselected" not in leaves("grant.given")[-1]
    clock.forward(minutes=16)
    assert chosen.findall(anne.get(f"/recordings/{second}").text) == []


def test_player_gets_its_grant_as_json(browser, house, recording):
    person = browser("claire")
    asked = {"Accept": "application/json"}
    token = person.token(f"/recordings/{recording}")
    form = {"csrf_token": token, "purpose": "agreement"}
    given = person.client.post(f"/recordings/{recording}", data=form, headers=asked).json
    assert (given["left"], given["purpose"]) == (900, "Mémoire de ce qui a été convenu")
    assert person.get(given["sounds"][0]["src"]).data == plain_sound(house, recording)
    refused = person.client.post(f"/recordings/{recording}", data=form | {"purpose": "x"}, headers=asked)
    assert (refused.status_code, refused.json["error"]) == (403, "access.purpose_not_announced")
    missing = person.client.post(f"/recordings/{recording}", data={"csrf_token": token}, headers=asked)
    assert missing.status_code == 400
    person.send("/logout")
    late = person.client.post(f"/recordings/{recording}", data=form, headers=asked)
    assert late.status_code in (400, 401)


def test_forged_grant_is_not_offered(browser, recording):
    """A row alone gives nothing: it is neither shown nor played."""
    person = browser("claire")
    grant = person.grant_for(recording).rpartition("/")[2]
    with connected():
        row = GrantTable.get_by_id(grant)
        GrantTable.update(ended_at=row.granted_at).execute()
        forged = {name: getattr(row, name) for name in ("user", "session", "recording", "purpose", "tenant")}
        GrantTable.create(
            id="01930000-0000-7000-8000-00000000000f",
            manifest_sha256=row.manifest_sha256,
            granted_at=row.granted_at,
            until=row.until,
            leaf=row.leaf,
            renewals=0,
            **forged,
        )
    assert sounds(person.get(f"/recordings/{recording}")) == {}


def test_calls_without_a_recording_have_a_page(browser, house, bakery, rival):
    call = house.not_recorded(bakery, "never_connected")
    page = browser("claire").get(f"/recordings/{call}")
    assert (page.status_code, "Personne n’a répondu" in page.text) == (200, True)
    assert browser("dyck").get(f"/recordings/{call}").status_code == 404


def test_unreachable_store_keeps_the_page(browser, house, recording, monkeypatch):
    def away(*_: object) -> bytes:
        raise Unreachable("store.unreachable", "the store is away", "")

    person = browser("claire")
    monkeypatch.setattr(house.store, "read", away)
    page = person.get(f"/recordings/{recording}")
    assert page.status_code == 503
    assert "32 470 12 34 56".replace(" ", "\u00a0") in page.text
    assert "Réessayer" in page.text


def test_history_shows_what_was_heard_and_refused(browser, house, bakery, recording):
    claire = browser("claire")
    path = claire.grant_for(recording)
    page = f"/recordings/{recording}"
    address = sounds(claire.get(page))["audio.opus"]
    claire.get(address)
    play = address.partition("play=")[2]
    claire.send(f"{path}/close", play=play, played="0-4000,6000-9000")
    claire.send(page, purpose="training")
    seen = browser("paul").get(page).text
    assert "Claire Martin" in seen
    assert "A écouté 7 secondes" in seen
    assert "n’a pas été annoncé pour cet usage" in seen
    assert "Claire Martin" in browser("audit").get(page).text
    house.person(bakery, "luc", "Luc")
    own = browser("luc").get(page).text
    assert "A écouté" not in own, "colleagues see their own part"
    assert "A écouté 7 secondes" in claire.get(page).text


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
    ("asked", "start", "end"),
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
def test_satisfiable_range_is_served(browser, house, recording, asked, start, end):
    person = browser("claire")
    address = open_player(person, recording)["audio.wav"]
    whole = plain_sound(house, recording, "audio.wav")
    answer = person.get(address, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.data == whole[start:end]
    first = start if start >= 0 else len(whole) + start
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(answer.data) - 1}/{len(whole)}"
    assert answer.content_length == len(answer.data)
    with connected():
        (listen,) = ListenTable.select()
    assert listen.sent_bytes == len(answer.data)


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0", "bytes=99999999-999999999"])
def test_unsatisfiable_range_is_refused(browser, house, recording, asked):
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    answer = person.get(address, headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(plain_sound(house, recording))}"
    assert answer.data == b""
    assert leaves("listen.opened") == [], "nothing left"


@pytest.mark.parametrize(
    "asked",
    ["bytes=5-1", "bytes=x", "lines=0-1", "bytes=0-1,4-5", "bytes=-", "bytes=", "bytes=--5", "bytes=1-2-3",
     "bytes=+1-2", "bytes=\u00b2-5", "bytes=0-" + "9" * 5000, "bytes 0-1", "0-1"],
)  # fmt: skip
def test_malformed_and_multiple_ranges_are_ignored(browser, house, recording, asked):
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    answer = person.get(address, headers={"Range": asked})
    assert (answer.status_code, len(answer.data)) == (200, len(plain_sound(house, recording)))


def test_if_range_needs_a_strong_match(browser, recording):
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    tag = person.head(address).headers["ETag"]
    for condition, status in (
        (tag, 206), ('"another"', 200), ("Wed, 25 Nov 2026 09:00:00 GMT", 200), (f"W/{tag}", 200), ("", 200),
        (tag.strip('"'), 200),
    ):  # fmt: skip
        asked = {"Range": "bytes=0-9", "If-Range": condition}
        assert person.get(address, headers=asked).status_code == status, condition


def test_browser_requests_are_one_listen_with_all_bytes(browser, house, recording):
    """Chromium requests all, disconnects, and requests the rest; Firefox requests from a seek position on;
    Safari starts with two bytes; some request the last bytes, to find the end of an Ogg stream."""
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    whole = plain_sound(house, recording)
    tag = person.head(address).headers["ETag"]
    asked = [
        ({"Range": "bytes=0-"}, 206, whole),
        ({"Range": "bytes=0-1"}, 206, whole[:2]),
        ({"Range": f"bytes={len(whole) - 700}-", "If-Range": tag}, 206, whole[-700:]),
        ({"Range": "bytes=-500"}, 206, whole[-500:]),
        ({"Range": f"bytes=9000-{len(whole) + 9}"}, 206, whole[9000:]),
        ({"Range": f"bytes={len(whole)}-"}, 416, b""),
        ({"Range": "bytes=0-4,9-12"}, 200, whole),
        ({}, 200, whole),
    ]
    for headers, status, content in asked:
        answer = person.get(address, headers=headers)
        assert (answer.status_code, answer.data) == (status, content), headers
    assert len(leaves("listen.opened")) == 1
    with connected():
        (listen,) = ListenTable.select()
    assert listen.sent_bytes == sum(len(content) for _, _, content in asked)


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
    windows = told_ms(bakery.announcement.language) * 8 // outline["window_frames"]
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


def change(house: House, recording: str, name: str, at: int) -> None:
    file = house.stored(recording, name)
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)


def test_damaged_first_block_is_refused_and_reported(browser, house, recording):
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    change(house, recording, "audio.opus", 1000)
    page = person.get(address)
    assert page.status_code == 409
    assert "a changé depuis qu’il a été scellé" in page.text
    said = person.get(address, headers={"Accept": "application/json", "Range": "bytes=0-"})
    assert said.status_code == 409
    assert said.json["error"] == "seal.block"
    assert "a changé depuis qu’il a été scellé" in said.json["message"]
    assert leaves("seal.broken")[0]["object"] == "audio.opus"


def test_damaged_later_block_aborts_the_connection(browser, house, long_recording):
    person = browser("claire")
    address = open_player(person, long_recording)["audio.wav"]
    whole = plain_sound(house, long_recording, "audio.wav")
    change(house, long_recording, "audio.wav", 3 * 65_536 + 10)
    answer = person.client.get(address, buffered=False)
    assert (answer.status_code, answer.content_length) == (200, len(whole))
    pieces: list[bytes] = []
    with pytest.raises(ConnectionResetError) as broken:
        pieces.extend(answer.iter_encoded())
    came = b"".join(pieces)
    assert isinstance(broken.value.__cause__, SealError)
    assert came
    assert came == whole[: len(came)]
    assert len(came) < 3 * 65_536
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


def test_grant_belongs_to_one_user(browser, house, bakery, recording):
    address = open_player(browser("claire"), recording)["audio.opus"]
    house.person(bakery, "luc", "Luc")
    assert browser("luc").get(address).status_code == 404


def test_logged_out_player_gets_a_message(browser, recording):
    address = open_player(browser("claire"), recording)["audio.opus"]
    said = browser().get(address, headers={"Accept": "application/json", "Accept-Language": "fr"})
    assert said.status_code == 401
    assert said.json["error"] == "access.revoked"
    assert said.json["message"].startswith("Votre session a pris fin")


def test_player_shows_the_remaining_seconds(browser, recording, clock):
    person = browser("claire")
    page = person.listen_to(recording)
    clock.forward(minutes=4, seconds=10)
    assert 'data-left="650"' in person.get(page).text


def test_renewal_extends_the_grant(browser, recording, clock):
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    renew = f"{address.rpartition('/')[0]}/renew"
    clock.forward(minutes=14)
    said = person.send(renew)
    assert said.json == {"left": 900, "until_words": "10:29"}
    clock.forward(minutes=14)
    assert person.get(address, headers={"Range": "bytes=0-9"}).status_code == 206
    clock.forward(minutes=2)
    assert person.get(address).status_code == 404
    late = person.send(renew)
    assert late.status_code == 404
    assert "temps d’écoute est écoulé" in late.text


def test_logout_ends_playback(browser, recording):
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    token = person.client.get_cookie("accord-session").value
    person.send("/logout")
    person.client.set_cookie("accord-session", token)
    assert person.get(address).status_code == 401
    with connected():
        assert all(row.ended_at for row in SessionTable.select())


def test_unannounced_recording_is_refused_with_a_reason(browser, house, bakery):
    silent = house.call(bakery, announced=False)
    person = browser("claire")
    page = person.get(f"/recordings/{silent}")
    assert page.status_code == 200
    assert "Cet enregistrement ne permet pas d’établir que chacun a été informé" in page.text
    assert 'name="purpose"' not in page.text
    refused = person.send(f"/recordings/{silent}", purpose="agreement")
    assert refused.status_code == 403
    assert leaves("grant.given") == []


def test_player_shows_gaps_and_expiry(browser, bakery, recording):
    person = browser("claire")
    page = person.get(person.listen_to(recording)).text
    assert "elle n’avait pas encore entendu toute l’annonce" in page
    assert "Personne n’avait encore répondu" in page
    assert "Conservé jusqu’au 25 décembre 2026." in page
    assert "a été scellé le 25 novembre 2026, 10:00" in page
    assert bakery.announcement.text.replace("'", "&#39;") in page


def test_caller_is_escaped(browser, house, bakery):
    rude = house.call(bakery, external_party=parties.Party("sip", '"><script>alert(1)</script>@example.org'))
    person = browser("claire")
    for page in (
        person.get("/recordings"),
        person.get(f"/recordings/{rude}"),
        person.get(person.listen_to(rude)),
    ):
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert" in page.text


def test_play_after_close_is_another_listen(browser, recording):
    """A page restored by the Back button has the same play id."""
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    path, _, play = address.partition("?play=")
    asked = {"Range": "bytes=0-9"}
    assert person.get(address, headers=asked).data
    assert person.send(f"{path.rpartition('/')[0]}/close", play=play).status_code == 204
    assert person.get(address, headers=asked).status_code == 206
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
