"""Consent and keep questions in the call list, on the page of purposes, and in the player."""

from __future__ import annotations

import re

import pytest

from web.text import labels

KEY = {"answer": "yes", "by": "external", "how": "key"}
ALOUD = {"answer": "no", "by": "internal", "how": "aloud"}
SPOKEN_ANSWER = {
    "answer": "yes", "by": "internal", "how": "aloud", "voice_from_ms": "500", "voice_to_ms": "900"
}  # fmt: skip


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("&#39;", "'")


def markers(page: str) -> list[tuple[str, str]]:
    """The player's timeline: the start and the text of each entry."""
    listed = re.search(r'<ol class="timeline"[^>]*>(.*?)</ol>', page, re.DOTALL)
    assert listed is not None
    found = re.findall(
        r'<li [^>]*>\s*<button[^>]*data-jump="(\d+)"[^>]*>(.*?)</li>', listed.group(1), re.DOTALL
    )
    return [(place, plain(text)) for place, text in found]


@pytest.fixture
def claire(bakery, browser):
    return browser("claire")


def test_list_shows_keep_agreements(claire, house, bakery):
    options = {"yes": "Convenu de garder", "no": "Convenu de ne pas garder", "none": "Demandé, sans réponse"}
    for answer, words_of_it in options.items():
        house.call(
            bakery, questions=[KEY if answer == "yes" else ALOUD if answer == "no" else {"answer": "none"}]
        )
        page = plain(claire.get("/recordings?show=recorded").text)
        assert words_of_it in page


def test_recording_without_question_shows_none(claire, house, bakery):
    recording = house.call(bakery)
    assert "convenu pendant" not in claire.get("/recordings").text
    page = plain(claire.get(claire.listen_to(recording)).text)
    assert "Conservation plus longue non demandée" in page


def test_player_lists_keep_questions_with_their_answers(claire, house, bakery):
    recording = house.call(bakery, questions=[ALOUD, KEY])
    page = claire.get(claire.listen_to(recording)).text
    listed = markers(page)
    questions = [
        (place, text) for place, text in listed if "Question : pouvons-nous garder cet enregistrement" in text
    ]
    assert len(questions) == 2
    (first, no), (second, yes) = questions
    assert 0 < int(first) < int(second)
    assert "pour que ce que nous avons convenu reste clair" in no
    assert "Non, de vive voix : votre collègue l’a confirmé" in no
    assert "Oui : la personne qui appelle a appuyé sur la touche correspondante à 10:0" in yes
    assert "Les deux personnes ont ensuite entendu" in yes
    assert page.count("is-right is-prompt") == 4
    card = plain(page[page.index('id="agreed"') : page.index('id="unchanged"')])
    assert "Convenu de le garder jusqu’au 25 novembre 2027" in card
    assert "Convenu pendant l’appel de le garder." in card
    assert "Jusqu’au 25 novembre 2027, pour : Mémoire de ce qui a été convenu." in card


def test_timeline_lists_the_announcement_and_spoken_answers(claire, house, bakery):
    """An answer stands at the sealed position of the external party's voice."""
    recording = house.call(bakery, questions=[SPOKEN_ANSWER])
    listed = markers(claire.get(claire.listen_to(recording)).text)
    ((announcement_end, _),) = [
        each for each in listed if "L’annonce a été entendue jusqu’au bout." in each[1]
    ]
    ((place, _),) = [(place, text) for place, text in listed if "La réponse, donnée de vive voix." in text]
    (question_place,) = [
        int(place) for place, text in listed if "Question : pouvons-nous garder cet enregistrement" in text
    ]
    assert 0 < int(announcement_end) < question_place
    assert int(place) > question_place + 1000, "it comes after the question's end"


def test_unheard_yes_is_shown_without_effect(claire, house, bakery):
    silent = {name: value for name, value in SPOKEN_ANSWER.items() if not name.startswith("voice")}
    recording = house.call(bakery, questions=[silent])
    page = claire.get(claire.listen_to(recording)).text
    assert "Aucune réponse ne s’entend auparavant" in page
    assert "Convenu pendant l’appel de le garder" not in page


