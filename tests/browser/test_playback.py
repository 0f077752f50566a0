"""Listening to a call in a real browser, from the log-in to the last second."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

from tests.house import announcement_ms, conversation, length_ms
from web.text import formats
from web.text.sentences import SENTENCES

ANNOUNCEMENT_S = announcement_ms("fr") / 1000

LASTS = length_ms(conversation("fr", 1, True)) / 1000
"""End of the announcement in the short call, and the call's duration, in seconds."""

METER = """
() => {
  const audio = document.getElementById("audio");
  const context = new AudioContext();
  const source = context.createMediaElementSource(audio);
  const split = context.createChannelSplitter(2);
  source.connect(split);
  source.connect(context.destination);
  window.loudest = [0, 0];
  [0, 1].forEach((side) => {
    const meter = context.createAnalyser();
    split.connect(meter, side);
    const samples = new Float32Array(meter.fftSize);
    setInterval(() => {
      meter.getFloatTimeDomainData(samples);
      window.loudest[side] = Math.max(window.loudest[side], ...samples.map(Math.abs));
    }, 20);
  });
}
"""

LANE_HEIGHTS = """
() => [...document.querySelectorAll("#wave > div")]
  .filter((one) => one.shadowRoot)
  .flatMap((one) => [...one.shadowRoot.querySelectorAll(".canvases canvas")])
  .map((one) => one.getContext("2d").getImageData(0, 0, one.width, one.height).data.some(Boolean))
"""


def test_plays_and_seeks_with_each_side_on_its_own_channel(person):
    claire = person()
    ranges: list[str] = []
    claire.page.on(
        "response",
        lambda answer: (
            ranges.append(f"{answer.status} {answer.request.headers.get('range')}")
            if "/audio." in answer.url
            else None
        ),
    )
    claire.log_in()
    page = claire.page
    expect(page).to_have_title("Appels – Accord")
    page.locator(f"a[href$='/recordings/{claire.panel.ids['short']}']").first.click()
    expect(page.locator("#audio")).to_be_attached()
    # Until its script runs, the button sends a form that loads the page again, and the meter would be gone.
    page.wait_for_load_state()
    page.evaluate(METER)
    page.get_by_role("button", name="Lecture").click()
    claire.plays_past(2)
    assert abs(claire.audio("duration") - LASTS) < 0.5
    left, right = page.evaluate("window.loudest")
    assert left < 0.005, "what the caller said before they had been told is silent"
    assert right > 0.05, "the announcement is heard"
    assert page.get_by_role("button", name="Pause").is_visible()

    page.evaluate("window.loudest = [0, 0]")
    page.get_by_role("slider", name="Position dans l’enregistrement").fill(f"{ANNOUNCEMENT_S + 3:.1f}")
    claire.plays_past(ANNOUNCEMENT_S + 6)
    left, right = page.evaluate("window.loudest")
    assert left > 0.05, "the caller is heard on the left"
    assert claire.audio("currentTime") < ANNOUNCEMENT_S + 15, "it was sought, not played from the beginning"

    page.get_by_role("button", name="Pause").click()
    at = claire.audio("currentTime")
    page.get_by_role("button", name="Reculer de 10 secondes").click()
    assert abs(claire.audio("currentTime") - (at - 10)) < 0.3
    page.get_by_role("button", name="Avancer de 10 secondes").click()
    assert abs(claire.audio("currentTime") - at) < 0.3
    assert ranges
    assert {entry.split()[0] for entry in ranges} == {"206"}


@pytest.mark.parametrize(
    ("language", "play", "width"),
    [
        ("fr-BE", "Lecture", 360),
        ("en-GB", "Play", 1280),
        pytest.param("fr-BE", "Lecture", 1280, marks=pytest.mark.long),
        pytest.param("en-GB", "Play", 360, marks=pytest.mark.long),
    ],
)
def test_sound_is_two_clicks_from_the_log_in(person, language, play, width):
    """Counted by the browser: one click opens the call, a second one plays it."""
    claire = person(width=width, language=language)
    claire.log_in()
    page = claire.page
    claire.speak("Français" if language == "fr-BE" else "English")
    count = "sessionStorage.setItem('clicks', Number(sessionStorage.getItem('clicks')) + 1)"
    page.add_init_script(f"document.addEventListener('click', () => {count}, true)")
    page.reload()
    page.locator(f"a[href$='/recordings/{claire.panel.ids['short']}']").first.click()
    page.get_by_role("button", name=play, exact=True).click()
    claire.plays_past(1)
    assert page.evaluate("sessionStorage.getItem('clicks')") == "2"


