"""Listening together: two browsers in one room, and the pages that lead there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .conftest import Person
from .test_retention import check_page

AUDIO = "document.getElementById('room-audio')"
# Where the sound is, as it would have been at the machine's time 0: the same for pages that are in sync. The
# room's speed is 1; a page's own is a little more or less while it corrects.
PHASE = f"{AUDIO}.currentTime - Date.now() / 1000"


def come_in(person: Callable[..., Person], name: str = "") -> Person:
    """The other person of a difference, in a browser of their own."""
    somebody = person(width=360)
    ids = somebody.panel.ids
    somebody.go(ids[f"{name}guest-link"])
    somebody.page.fill("#code", ids[f"{name}guest-code"])
    somebody.page.get_by_role("button", name="Oui, écouter ensemble").click()
    expect(somebody.page.get_by_role("heading", name="Le prix de la farine")).to_be_visible()
    return somebody


@pytest.fixture
def guest(person) -> Person:
    return come_in(person)


@pytest.fixture
def mila(person) -> Person:
    return person().log_in("mila")


def room(somebody: Person, name: str = "") -> Person:
    somebody.go(f"/together/{somebody.panel.ids[name + 'difference']}/room")
    somebody.page.get_by_role("button", name="Entrer et écouter").click()
    somebody.until(f"{AUDIO}.readyState >= 3")
    return somebody


def plays(somebody: Person) -> None:
    somebody.until(f"!{AUDIO}.paused && {AUDIO}.currentTime > 0.5")


def rests(somebody: Person) -> float:
    somebody.until(f"{AUDIO}.paused && !{AUDIO}.seeking")
    return float(somebody.page.evaluate(f"{AUDIO}.currentTime"))


@pytest.mark.long
def test_two_hear_the_same_moment_and_hand_over(mila, guest, tmp_path: Path) -> None:
    for each in (mila, guest):
        room(each)
    expect(mila.page.locator("#room-members").get_by_text("Jan Peeters")).to_be_visible()
    mila.page.get_by_role("button", name="Lire pour tous").click()
    for each in (mila, guest):
        plays(each)
    mila.page.wait_for_timeout(4000)  # what they correct is measured, not awaited
    one, other = (float(each.page.evaluate(PHASE)) for each in (mila, guest))
    assert abs(one - other) < 0.15
    expect(guest.page.get_by_text("Mila Vert dirige l’écoute.")).to_be_visible()
    mila.page.get_by_role("button", name="Pause pour tous").click()
    places = [rests(each) for each in (mila, guest)]
    assert abs(places[0] - places[1]) <= 0.04  # each rests within 20 ms of the place
    mila.page.get_by_role("button", name="Laisser Jan Peeters diriger").click()
    expect(guest.page.get_by_text("Vous dirigez l’écoute.")).to_be_visible()
    guest.page.get_by_role("button", name="Avancer de 10 secondes").click()
    mila.until(f"{AUDIO}.currentTime > {places[0] + 8}")
    guest.page.get_by_role("button", name="Annonce 0:00").click()  # both hear it again
    for each in (mila, guest):
        each.until(f"!{AUDIO}.paused && {AUDIO}.currentTime < {places[0] + 6}")
    mila.page.get_by_role("button", name="Pause pour tous").click()  # anybody pauses
    for each in (mila, guest):
        rests(each)
    expect(guest.page.get_by_text("Vous dirigez l’écoute.")).to_be_visible()
    mila.page.get_by_role("button", name="Diriger l’écoute").click()
    expect(guest.page.get_by_text("Mila Vert dirige l’écoute.")).to_be_visible()
    for each, name in ((mila, "room-host"), (guest, "room-guest")):
        check_page(each, name, tmp_path)


@pytest.mark.long
def test_a_late_listener_comes_in_where_the_others_are(mila, person) -> None:
    guest = come_in(person, "late-")
    room(mila, "late-")
    mila.page.get_by_role("button", name="Lire pour tous").click()
    plays(mila)
    mila.page.wait_for_timeout(3000)
    room(guest, "late-")
    plays(guest)
    guest.page.wait_for_timeout(3000)
    one, other = (float(each.page.evaluate(PHASE)) for each in (mila, guest))
    assert abs(one - other) < 0.15
    mila.page.get_by_role("button", name="Pause pour tous").click()
    rests(guest)


@pytest.mark.long
def test_pages_of_a_difference_are_accessible(mila, person, guest, tmp_path: Path) -> None:
    ids = mila.panel.ids
    for path, name in (
        ("/together", "list"),
        (f"/recordings/{ids['alone']}/together", "open"),
        (f"/together/{ids['difference']}", "difference"),
        (f"/together/{ids['difference']}/invite", "invite"),
        (f"/together/{ids['difference']}/room", "door"),
    ):
        check_page(mila.go(path), name, tmp_path)
    check_page(guest.go("/together/welcome"), "welcome", tmp_path)
    check_page(person().go(ids["guest-link"]), "invitation", tmp_path)


def test_a_guest_is_invited_recognised_and_let_in_by_keyboard(mila, person, tmp_path: Path) -> None:
    page, ids = mila.page, mila.panel.ids
    mila.go(f"/recordings/{ids['alone']}/together")
    page.get_by_label("Que voyez-vous différemment ?").focus()
    page.keyboard.type("La date de livraison")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="La date de livraison")).to_be_visible()
    page.get_by_role("link", name="Inviter l’autre personne").press("Enter")
    page.get_by_label("Nom").focus()
    page.keyboard.type("Jan Peeters")
    page.get_by_role("button", name="Afficher un lien").press("Enter")
    link = page.locator("#link").input_value()
    code = page.locator(".together-code").inner_text()
    check_page(mila, "link", tmp_path)
    guest = person(width=360)
    guest.go("/together/" + link.rpartition("/together/")[2])
    guest.page.fill("#code", code)
    guest.page.get_by_role("button", name="Oui, écouter ensemble").press("Enter")
    guest.page.get_by_role("button", name="M’appeler avec un code").press("Enter")
    expect(guest.page.get_by_label("Code à six chiffres")).to_be_focused()
    check_page(guest, "called", tmp_path)
    code_file = guest.panel.folder / "code-+32470123456"
    deadline = 100
    while not code_file.exists() and deadline:
        guest.page.wait_for_timeout(100)
        deadline -= 1
    guest.page.keyboard.type(code_file.read_text())  # and the page goes on by itself
    expect(guest.page.get_by_role("button", name="Entrer et écouter")).to_be_visible()


@pytest.mark.long
def test_they_write_down_what_they_agree_on(mila, person, tmp_path: Path) -> None:
    guest = come_in(person, "agreed-")
    for each in (mila, guest):
        room(each, "agreed-")
    host, other = mila.page, guest.page
    host.get_by_text("Marquer un passage…").click()
    host.fill("#mark-begin", "0:01")
    host.fill("#mark-end", "0:09")
    host.fill("#mark-text", "Ici, nous avons parlé du prix.")
    host.get_by_role("button", name="Marquer", exact=True).click()
    expect(other.get_by_text("Ici, nous avons parlé du prix.").first).to_be_visible()
    other.get_by_role("button", name="Oui, je le formule ainsi").click()
    expect(host.get_by_text("Même formulation")).to_be_visible()  # colleagues vouch for the guest
    host.get_by_role("button", name="Écouter – Ici").click()
    for each in (mila, guest):
        plays(each)
    host.get_by_role("button", name="Pause pour tous").click()
    # What somebody is writing is not lost when the other side says something.
    other.fill("#outcome-text", "Douze euros, dès lundi.")
    host.get_by_role("button", name="Laisser ouvert").click()
    expect(other.get_by_text("L’autre personne a écrit quelque chose.")).to_be_visible()
    expect(other.locator("#outcome-text")).to_have_value("Douze euros, dès lundi.")
    other.get_by_label("Nous convenons d’autre chose").check()
    other.get_by_role("button", name="Le noter").click()
    expect(host.get_by_text("Douze euros, dès lundi.").first).to_be_visible()
    host.get_by_role("button", name="Je confirme ce texte").click()
    expect(other.get_by_text("Prenez la nuit")).to_be_visible()
    for each, name in ((mila, "agreed-host"), (guest, "agreed-guest")):
        check_page(each, name, tmp_path)
    path = f"/together/{mila.panel.ids['agreed-difference']}"
    check_page(mila.go(path), "agreed-difference", tmp_path)
    check_page(mila.go(f"{path}/help"), "help", tmp_path)
    check_page(guest.go("/together/welcome"), "agreed-welcome", tmp_path)
    _hears_of_the_other(mila.go(path), guest)
    _hears_of_the_other(guest.go("/together/welcome"), mila)


def _hears_of_the_other(one: Person, other: Person) -> None:
    """A page shows what the other side did, and keeps what somebody writes on it."""
    other.page.reload()
    _mark_passage(other, f"{other.page.title()} : le délai.")
    expect(one.page.get_by_text(f"{other.page.title()} : le délai.").first).to_be_visible(timeout=30_000)
    _write_passage(one, "Mon texte")
    other.page.reload()
    _mark_passage(other, f"{other.page.title()} : la quantité.")
    news = one.page.get_by_text("Il y a du nouveau sur cette page.")
    expect(news).to_be_visible(timeout=30_000)
    expect(one.page.locator("#mark-text")).to_have_value("Mon texte")
    one.page.get_by_role("link", name="Afficher", exact=True).click()
    expect(one.page.get_by_text(f"{other.page.title()} : la quantité.").first).to_be_visible()
    expect(news).to_be_hidden()


def _mark_passage(somebody: Person, text: str) -> None:
    _write_passage(somebody, text)
    somebody.page.get_by_role("button", name="Marquer", exact=True).click()
    expect(somebody.page.get_by_text(text).first).to_be_visible()


def _write_passage(somebody: Person, text: str) -> None:
    somebody.page.get_by_text("Marquer un passage…").click()
    for field, value in (("begin", "0:02"), ("end", "0:05"), ("text", text)):
        somebody.page.fill(f"#mark-{field}", value)


@pytest.mark.long
def test_a_deletion_waits_while_the_other_person_takes_part(mila, person, tmp_path: Path) -> None:
    guest, ids = come_in(person, "waits-"), mila.panel.ids
    call, dispute = f"/recordings/{ids['waiting']}", f"/together/{ids['waits-difference']}"
    check_page(guest, "waits-welcome", tmp_path)
    check_page(mila.go(dispute), "waits-difference", tmp_path)
    mila.go(call)
    mila.page.wait_for_load_state("load")  # its script opens and closes what is folded
    mila.page.locator("#held summary", has_text="Libérer").click()
    expect(mila.page.get_by_text("La personne invitée le voit.").first).to_be_visible()
    check_page(mila, "waits-release", tmp_path)
    mila.page.get_by_role("button", name="Libérer").click()
    expect(mila.page.get_by_role("heading", name="Mis de côté depuis le")).to_have_count(0)
    mila.page.wait_for_load_state("load")
    mila.page.locator("#delete").click()
    mila.page.fill("#delete-reason", "Nous n’en voulons plus")
    check_page(mila, "waits-delete", tmp_path)
    mila.page.get_by_role("button", name="Supprimer définitivement").click()
    expect(mila.page.get_by_text("La suppression est signée.")).to_be_visible()
    check_page(mila, "waits-deleted", tmp_path)
    for each, path, name in (
        (mila, call, "call"),
        (mila, dispute, "asked"),
        (guest, "/together/welcome", "told"),
    ):
        each.go(path)
        expect(each.page.get_by_text("a demandé la suppression le").first).to_be_visible()
        check_page(each, f"waits-{name}", tmp_path)
    mila.go(dispute)
    mila.page.get_by_text("Une autorité a ordonné la suppression…").click()
    mila.page.get_by_label("Autorité", exact=True).fill("Autorité de protection des données")
    mila.page.get_by_label("Référence de l’ordre").fill("DOS-2026-00123")
    check_page(mila, "waits-order", tmp_path)
    mila.page.get_by_role("button", name="Saisir l’ordre").click()
    expect(mila.page.get_by_text("Une deuxième personne doit le confirmer.")).to_be_visible()
    check_page(mila, "waits-ordered", tmp_path)
    guest.go("/together/welcome")
    guest.page.get_by_text("Quitter…").click()
    check_page(guest, "waits-leave", tmp_path)
