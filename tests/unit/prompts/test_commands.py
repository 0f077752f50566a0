"""``accord prompt``: list, script, render and check, with their errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from recorder import config
from recorder.cli.prompts import prompt
from recorder.errors import ConfigError
from recorder.processes.services import Context
from recorder.prompts.sentences import all_clip_texts
from recorder.prompts.sound_check import check_sound, read_file


def accord(*words: str | Path, recorded: Path | None = None, speech: str = "none") -> Result:
    environment = {"ACCORD_PROMPTS_SPEECH": speech}
    if recorded is not None:
        environment["ACCORD_PROMPTS_RECORDED"] = str(recorded)
    context = Context(config.load(None, environment), None)
    return CliRunner().invoke(prompt, [str(word) for word in words], obj=context)


def refused(result: Result) -> str:
    assert isinstance(result.exception, ConfigError), result.output
    assert result.exception.hint
    return result.exception.error_id


def test_list_shows_the_source_of_each_sentence(voice: Path) -> None:
    result = accord("list", "--language", "en", recorded=voice)
    assert result.exit_code == 0
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["LANGUAGE", "CLIP", "ORIGIN", "TEXT"]
    assert len(lines) == len(all_clip_texts("en"))
    (own,) = (line.split() for line in lines if line.split()[2] != "shipped")
    assert own == ["en", "recorded", "recorded", *["This", "call", "is", "being", "recorded."]]
    assert len(accord("list").stdout.splitlines()) == 1 + 4 * len(lines)


def test_script_lists_every_sentence_by_file_name() -> None:
    result = accord("script", "--language", "nl")
    rows = [line.split("\t") for line in result.stdout.splitlines() if line and not line.startswith("#")]
    assert rows == [[f"nl/{clip}.wav", each.spoken] for clip, each in all_clip_texts("nl").items()]
    assert ["nl/opt-out-2.wav", "Liever zonder opname verder? Druk dan op twee."] in rows


def test_render_writes_sound_and_prints_text(tmp_path: Path) -> None:
    wav = tmp_path / "made.wav"
    result = accord(
        "render", wav, "--language", "en", "--mode", "opt-out", "--purpose", "quality", "--keep-days", "7"
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "We record this call to improve our service. We keep it for seven days. To refuse, press 2.\n"
    )
    checked = check_sound(read_file(wav), wav.name)
    assert checked.sample_rate == 8000
    assert checked.sha256 in result.stderr
    assert "refuse-2: shipped" in result.stderr


def test_render_with_greeting_and_own_purpose(tmp_path: Path, speech: np.ndarray) -> None:
    first = tmp_path / "greeting.wav"
    soundfile.write(first, speech, 16000, subtype="PCM_16")
    wav = tmp_path / "made.wav"
    words = ["render", wav, "--language", "en", "--greeting", first, "--greeting-text", "Welcome."]
    result = accord(*words, "--rate", "16000")
    assert result.stdout.startswith("Welcome. We record this call so that")
    assert check_sound(read_file(wav), wav.name).sample_rate == 16000
    assert accord(*words, "--greeting-says-all").stdout == "Welcome.\n"
    assert refused(accord(*words[:6])) == "prompt.greeting_text"
    assert refused(accord(*words, "--purpose", "delivery")) == "prompt.purpose_words"
    assert refused(accord(*words, "--own", "delivery")) == "prompt.purpose_words"
    own = ["--purpose", "delivery", "--own", "delivery=It helps us to deliver."]
    assert refused(accord(*words, *own)) == "tts.none"


@pytest.mark.parametrize(
    ("error_id", "words"),
    [
        ("prompt.keep_time", ["--keep-days", "0"]),
        ("tts.none", ["--keep-days", "45"]),
        ("prompt.purpose_words", ["--purpose", "delivery"]),
    ],
)
def test_failed_render_leaves_no_file(tmp_path: Path, error_id: str, words: list[str]) -> None:
    wav = tmp_path / "made.wav"
    assert refused(accord("render", wav, "--language", "nl", *words)) == error_id
    assert not wav.exists()
    failure = accord("render", tmp_path / "no" / "made.wav", "--language", "fr").exception
    assert isinstance(failure, FileNotFoundError)
    assert failure.filename == str(tmp_path / "no" / "made.wav")


def test_render_requires_a_language(tmp_path: Path) -> None:
    for words in (["render", tmp_path / "a.wav"], ["list", "--language", "pt"]):
        assert accord(*words).exit_code == 2


@pytest.mark.long
def test_shipped_sounds_pass_the_check() -> None:
    result = accord("check", "--shipped")
    assert result.exit_code == 0, result.stdout
    _, *lines = result.stdout.splitlines()
    assert len(lines) == 4 * len(all_clip_texts("en"))
    assert {line.split()[-2] for line in lines} == {"ok"}


def test_checks_a_folder_of_recordings(voice: Path, speech: np.ndarray) -> None:
    result = accord("check", recorded=voice)
    assert result.exit_code == 0
    assert "en/recorded.wav" in result.stdout
    assert "quiet: it is brought to -20 LUFS; long silence at an end: it is cut off" in result.stdout
    soundfile.write(voice / "en" / "agreed.wav", np.stack([speech, speech], axis=1), 16000)
    soundfile.write(voice / "en" / "agreeed.wav", speech, 16000)
    (voice / "notes.txt").write_text("read by Anna", encoding="utf-8")
    result = accord("check", recorded=voice)
    assert result.exit_code == 1
    rows = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert "2 channels" in rows["en/agreed.wav"]
    assert "ffmpeg" in rows["en/agreed.wav"]
    assert "no sentence has this name" in rows["en/agreeed.wav"]
    assert "no sentence has this name" in rows["notes.txt"]
    assert "quiet" in rows["en/recorded.wav"]
    (voice / "script.txt").write_text("en/recorded.wav\tThis call is taped.\n", encoding="utf-8")
    rows = {line.split()[0]: line for line in accord("check", recorded=voice).stdout.splitlines()}
    assert "This call is taped." in rows["en/recorded.wav"]
    assert "script.txt" not in rows


def test_checks_single_files(tmp_path: Path, speech: np.ndarray) -> None:
    good, short = tmp_path / "good.wav", tmp_path / "short.wav"
    soundfile.write(good, speech, 16000, subtype="PCM_16")
    soundfile.write(short, speech[4000:14000], 16000, subtype="PCM_16")
    assert accord("check", good).exit_code == 0
    result = accord("check", good, short, tmp_path / "away.wav")
    assert result.exit_code == 1
    assert ["unusable" in line for line in result.stdout.splitlines()[1:]] == [False, True, True]
    assert accord("check", "--clips", good, short).exit_code == 0


def test_check_without_files_names_the_setting(tmp_path: Path) -> None:
    assert refused(accord("check")) == "prompt.nothing"
    assert refused(accord("list", recorded=tmp_path / "away")) == "prompt.folder"


def test_commands_exist() -> None:
    from recorder.cli import accord as whole

    result = CliRunner().invoke(whole, ["prompt", "--help"])
    assert all(word in result.output for word in ("list", "render", "check", "script"))
