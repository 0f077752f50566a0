"""Who may download, listen to the calls of which line, and which purpose is chosen for them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.download_permission import DownloadPermissionTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.features.imports.service import Importer
from recorder.features.imports.table import ImportRow
from recorder.identity import download_permission, users
from recorder.lifecycle import plans
from recorder.playback import grants
from recorder.playback.authorization import LOOK_AGAIN
from recorder.playback.grants import DOWNLOADED
from recorder.playback.interface import PurposeChoice
from recorder.playback.purposes import preselect
from recorder.seal.amendment import By
from recorder.seal.download_permission import KIND, DownloadPermission
from tests.expected_errors import error_of
from tests.house import RATE, wav_of


def allow(house, who, allowed: bool = True) -> None:
    services = house.services
    download_permission.set_permission(
        who.tenant, who.user, allowed, By("operator"), signer=services.signer, trust=house.trust,
        now=house.clock(), entropy=house.entropy,
    )  # fmt: skip


def download(gate, who, recording, name: str = "audio.wav") -> bytes:
    opened = gate.download(who, recording.id, "agreement", name)
    return b"".join(opened.read(0, opened.length))


def downloads(recording) -> list[dict[str, str]]:
    """The bodies of the leaves about a recording's downloads."""
    with connected():
        mine = (LeafTable.recording_id == recording.id) & (LeafTable.kind == DOWNLOADED)
        return [json.loads(leaf.body) for leaf in LeafTable.select().where(mine).order_by(LeafTable.number)]


def test_a_permission_signed_past_the_log_allows_nothing(house, somebody) -> None:
    """Whoever has the panel's key and writes rows: the log names the statement, not only its number."""
    who = somebody("customer")
    allow(house, who)
    allow(house, who, False)
    granted = DownloadPermission(who.tenant, who.user, 2, True)
    forged = KIND.write(granted, house.changes.signer, house.clock()).decode()
    with writing():
        DownloadPermissionTable.update(statement=forged).execute()
    assert not download_permission.is_allowed(who.tenant, who.user, house.trust)
    allow(house, who)
    assert download_permission.is_allowed(who.tenant, who.user, house.trust)


def test_a_permission_is_logged_where_it_changes_and_is_one_users(house, somebody) -> None:
    who, other, admin = somebody("customer"), somebody("customer"), somebody("customer_admin")
    is_allowed = lambda person, tenant="": download_permission.is_allowed(  # noqa: E731
        tenant or person.tenant, person.user, house.trust
    )

    def change(person, allowed: bool, by: By) -> bool:
        return download_permission.set_permission(
            person.tenant, person.user, allowed, by, signer=house.services.signer, trust=house.trust,
            now=house.clock(), entropy=house.entropy,
        )  # fmt: skip

    assert not change(who, False, By("operator"))
    assert change(who, True, By("user", admin.user))
    assert not change(who, True, By("operator"))
    assert (is_allowed(who), is_allowed(other), is_allowed(who, "another")) == (True, False, False)
    assert change(other, True, By("operator"))
    assert change(who, False, By("operator"))
    assert (is_allowed(who), is_allowed(other)) == (False, True)
    leaves = download_permission.changes(who.tenant, who.user)
    facts = [tuple(leaf.body[name] for name in ("number", "downloads", "by", "actor")) for leaf in leaves]
    assert facts == [(1, True, "user", admin.user), (2, False, "operator", "")]


@pytest.mark.parametrize(
    ("role", "permitted", "reason"),
    [
        ("customer_admin", False, None),
        ("customer", True, None),
        ("customer", False, "access.download_role"),
        ("auditor", False, "access.download_role"),
        ("auditor", True, "access.download_role"),
    ],
)
def test_admins_download_and_colleagues_with_a_permission(
    gate, house, somebody, recording, role, permitted, reason
) -> None:
    who = somebody(role)
    if permitted:
        allow(house, who)
    assert gate.why_no_download(who) == reason
    if reason is None:
        assert download(gate, who, recording)[:4] == b"RIFF"
    else:
        assert error_of(lambda: download(gate, who, recording)) == reason


def test_permission_can_be_taken_away(gate, house, ada) -> None:
    allow(house, ada)
    allow(house, ada, False)
    assert gate.why_no_download(ada) == "access.download_role"


def test_plan_without_downloads_refuses_admins_too(gate, house, somebody, plan_file) -> None:
    paul = somebody("customer_admin")
    assert gate.why_no_download(paul) is None
    plans.change_plan(house.tenant, "basic", now=house.clock(), entropy=house.entropy)
    assert gate.why_no_download(paul) == "access.download_plan"


def test_format_that_was_not_stored_is_refused(gate, somebody, recording) -> None:
    paul = somebody("customer_admin")
    assert error_of(lambda: download(gate, paul, recording, "audio.opus")) == "access.no_sound"
    assert error_of(lambda: download(gate, paul, recording, "manifest.json")) == "access.no_sound"


@pytest.mark.parametrize("name", ["peaks", "manifest.json", "audio.webm"])
def test_only_a_sound_is_downloaded(gate, somebody, recorded, name) -> None:
    recording, paul = recorded(formats=("opus",), talk_ms=500), somebody("customer_admin")
    assert error_of(lambda: gate.download(paul, recording.id, "agreement", name)) == "access.no_sound"


