"""Every command that the documentation, a hint, a comment or a unit file names exists, with its options."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from recorder.cli import accord

ROOT = Path(__file__).parents[3]
FOLDERS = (
    "recorder",
    "web",
    "demo",
    "bench",
    "deploy",
    "docs",
    "freeswitch_conf",
    "tests/unit",
    "tests/integration",
)
FILES = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "Makefile")
ENDINGS = ("md", "py", "html", "yml", "yaml", "toml", "xml", "service", "conf", "sh", "po")

GAP = r"(?:[ \t]+|[ \t]*\n[ \t]*(?:#[ \t]*)?|[\"'][ \t]*\n[ \t]*f?[\"'])"
"""Between two words of a command: spaces, or where its sentence was wrapped."""

QUOTED = re.compile(rf"(?P<mark>``|`)(?:sudo -u accord )?accord{GAP}(?P<words>[^`]*?)(?P=mark)")
LINE = re.compile(r"^[ \t]*(?:\$ |# )?(?:sudo (?:-u accord )?)?accord (?P<words>[a-z].*)$", re.MULTILINE)
"""A command on a line of its own, in a block of the documentation or in a script."""

BARE = re.compile(rf"(?<![\w/.`@={{-])accord{GAP}(?P<words>[a-z][a-z-]*{GAP}[a-z][a-z-]*)")
"""A command without quotes, as in logs and alerts: it is one if its first word is a noun of the tree."""

LABELS = frozenset({"session", "account link"})
"""After ``accord``, the labels of derived keys, which documentation quotes."""

END = re.compile(r" (?:#|&&|\||<|>) ")

SUBSTITUTION = re.compile(r"\$\([^()]*\)")
"""What a shell replaces by the output of another command."""


class UnknownCommand(Exception):
    """A mention that an operator could not type."""


def check_mention(words: list[str]) -> None:
    """Raises :class:`UnknownCommand` where the tree has no such command or option."""
    command: click.Command = accord
    context = root_context()
    path: list[str] = []
    while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        found = command.get_command(context, words[0])
        if found is None:
            raise UnknownCommand(f"accord {' '.join([*path, words[0]])}")
        path.append(words.pop(0))
        command = found
    known = {name for each in command.get_params(context) for name in (*each.opts, *each.secondary_opts)}
    for word in words:
        option = re.match(r"--?[a-z][a-z-]*", word.lstrip("["))
        if option is not None and option[0] not in known:
            raise UnknownCommand(f"accord {' '.join(path)} has no {option[0]}")


def find_mentions(path: Path) -> Iterator[list[str]]:
    """The words of each command that a file names, after ``accord``."""
    text = path.read_text("utf-8")
    nouns = accord.list_commands(root_context())
    patterns = [QUOTED, BARE, *([LINE] if path.suffix in (".md", ".sh", "") else [])]
    for pattern in patterns:
        for found in pattern.finditer(text):
            line = SUBSTITUTION.sub("VALUE", re.sub(GAP, " ", found["words"]))
            words = END.split(line)[0].replace("\\", " ").split()
            if pattern is not BARE or words[0] in nouns:
                yield words


def root_context() -> click.Context:
    return click.Context(accord, **accord.context_settings)


@cache
def _files() -> tuple[Path, ...]:
    names = subprocess.check_output(["git", "ls-files", *FOLDERS, *FILES], cwd=ROOT, text=True).split("\n")
    paths = (ROOT / name for name in names if name)
    # This file has examples of commands that do not exist.
    paths = tuple(path for path in paths if path != Path(__file__))
    return tuple(path for path in paths if path.suffix.lstrip(".") in ("", *ENDINGS) and path.is_file())


def test_every_command_that_is_named_exists() -> None:
    unknown = []
    count = 0
    for path in _files():
        for words in find_mentions(path):
            if " ".join(words) in LABELS:
                continue
            count += 1
            try:
                check_mention(words)
            except UnknownCommand as error:
                unknown.append(f"{path.relative_to(ROOT)}: {error}")
    assert not unknown, "\n".join(unknown)
    assert count > 300


@pytest.mark.parametrize(
    "text",
    ["`accord keys show`", "`accord key show --loudly`", "``accord audit\n    begin``", "run accord key new"],
    ids=repr,
)
def test_command_that_does_not_exist_is_found(tmp_path: Path, text: str) -> None:
    path = tmp_path / "page.md"
    path.write_text(text, "utf-8")
    words = next(find_mentions(path))
    with pytest.raises(UnknownCommand):
        check_mention(words)
