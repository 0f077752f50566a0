"""Repeated requests add a bounded number of leaves, and ordinary listeners are never limited."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta

import pytest

from recorder.audit.service import Audit
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.ids import uuid7
from recorder.playback import grants
from tests.unit.web.player import leaves, open_player, plain_sound
from tests.unit.web.player import sounds as sounds_of

pytestmark = pytest.mark.long

TIMES = 300


@pytest.fixture
def recording(house, bakery) -> str:
    return house.call(bakery)


@pytest.fixture
def count_leaves(bakery):
    """The number of leaves of each kind added since the last call."""
    before: Counter[str] = Counter()

    def since() -> Counter[str]:
        with connected():
            now = Counter(row.kind for row in LeafTable.select(LeafTable.kind))
        added, before_ = now - before, Counter(before)
        assert not before_ - now
        before.clear()
        before.update(now)
        return added

    since()
    return since


def token(number: int) -> str:
    return f"{number:022}"


def test_renewals_do_not_add_a_leaf_each(browser, recording, clock, count_leaves) -> None:
    person = browser("claire")
    renew = f"{person.grant_for(recording)}/renew"
    csrf = person.token()
    count_leaves()
    answers = []
    for _ in range(TIMES):
        clock.forward(milliseconds=20)
        answers.append(person.send(renew, token=csrf))
    assert count_leaves() == {}
    codes = Counter(answer.status_code for answer in answers)
    assert codes == {200: grants.RENEWALS_AN_HOUR, 429: TIMES - grants.RENEWALS_AN_HOUR}
    assert 3000 < int(answers[-1].headers["Retry-After"]) <= 3600
    renewal = person.client.post(
        renew, data={"csrf_token": csrf}, headers={"Accept": "application/json"},
        environ_base={"REMOTE_ADDR": person.address},
    )  # fmt: skip
    assert renewal.json["error"] == "limit.reached"
    assert renewal.json["message"].startswith("Attendez")


def test_plays_under_one_grant_are_one_listen(browser, recording, clock, count_leaves) -> None:
    person = browser("claire")
    path = open_player(person, recording)["audio.opus"].partition("?")[0]
    count_leaves()
    for number in range(TIMES):
        clock.forward(milliseconds=20)
        answer = person.get(f"{path}?play={token(number)}", headers={"Range": f"bytes={number}-{number}"})
        assert (answer.status_code, len(answer.data)) == (206, 1)
    assert count_leaves() == {"listen.opened": 1}
    with connected():
        (listen,) = ListenTable.select()
    assert listen.sent_bytes == TIMES


@pytest.mark.long
def test_closed_plays_under_one_grant_are_limited(
    browser, house, bakery, recording, clock, count_leaves
) -> None:
    person = browser("claire")
    path = open_player(person, recording)["audio.opus"].partition("?")[0]
    grant = path.rpartition("/")[0]
    csrf = person.token()
    count_leaves()
    bytes_sent, refused = 0, []
    for number in range(TIMES):
        clock.forward(milliseconds=20)
        answer = person.get(f"{path}?play={token(number)}", headers={"Range": "bytes=-1"})
        if answer.status_code == 429:
            refused.append(answer)
            assert answer.data[:4] != b"OggS"
        else:
            bytes_sent += len(answer.data)
        person.send(f"{grant}/close", token=csrf, play=token(number))
    assert count_leaves() == {
        "listen.opened": grants.LISTENS_A_GRANT,
        "listen.closed": grants.LISTENS_A_GRANT,
    }
    assert len(refused) == TIMES - grants.LISTENS_A_GRANT
    assert 3000 < int(refused[-1].headers["Retry-After"]) <= 3600
    assert sum(each["sent_bytes"] for each in leaves("listen.closed")) == bytes_sent
    clock.forward(hours=1)
    assert person.get(open_player(person, recording)["audio.opus"]).status_code == 200, "an hour later"
    assert list(Audit(house.store, house.root_public, house.clock(), house.keyring).tenant(bakery.id)) == []


def test_leaves_per_listener_and_hour_are_bounded(
    browser, recording, clock, count_leaves, monkeypatch
) -> None:
    """New grants and new plays, each closed at once, as fast as possible."""
    for name in ("GRANTS_AN_HOUR", "LISTENS_AN_HOUR"):
        monkeypatch.setattr(grants, name, 15)
    person = browser("claire")
    csrf = person.token()
    count_leaves()
    limited: Counter[str] = Counter()
    for number in range(40):
        clock.forward(seconds=2)
        answer = person.send(f"/recordings/{recording}", token=csrf, purpose="agreement")
        if answer.status_code == 429:
            limited["grant"] += 1
            continue
        with connected():
            newest = GrantTable.select().order_by(GrantTable.granted_at.desc()).first()
        grant = f"/listen/{newest.id}"
        sound = person.get(f"{grant}/audio.opus?play={token(number)}", headers={"Range": "bytes=0-0"})
        limited["listen"] += sound.status_code == 429
        person.send(f"{grant}/close", token=csrf, play=token(number))
    added = count_leaves()
    assert added == {"grant.given": 15, "listen.opened": 15, "listen.closed": 15}
    assert limited["grant"] == 25
    clock.forward(hours=1)
    assert person.send(f"/recordings/{recording}", token=csrf, purpose="agreement").status_code == 303


def test_ordinary_listener_is_never_limited(browser, house, bakery, recording, clock, count_leaves) -> None:
    """Two hours of listening in two tabs, with seeks and reloads, renewed as by the player."""
    person = browser("claire")
    sounds = [open_player(person, recording)["audio.opus"] for _ in range(2)]
    csrf, length = person.token(), len(plain_sound(house, recording))
    count_leaves()
    for minute in range(0, 120, 5):
        clock.forward(minutes=5)
        for tab, sound in enumerate(sounds):
            grant = sound.rpartition("/")[0]
            for start in (0, length // 3, length - 500):
                answer = person.get(sound, headers={"Range": f"bytes={start}-"})
                assert answer.status_code == 206, (minute, tab)
            if minute % 10 == 0:
                assert person.send(f"{grant}/renew", token=csrf).status_code == 200
            if minute % 15 == 5:  # a reload: the page closes and returns with another play id
                play = sound.partition("play=")[2]
                assert person.send(f"{grant}/close", token=csrf, play=play).status_code == 204
                page = person.get(grant, follow_redirects=True)
                assert page.status_code == 200
                grant = sounds_of(page)["audio.opus"].rpartition("/")[0]
                play = re.search(r'audio\.opus\?play=([A-Za-z0-9_-]{22})"', page.text)
                assert play is not None
                sounds[tab] = f"{grant}/audio.opus?play={play[1]}"
    # The first reload leads both tabs to the newest grant.
    assert count_leaves() == {"listen.opened": 1 + 16, "listen.closed": 16, "grant.renewed": 1}
    (leaf,) = leaves("grant.renewed")
    assert leaf["renewals"] == 12, "how often, in an hour and a little more"
    assert list(Audit(house.store, house.root_public, house.clock(), house.keyring).tenant(bakery.id)) == []


@pytest.mark.long
def test_leaves_of_long_grants_are_bounded(browser, recording, clock, count_leaves, monkeypatch) -> None:
    monkeypatch.setattr(grants, "OLD_GRANTS", 4)
    person = browser("claire")
    paths = [person.grant_for(recording) for _ in range(8)]
    csrf, answers = person.token(), Counter()
    for _ in range(7):
        clock.forward(minutes=12)
        answers.update(person.send(f"{path}/renew", token=csrf).status_code for path in paths)
    assert count_leaves()["grant.renewed"] <= 4
    assert answers[429] > 0


def test_two_players_of_one_grant_report_separately(browser, recording) -> None:
    """A tab opened twice: the listen belongs to the latest play, which ends it."""
    person = browser("claire")
    path = open_player(person, recording)["audio.opus"].partition("?")[0]
    grant = path.rpartition("/")[0]
    one, two = token(1), token(2)
    for play in (one, two):
        assert person.get(f"{path}?play={play}", headers={"Range": "bytes=0-99"}).status_code == 206
    assert person.send(f"{grant}/close", play=one, played="0-1000").status_code == 204
    assert leaves("listen.closed") == [], "the other one goes on"
    assert person.send(f"{grant}/close", play=two, played="1000-2000").status_code == 204
    (closed,) = leaves("listen.closed")
    assert (closed["sent_bytes"], closed["listen_report"]) == (200, [[0, 2000]])


def found(house, tenant: str) -> set[tuple[str, str]]:
    audit = Audit(house.store, house.root_public, house.clock(), house.keyring)
    return {(each.code, each.where.split()[1]) for each in audit.tenant(tenant)}


def test_listen_missing_from_the_log_covers_nothing(
    browser, house, bakery, recording, clock, entropy
) -> None:
    """An open listen is inserted into the catalogue so that no leaf would be written."""
    person = browser("claire")
    sound = open_player(person, recording)["audio.opus"]
    grant, play = sound.rpartition("/")[0].rpartition("/")[2], sound.partition("play=")[2]
    with writing():
        ListenTable.create(
            id=str(uuid7(clock(), entropy)), tenant=bakery.id, grant=grant, play=play, name="audio.opus",
            opened_at=clock(), sent_bytes=0, last_sent_at=clock(), leaf=0,
        )  # fmt: skip
    assert person.get(sound).status_code == 200
    (opened,) = leaves("listen.opened")
    with connected():
        assert ListenTable.get_by_id(opened["listen"]).sent_bytes > 0
    assert found(house, bakery.id) == {("row.unlogged", "listen")}


def test_grant_missing_from_the_log_opens_nothing(browser, house, bakery, recording, clock) -> None:
    person = browser("claire")
    sound = open_player(person, recording)["audio.opus"]
    grant = sound.rpartition("/")[0].rpartition("/")[2]
    with writing():
        row = GrantTable.select().where(GrantTable.id == grant).dicts().get()
        GrantTable.create(**row | {"id": "made-up"})
    assert person.get(sound.replace(grant, "made-up")).status_code == 404
    assert leaves("listen.opened") == []
    assert ("row.unlogged", "access_grant") in found(house, bakery.id)


def test_grant_lasts_no_longer_than_its_leaf(browser, recording, clock) -> None:
    person = browser("claire")
    sound = open_player(person, recording)["audio.opus"]
    for _ in range(8):
        clock.forward(minutes=10)
        with writing():
            GrantTable.update(until=clock() + timedelta(minutes=15)).execute()
        answer = person.get(sound, headers={"Range": "bytes=0-9"})
    assert answer.status_code == 404
    assert person.send(f"{sound.rpartition('/')[0]}/renew").status_code == 404
