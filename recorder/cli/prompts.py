"""``accord prompt``: the sentences that callers hear, and their sound files."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import soundfile

from recorder.cli.output import Record, json_option, print_list, print_result
from recorder.cli.output_files import write_output
from recorder.domain.call_plan import MODES, Mode
from recorder.errors import ConfigError
from recorder.processes.services import Context
from recorder.prompts import composer
from recorder.prompts.dsp import RATE, Samples, loudness, measure_silence
from recorder.prompts.purposes import LANGUAGES
from recorder.prompts.sentences import SHORT, WORDINGS, Wording, all_clip_texts
from recorder.prompts.sound_check import check_clip, check_sound, clipped_share, read_file, read_samples
from recorder.prompts.sound_sources import SCRIPT, SOUNDS, Sources, open_sources, shipped_clips

LANGUAGE = click.Choice(LANGUAGES)

wording_option = click.option(
    "--wording", type=click.Choice(WORDINGS), default=SHORT, show_default=True,
    help="short: the required sentences; long: fuller ones.",
)  # fmt: skip

LOUDEST, QUIETEST = -14.0, -30.0
"""LUFS that a person's recording should lie between; it is brought to -20."""

LONGEST_SILENCE_S = 1.0
"""More at an end than that is worth a word; it is cut off."""


@click.group()
def prompt() -> None:
    """Prompts: the sentences that callers hear."""


@prompt.command("list")
@click.option(
    "--language", "languages", type=LANGUAGE, multiple=True, help="A language; repeatable. Default: all."
)
@json_option
@click.pass_obj
def list_clips(context: Context, languages: tuple[str, ...]) -> None:
    """List every sentence, and the origin of its sound."""
    found = open_sources(context.settings.prompts)
    rows = [
        {
            "language": language,
            "clip": sentence.clip,
            "origin": found.origin(sentence),
            "text": sentence.text,
        }
        for language in languages or LANGUAGES
        for sentence in all_clip_texts(language).values()
    ]
    print_list("sentences", rows, ("language", "clip", "origin", "text"))


@prompt.command("script")
@click.option(
    "--language", "languages", type=LANGUAGE, multiple=True, help="A language; repeatable. Default: all."
)
def script(languages: tuple[str, ...]) -> None:
    """Print the script for a person who records the sentences.

    It has the name of each file, and its sentence."""
    click.echo(
        "# One sentence per file: WAV, mono, 16 kHz (or 8), PCM 16 bit; in a quiet room, at about -20 dBFS."
    )
    click.echo(
        "# Set [prompts] recorded to the folder; the shipped voice says the sentences that are not in it."
    )
    click.echo(f"# Keep this as {SCRIPT} in the folder: it shows what was read, should a sentence change.")
    for language in languages or LANGUAGES:
        click.echo("")
        for sentence in all_clip_texts(language).values():
            click.echo(f"{language}/{sentence.clip}.wav\t{sentence.spoken}")