def test_plays_when_pressed_before_the_script_has_come(person):
    """The browser then sends the form; the page that comes back plays, but not when it is loaded again."""
    claire = person().log_in()
    page = claire.page
    page.route("**/player.js*", lambda route: None, times=1)
    page.goto(f"{claire.panel.address}/recordings/{claire.panel.ids['short']}", wait_until="commit")
    page.get_by_role("button", name="Lecture", exact=True).click(no_wait_after=True)
    claire.plays_past(0.5)
    expect(page).not_to_have_url(re.compile("play=1"))
    page.reload()
    claire.until("document.getElementById('audio').readyState >= 1")
    assert page.evaluate("document.getElementById('audio').paused")


def test_seeks_in_a_long_recording_without_loading_the_rest(person):
    claire = person().log_in()
    ranges: list[str] = []
    claire.page.on(
        "request",
        lambda request: (
            ranges.append(request.headers.get("range", "whole")) if "/audio." in request.url else None
        ),
    )
    claire.listen("long")
    claire.page.evaluate("document.getElementById('audio').currentTime = 400")
    claire.page.get_by_role("button", name="Lecture").click()
    claire.plays_past(400.5)
    starts = [int(one.removeprefix("bytes=").partition("-")[0]) for one in ranges]
    assert any(start > 500_000 for start in starts), ranges


def test_waveform_has_two_lanes_and_seeks_on_click(person):
    claire = person().log_in().listen("short")
    page = claire.page
    expect(page.locator("#wave canvas").first).to_be_attached()
    heights = page.evaluate(LANE_HEIGHTS)
    assert len(heights) >= 2
    assert all(heights)
    box = page.locator("#wave").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] - 20)
    claire.until(f"Math.abs(document.getElementById('audio').currentTime - {LASTS / 2}) < 1")
    announcement_end = page.locator(".announcement-end")
    share = (announcement_end.bounding_box()["x"] - box["x"]) / box["width"]
    assert abs(share - ANNOUNCEMENT_S / LASTS) < 0.02, "the mark stands where the announcement ends"
    gap = page.locator(".gap.is-left").first.bounding_box()
    assert abs(gap["x"] - box["x"]) < 2
    assert gap["y"] + gap["height"] <= box["y"] + box["height"] / 2 + 20, "only the caller's lane is silent"


def test_gap_that_ends_after_the_sound_stays_in_its_lane(person):
    """What the telephone system could not write may end later than the sound."""
    somebody = person().log_in()
    page = somebody.page

    def lengthen(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=re.sub(r'data-to="\d+"', 'data-to="3600000"', answer.text()))

    page.route(f"**/recordings/{somebody.panel.ids['short']}", lengthen)
    somebody.go(f"/recordings/{somebody.panel.ids['short']}")
    somebody.until("document.querySelector('.gap').style.left !== ''")
    box = page.locator("#wave").bounding_box()
    for gap in page.locator(".gap").all():
        place = gap.bounding_box()
        assert place["x"] + place["width"] <= box["x"] + box["width"] + 1


def test_timeline_explains_gaps_and_seeks(person):
    claire = person().log_in().listen("short")
    page = claire.page
    expect(page.get_by_text("personne n’avait encore répondu")).to_be_visible()
    entries = page.locator("#timeline")
    entries.get_by_role("button", name=formats.clock(round(ANNOUNCEMENT_S * 1000)), exact=True).click()
    assert abs(claire.audio("currentTime") - ANNOUNCEMENT_S) < 0.3
    expect(entries.locator("[aria-current]")).to_have_count(1)
    followed = entries.locator("[aria-current]").text_content()
    page.keyboard.press("Home")
    claire.until("document.getElementById('audio').currentTime === 0")
    assert entries.locator("[aria-current]").text_content() != followed, "it follows the audio"


def test_timeline_seeks_to_keep_questions(person):
    somebody = person(language="en-GB").log_in("paul").listen("agreed")
    page = somebody.page
    questions = page.locator(".timeline li").filter(has_text="Asked: may we keep this?")
    expect(questions).to_have_count(3)
    expect(questions.last).to_contain_text("Yes: the caller pressed the key at")
    place = float(questions.last.locator(".jump").get_attribute("data-jump")) / 1000
    questions.last.locator(".jump").click()
    somebody.until(f"Math.abs(document.getElementById('audio').currentTime - {place}) < 0.2")
    expect(page.locator(".gap.is-prompt")).to_have_count(6)
    page.locator("#agreed summary").click()
    expect(page.locator("#agreed")).to_contain_text("Yes: the caller pressed the key at")


