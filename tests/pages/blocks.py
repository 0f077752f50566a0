"""The command blocks of a documentation page.

A fenced block of language ``sh`` is run whole, and every command must succeed. In one of language ``console``
a line that begins with ``$ `` is a command (``> `` continues it), and the lines up to the next one are its
output: ``…`` stands for anything within a line, and alone on a line for any number of lines. A command whose
line ends in ``# exits with N`` must do so; every other one must succeed.

An HTML comment before a block marks it: ``<!-- not run: reason -->``, or ``<!-- page: event -->`` for what
happens outside the shell first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- (not run|page): (.+?) -->")
_STATUS = re.compile(r"#\s+exits with (\d+)\s*$")


@dataclass(frozen=True, slots=True)
class Command:
    """What is words, what is printed (``None``: not shown), and the exit status."""

    text: str
    output: str | None = None
    status: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """A block of ``sh`` or ``console`` on a page, at a line; ``not_run`` is the reason why it is not run."""

    line: int
    language: str
    body: str
    events: tuple[str, ...] = ()
    not_run: str = ""
    commands: tuple[Command, ...] = field(default=())


def blocks(page: Path) -> Iterator[Block]:
    """The command blocks of a page, in order."""
    text = page.read_text("utf-8")
    end = 0
    for match in _BLOCK.finditer(text):
        marks = _COMMENT.findall(text[end : match.start()])
        end = match.end()
        if match["language"] not in ("sh", "console"):
            continue
        body = re.sub(rf"^{match['indent']}", "", match["body"], flags=re.MULTILINE)
        yield Block(
            line=text.count("\n", 0, match.start()) + 1,
            language=match["language"],
            body=body,
            events=tuple(value for kind, value in marks if kind == "page"),
            not_run=next((value for kind, value in marks if kind == "not run"), ""),
            commands=tuple(_commands(body)) if match["language"] == "console" else (Command(body),),
        )


def _commands(body: str) -> Iterator[Command]:
    words: list[str] = []
    output: list[str] = []
    for line in [*body.splitlines(), "$ "]:
        if line.startswith("$ "):
            if words:
                text = "\n".join(words)
                status = _STATUS.search(text)
                yield Command(text, "\n".join(output), int(status[1]) if status else 0)
            words, output = [line[2:]], []
        elif line.startswith("> ") and not output:
            words.append(line[2:])
        else:
            output.append(line)


def pattern(output: str) -> re.Pattern[str]:
    """What matches an output as a page shows it."""
    lines = []
    for line in output.rstrip().splitlines():
        if line.strip() == "…":
            lines.append(r"(?:.*\n)*?")
        else:
            lines.append(".*?".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ \t]*\n")
    return re.compile("".join(lines) + r"\s*")
