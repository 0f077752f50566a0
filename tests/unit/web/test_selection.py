"""Several recordings at once: each with its own check, amendment and leaf, and one mail for all."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from datetime import timedelta

import pytest

from recorder.catalogue.database import connected
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.errors import SealError
from recorder.features.notes import service as notes
from recorder.lifecycle import amendments
from recorder.mail import delivery
from recorder.playback.interface import OpenSound
from tests.mailbox import text_of as text_of_mail
from tests.unit.web.account_mails import kinds
from tests.unit.web.page_text import english, text_of
from tests.unit.web.player import change, leaves, plain_sound
from web.call_list.archive import stream


@pytest.fixture
def recordings(house, bakery, clock) -> list[str]:
    """Three recordings, latest first."""
    return [house.call(bakery, at=clock() - timedelta(hours=n)) for n in range(3)]


def review(clock) -> str:
    return f"{clock() + timedelta(days=30):%Y-%m-%d}"


def boxes(page) -> list[str]:
    """The ids of the recordings that can be chosen, a plus before those that are."""
    found = re.findall(r'<input type="checkbox" name="recording" value="([^"]+)"[^>]*?( checked)?>', page)
    return [f"{'+' if checked else ''}{identity}" for identity, checked in found]


def labels(tenant: str, recording: str) -> list[str]:
    return [each.text for each in notes.notes_of(tenant, recording)]


def owners(tenant: str) -> dict[str, list[str]]:
    with connected():
        found: dict[str, list[str]] = {}
        for each in amendments.holds(tenant):
            found.setdefault(each.recording, []).append(each.owner)
        return found


def test_recordings_are_chosen_without_scripts(browser, house, bakery, recordings) -> None:
    house.not_recorded(bakery, "declined")
    person = english(browser("claire"))
    assert boxes(person.get("/recordings").text) == []
    page = person.get("/recordings?select=yes&show=recorded").text
    assert boxes(page) == recordings
    assert "select=all&amp;show=recorded" in page
    assert boxes(person.get("/recordings?select=all").text) == [f"+{each}" for each in recordings]
    assert boxes(english(browser("audit")).get("/recordings?select=yes").text) == []


def test_label_is_added_to_each_with_a_leaf(browser, bakery, recordings) -> None:
    person = english(browser("claire"))
    answer = person.send(
        "/recordings/selection",
        recording=recordings[:2],
        action="label",
        new_label=" Devis ",
        show="recorded",
    )
    assert answer.status_code == 303
    assert answer.location.endswith("/recordings?show=recorded")
    assert "2 recordings have the label “Devis”." in person.get(answer.location).text
    assert [labels(bakery.id, each) for each in recordings] == [["Devis"], ["Devis"], []]
    assert kinds(bakery.id).count(notes.ADDED) == 2


def test_nothing_chosen_and_no_label_are_said_beside_the_field(browser, bakery, recordings) -> None:
    person = english(browser("claire"))
    answer = person.send("/recordings/selection", action="label", new_label="Devis")
    assert (answer.status_code, "Choose at least one recording." in answer.text) == (422, True)
    answer = person.send("/recordings/selection", recording=recordings[1:], action="label", new_label=" ")
    assert (answer.status_code, "A label has 1 to 40 characters." in answer.text) == (422, True)
    assert boxes(answer.text) == [recordings[0], *(f"+{each}" for each in recordings[1:])]
    answer = person.send("/recordings/selection", recording=recordings, action="keep", review="soon")
    assert (answer.status_code, "Choose a review date within a year." in answer.text) == (422, True)
    assert kinds(bakery.id).count(notes.ADDED) == 0
    assert owners(bakery.id) == {}


def test_what_one_refuses_stops_no_other(browser, house, bakery, rival, recordings, clock) -> None:
    """Of another customer's recording nothing is learnt, not even whether it exists."""
    foreign, unannounced = house.call(rival), house.call(bakery, announced=False)
    claire = bakery.people["claire"].id
    answer = english(browser("claire")).send(
        "/recordings/selection",
        recording=[foreign, unannounced, recordings[0]],
        action="keep",
        review=review(clock),
    )
    assert answer.status_code == 200
    text = text_of(answer.text)
    assert "1 recording is kept for an open question. Not possible for 2 recordings:" in text
    assert "This recording does not exist." in text
    assert "None of its purposes can serve an open question." in text
    assert boxes(answer.text)[0] == f"+{unannounced}"
    assert owners(bakery.id) == {recordings[0]: [claire]}
    assert owners(rival.id) == {}