def test_a_purpose_that_was_not_announced_or_has_ended_is_refused(gate, somebody, recording) -> None:
    paul = somebody("customer_admin")
    ask = lambda code: gate.download(paul, recording.id, code, "audio.wav")  # noqa: E731
    assert error_of(lambda: ask("quality")) == "access.purpose_not_announced"
    with writing():
        RecordingTable.update(restricted=["agreement"]).execute()
    assert error_of(lambda: ask("agreement")) == "access.purpose_restricted"
    assert downloads(recording) == []


def end_user(house, who) -> None:
    users.revoke_user(who.tenant, who.user, now=house.clock(), entropy=house.entropy)


def end_permission(house, who) -> None:
    allow(house, who, False)


def end_purpose(house, who) -> None:
    with writing():
        RecordingTable.update(restricted=["agreement"]).execute()


@pytest.mark.parametrize(
    ("end", "error_id"),
    [
        (end_user, "access.revoked"),
        (end_permission, "access.download_role"),
        (end_purpose, "access.purpose_restricted"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_download_ends_within_seconds_of_what_permitted_it(
    gate, house, ada, recorded, end, error_id
) -> None:
    recording = recorded(talk_ms=20_000)
    allow(house, ada)
    opened = gate.download(ada, recording.id, "agreement", "audio.wav")
    pieces = opened.read(0, opened.length)
    next(pieces)
    end(house, ada)
    house.clock.forward(seconds=LOOK_AGAIN.total_seconds() - 0.001)
    assert next(pieces)
    house.clock.forward(milliseconds=1)
    assert error_of(lambda: next(pieces)) == error_id


def test_download_is_logged_before_its_first_byte(gate, somebody, recording) -> None:
    paul = somebody("customer_admin")
    opened = gate.download(paul, recording.id, "agreement", "audio.wav")
    assert downloads(recording) == []
    pieces = opened.read(0, opened.length)
    next(pieces)
    expected = {"user": paul.user, "recording": recording.id, "purpose": "agreement", "name": "audio.wav"}
    assert downloads(recording) == [expected]
    assert list(pieces)
    assert downloads(recording) == [expected]
    assert sum(map(len, opened.read(0, 1000))) == 1000, "a part, as a browser asks for to continue"


def test_wav_is_made_where_only_opus_was_stored(gate, somebody, recorded) -> None:
    recording, paul = recorded(formats=("opus",)), somebody("customer_admin")
    wav = gate.download(paul, recording.id, "agreement", "audio.wav")
    content = b"".join(wav.read(0, wav.length))
    assert (content[:4], len(content), wav.media_type) == (b"RIFF", wav.length, "audio/wav")
    assert b"".join(wav.read(0, 1000)) == content, "no part of it is made alone"
    opus = gate.download(paul, recording.id, "agreement", "audio.opus")
    content = b"".join(opus.read(0, opus.length))
    assert (content[:4], len(content), opus.media_type) == (b"OggS", opus.length, "audio/ogg")
    assert [each["name"] for each in downloads(recording)] == ["audio.wav", "audio.wav", "audio.opus"]


def test_colleague_of_some_lines_hears_theirs_alone(gate, ada, recording) -> None:
    for lines, is_heard in (
        ((recording.line,), True),
        ((recording.line, "another"), True),
        (("another",), False),
    ):
        who = replace(ada, lines=lines)
        if is_heard:
            assert gate.grant(who, recording.id, "agreement")
        else:
            assert error_of(lambda who=who: gate.grant(who, recording.id, "agreement")) == "access.other_line"
    assert (
        error_of(lambda: gate.grant(replace(ada, lines=()), recording.id, "agreement")) == "access.other_line"
    )


def test_imported_call_without_a_stated_purpose_opens_to_nobody(gate, house, somebody, tmp_path) -> None:
    file = tmp_path / "old.wav"
    file.write_bytes(wav_of(np.full((RATE, 2), 900, np.int16)))
    owner, long_ago = queries.tenant(house.tenant), house.clock() - timedelta(days=90)
    outcome = Importer(owner, house.clock() + timedelta(days=60), house.services).bring(
        ImportRow(2, file, long_ago, "+32470999998", house.line.number, "inbound", "")
    )
    paul = somebody("customer_admin")
    assert gate.purposes(paul, outcome.recording) == ()
    assert error_of(lambda: gate.grant(paul, outcome.recording, "agreement")) == "access.imported"


@pytest.mark.parametrize(
    ("allowed", "recent", "choice"),
    [
        ("a", None, "a"),
        ("a", "b", "a"),
        ("ab", None, None),
        ("ab", "b", "b"),
        ("ab", "c", None),
        ("", "c", None),
    ],
)
def test_purpose_of_the_last_listen_is_chosen_where_it_is_allowed(allowed, recent, choice) -> None:
    choices = [PurposeChoice(code, code in allowed, None) for code in "abc"]
    assert preselect(choices, recent) == choice


def test_latest_grant_is_of_this_recording_or_of_any(gate, house, ada, recorded) -> None:
    first, second = recorded(), recorded()
    find = lambda *more: grants.latest_grant(ada.tenant, ada.user, ada.session, house.clock(), *more)  # noqa: E731
    assert find() is None
    ids = [gate.grant(ada, each.id, "agreement").id for each in (first, second)]
    assert [find(first.id).id, find(second.id).id] == ids
    assert find().recording in (first.id, second.id)
    assert grants.latest_grant(ada.tenant, ada.user, "another", house.clock()) is None
    house.clock.forward(seconds=2 * 3600)
    assert find(first.id) is None
