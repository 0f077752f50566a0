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

from recorder.prompts.dsp import RATE, Samples, as_int16, levelled
from recorder.prompts.purposes import LANGUAGES
from recorder.prompts.sentences import SpokenSentence, all_said
from recorder.prompts.sound_sources import DATA, SOUNDS, ShippedClip, read_list
from recorder.prompts.tts import Engine, engines, speaking

BITS = 13
"""Bits kept per sample: noise at -86 dBFS, far below a phone line's, and files a third smaller."""


def make(
    languages: Sequence[str], found: tuple[Engine, ...], folder: Path = SOUNDS, everything: bool = False
) -> int:
    """Write the sounds of some languages, and the list of all. Returns how many were spoken."""
    before = read_list(folder) if (folder / DATA).exists() else {}
    listed = {language: dict(before.get(language, {})) for language in LANGUAGES}
    spoken = 0
    for language in languages:
        wanted = all_said(language)
        for said in wanted.values():
            if everything or not _there(folder, language, said, listed[language].get(said.clip)):
                engine = speaking(found, said, language)
                sha256 = write(folder, language, said.clip, levelled(engine.speak(said.spoken, language)))
                listed[language][said.clip] = ShippedClip(said.text, sha256)
                spoken += 1
                print(f"{language} {said.clip}: {engine.name}", flush=True)
                _list(folder, listed)
        for path in (folder / language).glob("*.flac"):
            if path.stem not in wanted:
                path.unlink()
                listed[language].pop(path.stem, None)
    _list(folder, listed)
    return spoken


def _there(folder: Path, language: str, said: SpokenSentence, entry: ShippedClip | None) -> bool:
    path = folder / language / f"{said.clip}.flac"
    return (
        entry is not None
        and entry.text == said.text
        and path.exists()
        and hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
    )


def write(folder: Path, language: str, clip: str, samples: Samples) -> str:
    """One clip as FLAC; its hash in hex."""
    path = folder / language / f"{clip}.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    step = 1 << (16 - BITS)
    coarse = (np.rint(as_int16(samples) / step) * step).clip(-32768, 32767 - step + 1).astype(np.int16)
    soundfile.write(path, coarse, RATE, subtype="PCM_16", format="FLAC", compression_level=1.0)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _list(folder: Path, listed: dict[str, dict[str, ShippedClip]]) -> None:
    lines = [
        "# What each shipped sound says, word for word, and its hash.  Whose voices they are stands in",
        "# voices.toml.  Written by recorder/prompts/sound_build.py.",
    ]
    for language, entries in listed.items():
        if not entries:
            continue
        lines += ["", f"[{language}]"]
        known = all_said(language)
        for clip in sorted(
            entries, key=lambda each: (list(known).index(each) if each in known else 999, each)
        ):
            text = entries[clip].text.replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'{clip} = {{ text = "{text}", sha256 = "{entries[clip].sha256}" }}')
    (folder / DATA).write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    options = argparse.ArgumentParser(description="Make the shipped sounds anew.")
    options.add_argument("--kokoro", type=Path, help="folder of kokoro.onnx and its voices")
    options.add_argument("--language", choices=LANGUAGES, nargs="*", default=LANGUAGES)
    options.add_argument("--all", action="store_true", help="also what is there already")
    given = options.parse_args()
    print(f"{make(given.language, engines('auto', given.kokoro), everything=given.all)} spoken")


if __name__ == "__main__":
    main()