def test_colleague_chooses_neither_other_lines_nor_a_handler(
    browser, house, bakery, recordings, clock
) -> None:
    house.user(
        bakery.id, "luc", name="Luc Dubois", password_hash=bakery.people["claire"].password_hash,
        lines=[bakery.line.id],
    )  # fmt: skip
    with connected():
        other = RecordingTable.id == recordings[0]
        RecordingTable.update(line_id="another").where(other).execute()
    luc = english(browser("luc"))
    for action in ("label", "keep"):
        answer = luc.send(
            "/recordings/selection", recording=recordings[:2], action=action, new_label="Devis",
            review=review(clock),
        )  # fmt: skip
        assert "Not possible for 1 recording:" in text_of(answer.text)
        assert "+32 470" not in text_of(answer.text).split("Not possible")[1].split("Wednesday")[0]
    assert [labels(bakery.id, each) for each in recordings[:2]] == [[], ["Devis"]]
    assert {*owners(bakery.id)} == {recordings[1]}
    assert bakery.people["claire"].id not in owners(bakery.id)[recordings[1]]
    with connected():
        RecordingTable.update(line_id=bakery.line.id).where(other).execute()
    answer = luc.send(
        "/recordings/selection", recording=recordings, action="keep", review=review(clock),
        handler=bakery.people["claire"].id,
    )  # fmt: skip
    assert text_of(answer.text).count("the person who is handling it, can release it or hand it over.") == 2
    assert owners(bakery.id) == {recordings[1]: [bakery.people["claire"].id]}, "what he handled"
    assert english(browser("audit")).send("/recordings/selection", recording=recordings).status_code == 403


def test_colleague_is_handed_all_with_one_mail(mail_panel, house, bakery, recordings, clock, box) -> None:
    """What is kept already is handed over; a second time there is nothing to do."""
    person = house.user(
        bakery.id,
        "luc@bakery.example",
        name="Luc Dubois",
        language="en",
        password_hash=bakery.people["claire"].password_hash,
    )
    paul = english(mail_panel("paul"))
    form = {"action": "keep", "review": review(clock), "why": "Order 12"}
    assert paul.send("/recordings/selection", recording=recordings[:1], **form,
                     handler=bakery.people["claire"].id).status_code == 303  # fmt: skip
    answer = paul.send("/recordings/selection", recording=recordings, **form, handler=person.id)
    assert answer.status_code == 303
    assert owners(bakery.id) == {each: [person.id] for each in recordings}
    delivery.send_due(house.services, box.server)
    (mail,) = box.mails
    assert "Luc Dubois" in text_of_mail(mail)
    assert "Number of calls: 3" in text_of_mail(mail)
    assert "/recordings?handed=yes" in text_of_mail(mail)
    assert "+32" not in text_of_mail(mail)
    again = paul.send("/recordings/selection", recording=recordings, **form, handler=person.id)
    assert text_of(again.text).count("This person handles it already.") == 3
    delivery.send_due(house.services, box.server)
    assert len(box.mails) == 1


