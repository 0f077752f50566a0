"""Rebuilds the shipped sounds after a sentence was changed: ``python -m recorder.prompts.sound_build``.

    python -m recorder.prompts.sound_build --kokoro FOLDER [--language nl …] [--all]

Speaks every sentence whose sound is missing or has other words (with ``--all`` every sentence), writes FLAC
files and ``sounds/clips.toml``, and removes unused files. A language is spoken by the first engine that has a
voice for it (``tts.py``: Pico for German, Kokoro for the others). Which voice that was is recorded by hand in
``sounds/voices.toml``.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from recorder.domain.sentences import SpokenSentence
from recorder.prompts.dsp import RATE, Samples, normalise, to_int16
from recorder.prompts.purposes import LANGUAGES
from recorder.prompts.sentences import ClipText, all_clip_texts
from recorder.prompts.sound_sources import DATA, SOUNDS, read_clip_list
from recorder.prompts.tts import Engine, find_engine, find_engines

BITS = 13
"""Bits kept per sample: noise at -86 dBFS, far below a phone line's, and files a third smaller."""


def build(
    languages: Sequence[str], found: tuple[Engine, ...], folder: Path = SOUNDS, everything: bool = False
) -> int:
    """Write the sounds of some languages, and the list of all sounds. Returns the number of spoken
    sentences."""
    before = read_clip_list(folder) if (folder / DATA).exists() else {}
    listed = {language: dict(before.get(language, {})) for language in LANGUAGES}
    count = 0
    for language in languages:
        texts = all_clip_texts(language)
        for text in texts.values():
            if everything or not _is_current(folder, text, listed[language].get(text.clip)):
                engine = find_engine(found, text)
                sha256 = write_clip(folder, text, normalise(engine.speak(text.spoken, language)))
                listed[language][text.clip] = SpokenSentence(text.text, sha256)
                count += 1
                print(f"{language} {text.clip}: {engine.name}", flush=True)
                _write_list(folder, listed)
        for path in (folder / language).glob("*.flac"):
            if path.stem not in texts:
                path.unlink()
                listed[language].pop(path.stem, None)
    _write_list(folder, listed)
    return count


def _is_current(folder: Path, text: ClipText, entry: SpokenSentence | None) -> bool:
    path = folder / text.language / f"{text.clip}.flac"
    return (
        entry is not None
        and entry.text == text.text
        and path.exists()
        and hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
    )


def write_clip(folder: Path, text: ClipText, samples: Samples) -> str:
    """Write one clip as FLAC; returns the hash of the file's bytes in hex."""
    path = folder / text.language / f"{text.clip}.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    step = 1 << (16 - BITS)
    coarse = (np.rint(to_int16(samples) / step) * step).clip(-32768, 32767 - step + 1).astype(np.int16)
    soundfile.write(path, coarse, RATE, subtype="PCM_16", format="FLAC", compression_level=1.0)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_list(folder: Path, listed: dict[str, dict[str, SpokenSentence]]) -> None:
    lines = [
        "# The text of each shipped sound, word for word, and its hash. voices.toml names the voices.",
        "# Written by recorder/prompts/sound_build.py.",
    ]
    for language, entries in listed.items():
        if not entries:
            continue
        lines += ["", f"[{language}]"]
        known = all_clip_texts(language)
        for clip in sorted(
            entries, key=lambda each: (list(known).index(each) if each in known else 999, each)
        ):
            text = entries[clip].text.replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'{clip} = {{ text = "{text}", sha256 = "{entries[clip].sha256}" }}')
    (folder / DATA).write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    options = argparse.ArgumentParser(description="Rebuild the shipped sounds.")
    options.add_argument("--kokoro", type=Path, help="folder of kokoro.onnx and its voices")
    options.add_argument("--language", choices=LANGUAGES, nargs="*", default=LANGUAGES)
    options.add_argument("--all", action="store_true", help="also sentences whose sound is current")
    choices = options.parse_args()
    print(f"{build(choices.language, find_engines('auto', choices.kokoro), everything=choices.all)} spoken")


if __name__ == "__main__":
    main()