def test_plays_by_keyboard_alone(person):
    claire = person().go("/login")
    page = claire.page
    keys = page.keyboard
    assert page.evaluate("document.activeElement.id") == "login"
    keys.type("claire")
    keys.press("Tab")
    keys.type("two voices, one agreement")
    keys.press("Enter")
    expect(page.locator(".calls").first).to_be_visible()
    claire.go(f"/recordings/{claire.panel.ids['short']}")
    keys.press("Tab")
    expect(page.get_by_role("link", name="Aller au contenu")).to_be_focused()
    expect(page.get_by_role("link", name="Aller au contenu")).to_be_in_viewport()
    keys.press("Enter")
    for _ in range(20):
        keys.press("Tab")
        if page.evaluate("document.activeElement.id") == "toggle":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "where the focus is can be seen"
    keys.press("Enter")
    claire.plays_past(0.5)
    keys.press("ArrowRight")
    keys.press("ArrowRight")
    claire.plays_past(20)
    keys.press(" ")
    claire.until("document.getElementById('audio').paused")
    at = claire.audio("currentTime")
    keys.press("ArrowLeft")
    assert abs(claire.audio("currentTime") - (at - 10)) < 0.3
    keys.press("Home")
    assert claire.audio("currentTime") == 0
    keys.press("a")
    assert abs(claire.audio("currentTime") - ANNOUNCEMENT_S) < 0.3, "past the announcement"
    keys.press(">")
    assert claire.audio("playbackRate") == 1.25
    page.locator("#speed").focus()
    keys.press("ArrowDown")
    assert claire.audio("playbackRate") == 1.5
    page.locator("#unchanged summary").focus()
    keys.press("Enter")
    expect(page.locator("#unchanged")).to_contain_text("accord recording verify")
    at = claire.audio("currentTime")
    keys.press("a")
    keys.press("ArrowRight")
    assert claire.audio("currentTime") == at, "keys elsewhere are not the player's"


def test_speed_and_position_are_remembered(person):
    claire = person().log_in().listen("long")
    page = claire.page
    page.locator("#speed").select_option("1.5")
    page.get_by_role("slider", name="Position dans l’enregistrement").fill("60")
    page.reload()
    claire.until("document.getElementById('audio').readyState >= 1")
    assert claire.audio("currentTime") == 60
    expect(page.locator("#now")).to_have_text("1:00")
    assert claire.audio("playbackRate") == 1.5
    claire.go(f"/recordings/{claire.panel.ids['short']}")
    expect(page.locator("#speed")).to_have_value("1.5")
    expect(page.locator("#now")).to_have_text("0:00")


def test_passage_repeats_until_it_is_stopped(person):
    claire = person().log_in().listen("long")
    page = claire.page
    seek = page.get_by_role("slider", name="Position dans l’enregistrement")
    seek.fill("60")
    page.get_by_role("button", name="Répéter à partir d’ici").click()
    seek.fill("61")
    page.get_by_role("button", name="Répéter jusqu’ici").click()
    expect(page.locator("#passage")).to_be_visible()
    page.get_by_role("button", name="Lecture").click()
    page.wait_for_timeout(2500)
    assert 59.9 <= claire.audio("currentTime") < 61.6
    page.get_by_role("button", name="Ne plus répéter").click()
    claire.plays_past(62)


def test_silences_are_skipped(person):
    claire = person().log_in().listen("paused")
    page = claire.page
    silent = page.locator(".timeline li").filter(has_text="mis l’enregistrement en pause").first
    begin, end = (int(silent.get_attribute(f"data-{each}")) / 1000 for each in ("from", "to"))
    page.get_by_label("Passer les silences").check()
    page.get_by_role("slider", name="Position dans l’enregistrement").fill(f"{begin + 0.3:.1f}")
    page.get_by_role("button", name="Lecture").click()
    started = time.monotonic()
    claire.plays_past(end - 0.5)
    assert time.monotonic() - started < end - begin - 2