def test_who_handles_several_hands_them_over_with_one_mail(
    mail_panel, house, bakery, recordings, clock, box
) -> None:
    """By the signed amendment: a row that says that somebody handles a recording hands nothing over."""
    password_hash = bakery.people["claire"].password_hash
    luc = house.user(bakery.id, "luc@bakery.example", name="Luc", language="en", password_hash=password_hash)
    claire = english(mail_panel("claire"))
    assert 'name="handler"' not in claire.get("/recordings?select=yes").text, "nothing to hand over"
    form = {"action": "keep", "review": review(clock)}
    assert claire.send("/recordings/selection", recording=recordings[:2], **form).status_code == 303
    english(mail_panel("paul")).send("/recordings/selection", recording=recordings[2:], **form)
    page = claire.get("/recordings?select=yes").text
    assert f'<option value="{luc.id}">Luc</option>' in page
    assert "You can ask a colleague to handle what you are handling." in text_of(page)
    with connected():
        row = AmendmentTable.get(AmendmentTable.recording == recordings[2])
        owner = bakery.people["claire"].id
        AmendmentTable.update(data=row.data | {"owner": owner}).where(AmendmentTable.id == row.id).execute()
    answer = claire.send("/recordings/selection", recording=recordings, **form, handler=luc.id)
    text = text_of(answer.text)
    assert "2 recordings are kept for an open question. Not possible for 1 recording:" in text
    assert "Only an admin, or the person who is handling it, can release it or hand it over." in text
    found = owners(bakery.id)
    assert [found[each] for each in recordings[:2]] == [[luc.id], [luc.id]]
    delivery.send_due(house.services, box.server)
    (mail,) = box.mails
    assert "Number of calls: 2" in text_of_mail(mail)


def test_recordings_are_downloaded_as_one_file(browser, house, bakery, rival, recordings) -> None:
    """Each with its own leaf; what cannot be had is in the list, with the reason."""
    foreign = house.call(rival)
    answer = english(browser("paul")).send(
        "/recordings/selection", recording=[*recordings[:2], foreign], action="download", purpose="agreement"
    )
    assert answer.status_code == 200
    file = r'attachment; filename="recordings-[-0-9]+\.zip"'
    assert re.fullmatch(file, answer.headers["Content-Disposition"])
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        *names, table = archive.namelist()
        assert names == [f"recording-{each}.opus" for each in recordings[:2]]
        for recording, name in zip(recordings, names, strict=False):
            assert archive.read(name) == plain_sound(house, recording, "audio.opus")
        rows = list(csv.DictReader(io.StringIO(archive.read(table).decode("utf-8-sig"))))
    assert [each["Call"] for each in rows] == [*recordings[:2], foreign]
    assert rows[-1]["Why not included"] == "This recording does not exist."
    assert [each["recording"] for each in leaves("recording.downloaded")] == recordings[:2]


def test_nobody_downloads_several_who_may_not_download_one(browser, house, bakery, rival, recordings) -> None:
    claire = english(browser("claire"))
    assert 'value="download"' not in claire.get("/recordings?select=yes").text
    form = {"recording": recordings, "action": "download"}
    answer = claire.send("/recordings/selection", **form, purpose="agreement")
    assert "Not possible for 3 recordings:" in text_of(answer.text)
    paul = english(browser("paul"))
    assert paul.send("/recordings/selection", **form).status_code == 422
    assert "Not possible for 3" in text_of(
        paul.send("/recordings/selection", **form, purpose="training").text
    )
    assert leaves("recording.downloaded") == []


def test_broken_recording_is_left_out(browser, house, bakery, recordings) -> None:
    change(house, recordings[1], "audio.opus", 100)
    answer = english(browser("paul")).send(
        "/recordings/selection", recording=recordings, action="download", purpose="agreement"
    )
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.namelist()[:-1] == [f"recording-{recordings[n]}.opus" for n in (0, 2)]
    assert [each["recording"] for each in leaves("recording.downloaded")] == [recordings[0], recordings[2]]


def test_error_after_the_first_piece_aborts_the_file(app) -> None:
    """No part is taken for the whole."""

    def read(_start: int, _end: int) -> Iterator[bytes]:
        yield b"a" * 100
        raise SealError("seal.broken", "changed", "look at it")

    with app.test_request_context(), pytest.raises(ConnectionResetError):
        list(stream(["one"], lambda _recording: OpenSound("audio.opus", "audio/ogg", 200, read)))
