"""The page of the command line, ``docs/command-line.md``, from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from recorder.cli import accord
from tests.golden.json_shapes import WITHOUT_JSON, Shape, documents

HEAD = """# The command line

Written by `python -m tests.golden.surfaces` from the commands themselves, as `accord COMMAND --help` shows
them.

Every command is `accord NOUN VERB`; the daily commands of a machine are one word. `accord --config FILE …`
or `ACCORD_CONFIG` names the settings file.

- **Tenants.** `TENANT` and `--tenant` take a tenant's id or name; `--provider` stands for the provider
  itself. A recording's id needs no tenant.
- **Output.** A list is a table with a header, a single thing has a line for each field. A command that
  changes a setting prints the new value, one that creates something prints its id. Logs, questions, warnings
  and progress go to standard error.
- **`--json`** prints one JSON document on standard output: times in ISO 8601 (UTC), sizes in bytes, retention
  in days, names as in the table's header. New fields may appear; the ones listed here stay.
- **Exit codes.** 0: success. 1: a failure, or findings (`doctor`, `status`, `upgrade check`, `audit run`,
  `country check`, `prompt check`, `recording verify`, `recording import`, `tenant import`, `rebuild`,
  `line set` of several numbers). 2: wrong usage or settings; nothing was done.
- **Confirmation.** A command that erases or restricts shows the consequences and asks. `--dry-run` shows them
  and ends, `--yes` skips the question. Without a terminal and without `--yes` it exits with 2.
- **Progress.** A long command rewrites one line on a terminal, and elsewhere prints a line every ten seconds.
- **Secrets** are read from a file, or typed; no option takes one.
- **Completion.** `accord completion bash`, `zsh` or `fish` prints the script for a shell.
"""


def page() -> str:
    """The page."""
    return "\n".join([HEAD, *_commands(accord, click.Context(accord, info_name="accord", **_SETTINGS))])


_SETTINGS = accord.context_settings


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)
        else:
            yield from _command(command, inner)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    path = context.command_path
    yield f"## {path}\n"
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield f"`{usage}`\n"
    yield f"{_help(command)}\n"
    options = (each for each in command.get_params(context) if isinstance(each, click.Option))
    records = [each.get_help_record(context) for each in options]
    rows = [(name, text) for name, text in filter(None, records) if name != "-h, --help"]
    if rows:
        yield "| Option | |\n|---|---|"
        yield from (f"| `{_cell(name)}` | {_cell(text)} |" for name, text in rows)
        yield ""
    words = path.removeprefix("accord ")
    if words in WITHOUT_JSON:
        yield f"No `--json`: it {WITHOUT_JSON[words]}.\n"
    else:
        yield f"JSON: `{format_shape(documents()[words])}`\n"


def _help(command: click.Command) -> str:
    """The help in paragraphs; one that begins with a backspace keeps its lines."""
    paragraphs = []
    for each in (command.help or "").split("\n\n"):
        if each.startswith("\b"):
            paragraphs.append("```\n" + each.removeprefix("\b").strip("\n") + "\n```")
        else:
            paragraphs.append(" ".join(each.split()))
    return "\n\n".join(paragraphs)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("|", "\\|")).strip()


Tree = dict[str, "Tree"]


def format_shape(shape: Shape) -> str:
    """The fields of a document, those of inner records in braces: ``tenants[] {id, name}``."""
    tree: Tree = {}
    for path in shape:
        branch = tree
        for name in path.split("."):
            branch = branch.setdefault(name, {})
    return _format_tree(tree)


def _format_tree(tree: Tree) -> str:
    return ", ".join(name + (f" {{{_format_tree(inner)}}}" if inner else "") for name, inner in tree.items())