def test_link_to_a_moment_needs_the_recipients_own_permission(person):
    claire = person(permissions=["clipboard-read", "clipboard-write"]).log_in().listen("long")
    page = claire.page
    page.get_by_role("slider", name="Position dans l’enregistrement").fill("83")
    page.get_by_role("button", name="Copier un lien vers ce moment").click()
    expect(page.locator("#player-message")).to_contain_text("doit y être autorisée elle-même")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == f"{claire.panel.address}/recordings/{claire.panel.ids['long']}#t=83"
    paul = person().log_in("paul")
    paul.page.goto(link)
    expect(paul.page.locator("#now")).to_have_text("1:23")
    assert paul.audio("readyState") == 0, "nothing was given yet"
    paul.press_play()
    paul.plays_past(83.2)
    stranger = person().log_in("dyck")
    stranger.page.goto(link)
    expect(stranger.page.locator("#player")).to_have_count(0)
    stranger.console_errors.clear()


def test_player_stays_in_view(person):
    for width in (360, 1280):
        claire = person(width=width).log_in().listen("paused")
        claire.page.locator("#history").scroll_into_view_if_needed()
        claire.page.evaluate("scrollTo(0, document.body.scrollHeight)")
        expect(claire.page.locator("#toggle")).to_be_in_viewport()


def test_play_is_on_a_telephones_first_screen(person):
    """One tap plays for a purpose, and the bar that stays in view takes less than a quarter of the screen."""
    paul = person(width=360, language="en-GB").log_in("paul")
    paul.go(f"/recordings/{paul.panel.ids['agreed']}")
    buttons = paul.page.locator(".choice-play")
    assert buttons.count() > 1
    for button in buttons.all():
        assert button.evaluate("(one) => one.getBoundingClientRect().bottom < innerHeight - 60"), "bottom bar"
    rows = paul.page.locator(".fact-badge").evaluate_all(
        "(all) => new Set(all.map((one) => one.offsetTop)).size"
    )
    assert rows == 1
    buttons.nth(1).click()
    paul.plays_past(0.3)
    expect(paul.page.locator("#purpose-chip")).to_have_text("For: Service quality")
    share = paul.page.locator(".player-bar").evaluate("(one) => one.offsetHeight / innerHeight")
    assert share < 0.25


def test_note_does_not_stop_the_sound(person):
    claire = person().log_in().listen("paused")
    claire.page.locator("#toggle").click()
    claire.plays_past(0.3)
    claire.page.fill("#note", "Le délai de livraison")
    claire.page.locator("#note-here").click()
    claire.page.get_by_role("button", name="Ajouter la note").click()
    expect(claire.page.locator(".note-text")).to_have_text("Le délai de livraison")
    place = claire.audio("currentTime")
    claire.plays_past(place + 0.3)
    claire.page.locator(".note .jump").click()
    claire.until(f"document.getElementById('audio').currentTime < {place + 0.3}")


def test_purpose_outside_the_role_is_disabled(person):
    claire = person().log_in().go(f"/recordings/{person().panel.ids['short']}")
    page = claire.page
    page.locator("#purpose-chip").click()
    expect(page.get_by_label("Qualité du service")).to_be_disabled()
    page.evaluate("document.querySelector('[name=purpose]:checked').value = 'training'")
    page.get_by_role("button", name="Lecture").click()
    expect(page.get_by_role("alert")).to_contain_text("n’a pas été annoncé pour cet usage")
    assert (
        claire.console_errors.pop()
        == "Failed to load resource: the server responded with a status of 403 (FORBIDDEN)"
    )
    assert claire.audio("readyState") == 0


def test_several_purposes_are_asked_once_in_place(person):
    paul = person(language="en-GB").log_in("paul").go(f"/recordings/{person().panel.ids['short']}")
    page = paul.page
    expect(page.locator("#purpose")).to_have_attribute("open", "")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Choose")
    page.locator("#purpose label", has_text="Service quality").click()
    page.get_by_role("button", name="Play", exact=True).click()
    paul.plays_past(0.3)
    expect(page.locator("#purpose-chip")).to_have_text("For: Service quality")
    paul.go(f"/recordings/{paul.panel.ids['paused']}")
    expect(page.locator("#purpose-chip")).to_have_text("For: Service quality")
    page.get_by_role("button", name="Play", exact=True).click()
    paul.plays_past(0.3)
    page.locator("#purpose-chip").click()
    page.locator("#purpose label", has_text="Legal obligation").click()
    page.get_by_role("button", name="Listen for this purpose").click()
    expect(page.locator("#purpose-chip")).to_have_text("For: Legal obligation")