def test_question_missing_from_audio_is_shown_without_effect(claire, house, bakery):
    folder, end = house.finished(bakery, questions=[KEY])
    for prompt in (house.folder / "snapshot" / "prompts").iterdir():
        prompt.unlink()
    house.work(folder, end)
    page = claire.get(claire.listen_to(folder.name)).text
    assert "celle-ci reste donc sans effet" in page
    assert "Convenu pendant l’appel de le garder" not in page
    assert "25 décembre 2026" in page


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ("opt-in", "elle a accepté avec la touche 1 à 10:00."),
        ("opt-out", "elle n’a pas refusé."),
    ],
)
def test_player_shows_consent_to_record(claire, house, bakery, mode, sentence):
    page = plain(claire.get(claire.listen_to(house.call(bakery, mode=mode))).text)
    assert sentence in page
    assert ("Êtes-vous d'accord ?" in page) == (mode == "opt-in")


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("declined", "a choisi de ne pas être enregistrée."),
        ("not_kept", "Il a été convenu pendant l’appel de ne pas garder"),
        ("hung_up_in_question", "a raccroché avant d’avoir répondu"),
        ("no_answer", "elle n’a pas répondu"),
        ("unclear", "ni oui ni non"),
    ],
)
def test_reasons_for_unrecorded_calls_mention_consent(claire, house, bakery, reason, sentence):
    house.not_recorded(bakery, reason)
    assert sentence in plain(claire.get("/recordings").text)


def test_every_answer_has_its_own_sentence(app, clock):
    with app.test_request_context(headers={"Accept-Language": "en"}):
        sentences = [
            labels.keep_answer(answer, by, how, clock())
            for answer in ("yes", "no")
            for by, how in (("external", "key"), ("internal", "aloud"), ("internal", "own_words"))
        ]
        sentences += [labels.keep_answer(answer, None, None, None) for answer in ("none", "broken", None)]
        sentences.append(labels.keep_answer("yes", "external", "aloud", clock()))  # unknown to this version
        assert len(set(sentences)) == len(sentences)
        assert not any("%" in one for one in sentences)


def test_outbound_call_names_the_called_party(claire, house, bakery):
    recording = house.call(bakery, mode="opt-out", direction="outbound", questions=[KEY])
    page = plain(claire.get(claire.listen_to(recording)).text)
    for text in ("La personne appelée", "Vous et les annonces", "a été appelé depuis le"):
        assert text in page
    assert "La personne qui appelle" not in page


def test_player_lists_eavesdropping(claire, house, bakery):
    events = [
        (9000, "supervisor_joined", {"party": "extension", "value": "1077", "leg": "c"}),
        (9300, "supervisor_heard", {"leg": "c", "heard_by": "both", "channel": "left"}),
        (9600, "supervisor_left", {"leg": "c"}),
    ]
    folder, end = house.finished(bakery, events=events)
    house.work(folder, end)
    page = claire.get(claire.listen_to(folder.name)).text
    texts = [text for _, text in markers(page)]
    arrival = next(n for n, text in enumerate(texts) if "Quelqu’un s’est mis à écouter l’appel." in text)
    assert "cette voix est dans le canal de l’autre personne." in texts[arrival + 1]
    assert "a arrêté." in texts[arrival + 2]
    assert "1077" not in page


def test_player_lists_transfer_consent(claire, house, bakery):
    events = [
        (9000, "transfer_question_finished", {}),
        (9500, "transfer_question_refused", {"answer": "no", "key": "2"}),
    ]
    folder, end = house.finished(bakery, events=events)
    house.work(folder, end)
    texts = [text for _, text in markers(claire.get(claire.listen_to(folder.name)).text)]
    assert any("On a aussi demandé à un collègue" in text for text in texts)
    assert any("a refusé, avec une touche. L’enregistrement s’arrête là." in text for text in texts)
