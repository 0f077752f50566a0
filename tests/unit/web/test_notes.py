"""Notes and labels on the call page: who writes them, and where they go."""

from __future__ import annotations

import html
import json

import pytest

from recorder.audit.service import Audit
from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.note import NoteTable
from recorder.features.notes.service import NoteRow, notes_of
from recorder.identity import users
from recorder.lifecycle import expiry
from recorder.lifecycle.amendment_store import chain_of
from recorder.lifecycle.expired_recording import ExpiredRecording
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import EXPIRED


@pytest.fixture
def call(house, bakery) -> str:
    return house.call(bakery)


def page_of(recording: str) -> str:
    return f"/recordings/{recording}"


def notes_of_call(bakery, call) -> list[NoteRow]:
    return list(notes_of(bakery.id, call))


def leaves(kind: str) -> list[dict]:
    with connected():
        rows = LeafTable.select().where(LeafTable.kind == kind).order_by(LeafTable.number)
        return [json.loads(row.body) for row in rows if row.body]


def findings(house, bakery) -> list[str]:
    means = house.services
    audit = Audit(means.store, means.root, house.clock(), means.keyring)
    return [each.code for each in audit.tenant(bakery.id)]


def test_note_is_shown_at_its_moment_and_to_colleagues(house, browser, bakery, call):
    claire = browser("claire")
    answer = claire.send(f"{page_of(call)}/notes", text="Rappeler <lundi>\r\nau matin", place="0:07")
    assert answer.status_code == 303
    (note,) = notes_of_call(bakery, call)
    assert (note.text, note.at_ms, note.name) == ("Rappeler <lundi>\nau matin", 7000, "Claire Martin")
    page = browser("paul").get(page_of(call)).text
    assert page.count("Rappeler &lt;lundi&gt;") == 2, "in the list and in the timeline"
    assert 'data-jump="7000"' in page
    (leaf,) = leaves("note.added")
    assert leaf.keys() == {"note", "recording", "user", "kind", "text_sha256", "at_ms"}
    assert findings(house, bakery) == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"text": " \n "}, "Écrivez quelque chose."),
        ({"text": "x" * 2001}, "2 000 caractères"),
        ({"text": "a\x07b"}, "Écrivez quelque chose."),
        ({"text": "Sans moment", "place": "midi"}, "un moment de cet enregistrement"),
        ({"text": "Après la fin", "place": "59:59"}, "un moment de cet enregistrement"),
        ({"text": "x", "place": "1:2:3:4"}, "un moment de cet enregistrement"),
    ],
)
def test_bad_note_is_explained_and_kept_in_the_form(browser, bakery, call, fields, sentence):
    answer = browser("claire").send(f"{page_of(call)}/notes", **fields)
    assert answer.status_code == 400
    page = html.unescape(answer.text).replace("\u00a0", " ")
    assert sentence in page
    assert f">{fields['text']}</textarea>" in html.unescape(answer.text)
    assert 'aria-describedby="note-error"' in answer.text
    assert notes_of_call(bakery, call) == []


def test_only_the_author_changes_and_only_author_or_admin_deletes(house, browser, bakery, call):
    house.person(bakery, "luc", "Luc")
    claire, luc, paul = browser("claire"), browser("luc"), browser("paul")
    for text in ("Première", "Seconde"):
        claire.send(f"{page_of(call)}/notes", text=text)
    first, second = notes_of_call(bakery, call)
    changes = f'action="{page_of(call)}/notes/{first.id}"'
    assert [changes in each.get(page_of(call)).text for each in (claire, luc, paul)] == [True, False, False]
    address = f"{page_of(call)}/notes/{first.id}"
    for person in (luc, paul):
        assert person.send(address, text="Autre chose").status_code == 400
    assert luc.send(f"{address}/delete").status_code == 400
    assert claire.send(address, text="Corrigée").status_code == 303
    assert notes_of_call(bakery, call)[0].text == "Corrigée"
    assert paul.send(f"{address}/delete").status_code == 303
    assert claire.send(f"{page_of(call)}/notes/{second.id}/delete").status_code == 303
    assert notes_of_call(bakery, call) == []
    assert claire.send(address, text="Encore").status_code == 404, "it is gone"
    with connected():
        assert [row.text for row in NoteTable.select()] == ["", ""], "the text is gone, too"
    assert findings(house, bakery) == []