def test_other_customers_recording_is_not_found(person):
    claire = person().log_in()
    claire.go(f"/recordings/{claire.panel.ids['rival']}")
    expect(claire.page.get_by_role("heading", name="Page introuvable")).to_be_visible()
    claire.expect_refusal("404")


def test_damaged_block_stops_the_player_with_the_reason(person):
    claire = person().log_in()
    file = claire.panel.object("damaged", "audio.opus")
    content = bytearray(file.read_bytes())
    content[6 * 65_536 + 100] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)
    claire.listen("damaged")
    page = claire.page
    seconds = claire.audio("duration") * 6 * 65_536 / len(content)
    page.evaluate(f"document.getElementById('audio').currentTime = {seconds - 12}")
    page.get_by_role("button", name="Lecture").click()
    expect(page.get_by_role("alert")).to_contain_text("a changé depuis qu’il a été scellé", timeout=30_000)
    assert claire.audio("currentTime") < seconds + 2
    assert page.get_by_role("button", name="Lecture").is_visible()
    assert claire.console_errors
    assert all("409" in text or "ERR_" in text for text in claire.console_errors), claire.console_errors
    claire.console_errors.clear()


PAINTED = """
() => {
  const counts = {};
  const root = [...document.querySelectorAll("#wave > div")].find((one) => one.shadowRoot).shadowRoot;
  for (const canvas of root.querySelectorAll("canvas")) {
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    for (let i = 0; i < data.length; i += 4) {
      const colour = [data[i], data[i + 1], data[i + 2]].join();
      if (data[i + 3] === 255) counts[colour] = (counts[colour] ?? 0) + 1;
    }
  }
  const sheet = getComputedStyle(document.getElementById("player")).backgroundColor;
  return [counts, sheet.match(/\\d+/g).slice(0, 3).join()];
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_waveform_bars_have_enough_contrast(person, scheme):
    """WCAG 2.2, 1.4.11: at least 3 : 1."""
    claire = person(color_scheme=scheme).log_in().listen("short")
    expect(claire.page.locator("#wave canvas").first).to_be_attached()
    counts, sheet = claire.page.evaluate(PAINTED)
    bars = [colour for colour, pixels in counts.items() if pixels > 0.02 * sum(counts.values())]
    assert len(bars) == 4, counts
    ratios = {colour: contrast(colour, sheet) for colour in bars}
    assert min(ratios.values()) >= 3, ratios


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, each ``red,green,blue`` of 0 to 255 (WCAG 2.2)."""
    darker, lighter = sorted(luminance(colour) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.split(",")]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("language", ["fr-BE", "en-GB"])
def test_button_names_contain_their_text(person, language):
    """WCAG 2.2, 2.5.3: users of speech input say the text that they see."""
    claire = person(language=language).log_in("claire" if language == "fr-BE" else "paul").listen("short")
    for button in claire.page.locator("#controls button").all():
        assert button.text_content().strip() in button.get_attribute("aria-label")


def test_native_player_works_without_scripts(person):
    claire = person(java_script_enabled=False)
    claire.go("/login")
    claire.page.fill("#login", "claire")
    claire.page.fill("#password", "two voices, one agreement")
    claire.page.click("main button[type=submit]")
    claire.go(f"/recordings/{claire.panel.ids['short']}")
    claire.page.locator("#toggle").click()
    expect(claire.page.locator("audio[controls]")).to_be_visible()
    expect(claire.page.locator("#toggle")).to_be_hidden()
    expect(claire.page.locator("#back")).to_be_hidden()


def test_timeline_shows_noted_moments(person):
    """A pause is a gap that names its author; a noted moment can be sought."""
    paul = person()
    paul.log_in("paul")  # in English
    paul.listen("paused")
    marks = paul.page.locator(".timeline li")
    paused = marks.filter(has_text=SENTENCES["gap"]["paused"]["en"])
    moments = marks.filter(has_text="A colleague marked this moment.")
    expect(paused).to_have_count(1)
    expect(moments).to_have_count(1)
    moments.locator(".jump").click()
    paul.until("document.getElementById('audio').currentTime > 40")
    paul.go("/numbers")
    for code in ("*6", "*8", "*9"):
        expect(paul.page.locator("main")).to_contain_text(f"Dial {code}")