@prompt.command("render")
@click.argument("wav", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--language", type=LANGUAGE, required=True, help="The language of the announcement.")
@click.option(
    "--mode", type=click.Choice(MODES), default="notice", show_default=True, help="The mode it is made for."
)
@click.option(
    "--purpose",
    "purposes",
    multiple=True,
    default=("agreement",),
    show_default=True,
    help="A purpose; repeatable.",
)
@click.option(
    "--own", multiple=True, metavar="CODE=SENTENCE", help="The sentence for a tenant's own purpose."
)
@click.option("--keep-days", type=int, default=30, show_default=True, help="The retention in days.")
@click.option(
    "--greeting", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A sound, played first."
)
@click.option("--greeting-text", default="", help="The words of --greeting, verbatim.")
@click.option(
    "--greeting-says-all",
    is_flag=True,
    help="The greeting says all that the mode requires: nothing is played after it.",
)
@wording_option
@click.option(
    "--rate",
    type=click.Choice(["8000", "16000"]),
    default="8000",
    show_default=True,
    help="The sample rate in Hz.",
)
@json_option
@click.pass_obj
def render_announcement(
    context: Context,
    wav: Path,
    language: str,
    mode: Mode,
    purposes: tuple[str, ...],
    own: tuple[str, ...],
    keep_days: int,
    greeting: Path | None,
    greeting_text: str,
    greeting_says_all: bool,
    wording: Wording,
    rate: str,
) -> None:
    """Write an announcement to the file WAV, and print its text."""
    first = (
        None
        if greeting is None
        else composer.Greeting(greeting_text, greeting.read_bytes(), greeting_says_all)
    )
    announcement = composer.announcement(
        language,
        mode=mode,
        purposes=purposes,
        keep_days=keep_days,
        own=own_sentences(own),
        greeting=first,
        wording=wording,
        sources=open_sources(context.settings.prompts),
        sample_rate=int(rate),
    )
    write_output(wav, announcement.wav)
    record = {
        "file": wav,
        "text": announcement.text,
        "duration_ms": announcement.duration_ms,
        "sha256": announcement.sha256,
        "clips": [{"clip": clip, "origin": origin} for clip, origin in announcement.origins],
    }
    print_result(record, announcement.text)
    for clip, origin in announcement.origins:
        click.echo(f"  {clip}: {origin}", err=True)
    click.echo(f"  {announcement.duration_ms / 1000:.1f} s, SHA-256 {announcement.sha256}", err=True)


def own_sentences(pairs_text: Iterable[str]) -> dict[str, str]:
    """A tenant's sentences by purpose, parsed from ``CODE=SENTENCE``.  Raises :class:`ConfigError`
    (``prompt.purpose_words``)."""
    pairs = [each.partition("=") for each in pairs_text]
    for code, equals, sentence in pairs:
        if not (code and equals and sentence.strip()):
            raise ConfigError(
                "prompt.purpose_words", f"--own {code!r} has no sentence", "write it as --own CODE=SENTENCE"
            )
    return {code: sentence for code, _, sentence in pairs}


@dataclass(frozen=True, slots=True)
class _Row:
    """The measurements of a file; none if it cannot be read. ``error``: why it cannot be used; ``remark``: a
    warning."""

    name: str
    error: str = ""
    remark: str = ""
    measurements: Mapping[str, float] = field(default_factory=dict)

    def record(self) -> Record:
        names = (
            "duration_s",
            "rate_hz",
            "loudness_lufs",
            "clipped_share",
            "silence_before_s",
            "silence_after_s",
        )
        return {
            "file": self.name,
            **{name: self.measurements.get(name) for name in names},
            "verdict": "unusable" if self.error else "warning" if self.remark else "ok",
            "reason": self.error or self.remark,
        }


COLUMNS = ("file", "duration_s", "rate_hz", "loudness_lufs", "clipped_share", "verdict", "reason")


@prompt.command("check")
@click.argument("wavs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--shipped", is_flag=True, help="Check the sounds that are shipped with Accord.")
@click.option("--clips", is_flag=True, help="The files are single sentences, not whole announcements.")
@json_option
@click.pass_obj
def check(context: Context, wavs: tuple[Path, ...], shipped: bool, clips: bool) -> None:
    """Measure sounds: format, length, loudness, clipping, silence.

    Exits with 1 if one is unusable. Without files, the folder of [prompts] recorded is checked, with the
    names of its files."""
    if shipped:
        rows = _shipped()
    elif wavs:
        rows = [_file(path, str(path), clip=clips) for path in wavs]
    else:
        rows = _recorded(open_sources(context.settings.prompts))
    print_list("files", (row.record() for row in rows), COLUMNS)
    sys.exit(1 if any(row.error for row in rows) else 0)


def _file(path: Path, name: str, *, clip: bool) -> _Row:
    try:
        content = read_file(path)
        (check_clip if clip else check_sound)(content, str(path))
    except ConfigError as error:
        return _Row(name, f"{error.message.replace(f'{path} ', '')} ({error.hint})")
    return _measured(name, *read_samples(content, name))


def _measured(name: str, samples: Samples, rate: int) -> _Row:
    level, (before, after) = loudness(samples, rate), measure_silence(samples, rate)
    clip_share = clipped_share((samples * 32768).astype(np.int16))
    measurements = {
        "duration_s": round(len(samples) / rate, 1),
        "rate_hz": rate,
        "loudness_lufs": round(float(level), 1),
        "clipped_share": round(float(clip_share), 4),
        "silence_before_s": round(before, 2),
        "silence_after_s": round(after, 2),
    }
    remarks = []
    if not QUIETEST <= level <= LOUDEST:
        remarks.append(f"{'quiet' if level < QUIETEST else 'loud'}: it is brought to -20 LUFS")
    if max(before, after) > LONGEST_SILENCE_S:
        remarks.append("long silence at an end: it is cut off")
    return _Row(name, remark="; ".join(remarks), measurements=measurements)


def _shipped() -> list[_Row]:
    """Check that every sentence has its shipped sound, unchanged and audible."""
    rows: list[_Row] = []
    for language in LANGUAGES:
        for sentence in all_clip_texts(language).values():
            name = f"{language}/{sentence.clip}.flac"
            entry = shipped_clips().get(language, {}).get(sentence.clip)
            if entry is None or entry.text != sentence.text:
                rows.append(_Row(name, "there is no shipped sound for this sentence (reinstall Accord)"))
                continue
            try:
                Sources().clip(sentence)
            except ConfigError as error:
                rows.append(_Row(name, error.message))
                continue
            samples = soundfile.read(SOUNDS / name, dtype="float32")[0]
            rows.append(_measured(name, samples, RATE))
    return rows


def _recorded(found: Sources) -> list[_Row]:
    folder = found.recorded
    if folder is None:
        raise ConfigError(
            "prompt.nothing",
            "there is nothing to check",
            "give WAV files, or set [prompts] recorded to a folder",
        )
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return [_one_recorded(found, folder, path) for path in paths if path != folder / SCRIPT]


def _one_recorded(found: Sources, folder: Path, path: Path) -> _Row:
    name = path.relative_to(folder).as_posix()
    language, _, file = name.partition("/")
    clip = file.removesuffix(".wav")
    if language not in LANGUAGES or clip == file or not _known(language, clip):
        return _Row(name, "no sentence has this name (`accord prompt script` lists them)")
    if (sentence := all_clip_texts(language).get(clip)) is not None:
        try:
            found.check_words(path, sentence)
        except ConfigError as error:
            return _Row(name, f"{error.message.replace(f'{path} ', '')} ({error.hint})")
    return _file(path, name, clip=True)


def _known(language: str, clip: str) -> bool:
    """Whether a name belongs to a sentence, a tenant's own purpose, or another retention period or key."""
    return clip in all_clip_texts(language) or clip.startswith(
        ("purpose-", "kept-", "it-is-kept-", "opt-out-", "opt-in-", "refuse-", "language-")
    )