def test_labels_are_the_customers_own(browser, house, bakery, rival, call):
    claire, paul = browser("claire"), browser("paul")
    for label in ("Commande", "  À   rappeler "):
        assert claire.send(f"{page_of(call)}/labels", label=label).status_code == 303
    claire.send(f"{page_of(call)}/labels", label="Commande")
    assert [each.text for each in notes_of_call(bakery, call)] == ["Commande", "À rappeler"]
    second = house.call(bakery)
    assert '<option value="À rappeler">' in paul.get(page_of(second)).text
    theirs = house.call(rival)
    assert "À rappeler" not in browser("dyck").get(page_of(theirs)).text
    too_long = claire.send(f"{page_of(call)}/labels", label="x" * 41)
    assert (too_long.status_code, "1 à 40 caractères" in too_long.text) == (400, True)
    label = notes_of_call(bakery, call)[0]
    assert paul.send(f"{page_of(call)}/notes/{label.id}/delete").status_code == 303
    assert [each.text for each in notes_of_call(bakery, call)] == ["À rappeler"]


def test_auditors_read_notes_and_are_offered_no_form(browser, bakery, call):
    browser("claire").send(f"{page_of(call)}/notes", text="À nous")
    page = browser("audit").get(page_of(call)).text
    assert "À nous" in page
    assert "/notes" not in page, "no button that refuses"


def test_note_of_another_recording_is_not_found(browser, house, bakery, call):
    claire = browser("claire")
    claire.send(f"{page_of(call)}/notes", text="Ici")
    (note,) = notes_of_call(bakery, call)
    other = house.call(bakery)
    assert claire.send(f"{page_of(other)}/notes/{note.id}", text="Là").status_code == 404
    assert claire.send(f"{page_of(other)}/notes/{note.id}/delete").status_code == 404
    assert notes_of_call(bakery, call)[0].text == "Ici"


def test_notes_are_erased_with_the_recording(house, browser, bakery, call):
    claire = browser("claire")
    claire.send(f"{page_of(call)}/notes", text="Rappeler lundi")
    row = queries.recording(bakery.id, call)
    chain = chain_of(house.store, row.prefix, house.root_public)
    expiry.destroy(ExpiredRecording(row, chain, EXPIRED), house.services, house.clock())
    with connected():
        assert NoteTable.select().count() == 0
        assert leaves("note.added") == [], "the body of its leaf is gone, too"
    assert claire.send(f"{page_of(call)}/notes", text="Trop tard").status_code == 410
    assert findings(house, bakery) == []


def test_audit_reports_changed_and_forged_notes(house, browser, bakery, call):
    browser("claire").send(f"{page_of(call)}/notes", text="Comme écrit")
    with connected():
        NoteTable.update(text="Autrement").execute()
    assert findings(house, bakery) == ["row.changed"]
    with connected():
        NoteTable.update(text="Comme écrit").execute()
        row = NoteTable.select().get()
        NoteTable.create(**{**row.__data__, "id": "01930000-0000-7000-8000-00000000000f"})
    assert findings(house, bakery) == ["row.unlogged"]


def test_notes_per_recording_are_bounded(browser, bakery, call, monkeypatch):
    monkeypatch.setattr("recorder.features.notes.rules.MOST_NOTES", 2)
    claire = browser("claire")
    for text in ("un", "deux"):
        assert claire.send(f"{page_of(call)}/notes", text=text).status_code == 303
    full = claire.send(f"{page_of(call)}/notes", text="trois")
    assert (full.status_code, len(notes_of_call(bakery, call))) == (400, 2)


def test_labels_of_other_numbers_are_not_offered(house, browser, bakery, call, clock, entropy) -> None:
    assert browser("claire").send(f"{page_of(call)}/labels", label="dossier Peeters").status_code == 303
    claire = bakery.people["claire"]

    def lists_label() -> bool:
        return "dossier Peeters" in browser("claire").get("/recordings").text

    assert lists_label()
    for visible_lines, is_shown in (((), False), ((bakery.line.id,), True)):
        assert users.change_access(
            bakery.id, claire.id, role="customer", lines=visible_lines, now=clock(), entropy=entropy,
            signer=house.changes.signer, trust=house.trust, by=By("operator"),
        )  # fmt: skip
        assert lists_label() is is_shown
