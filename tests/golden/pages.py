"""The reference pages that the code makes: errors, log events, settings, the kinds of leaves, and the
columns that an audit does not compare.

    python -m tests.golden.pages     writes them anew

A log event's meaning is written in its page, where the next run keeps it; a new event gets an empty one.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from recorder import config, environment
from recorder.auditlog.kinds import KINDS, LeafKind
from recorder.catalogue.tables.registry import TABLES
from tests.golden.surfaces import ROOT, logged_levels, raised_errors

DOCS = ROOT / "docs"
EVENTS_PAGE = "log-events.md"
FORMATS_PAGE = "reference/formats.md"
SECURITY_PAGE = "reference/security.md"

LEAVES = "| `kind` | Body |\n|---|---|\n"
"""What precedes the kinds of leaves in their page."""

NOT_COMPARED = "| Table | Columns | Why not |\n|---|---|---|\n"
"""What precedes the columns that an audit does not compare."""

RECOVERED = (
    "The fault has ended: `fault` names it, `failures` and `seconds` say how often and how long it failed."
)

ERRORS = """\
# Errors

The id of an error is stable. It is in the logs (`error_id`) and in API responses (`type`). `{name}` and …
stand for values. `python -m tests.golden.pages` makes this page from the code.
"""

EVENTS = """\
# Log events

The event of each line in the logs. A fault that is met again and again is logged when it begins, when it gets
another cause, and when it ends (`….recovered`). `error_id` is explained in [errors.md](errors.md).
`python -m tests.golden.pages` adds new events; their meanings are written here.
"""

SETTINGS = """\
# Settings

Settings come from one TOML file (`--config` or `ACCORD_CONFIG`) and from the environment, which takes
precedence. In a variable, a list is written with commas. A variable that ends in `_FILE` names a file with
the value, for secrets. An unknown setting or `ACCORD_…` variable is refused. In Kubernetes, set
`enableServiceLinks: false`, or the variables of a service called `accord` are refused, too.
`python -m tests.golden.pages` makes this page from `recorder/config.py`.
"""


def errors_page() -> str:
    """Every error, by area."""
    return ERRORS + "".join(_error_area(area, each) for area, each in _by_area(raised_errors()))


def _error_area(area: str, ids: Iterable[str]) -> str:
    rows = [f"\n## {area}\n\n| Error | Message | What to do |\n|---|---|---|\n"]
    for error_id in ids:
        error = raised_errors()[error_id]
        classes = ", ".join(error.classes)
        name = f'<a id="{error_id}"></a>`{error_id}`<br>{classes}'
        rows.append(f"| {name} | {_cell(error.messages)} | {_cell(error.hints)} |\n")
    return "".join(rows)


def _cell(texts: Iterable[str]) -> str:
    return "<br>".join(text.replace("|", "\\|").replace("<", "&lt;") for text in texts) or "…"


def events_page() -> str:
    """Every event, with the meanings that the page has."""
    meanings = event_meanings()
    rows = [EVENTS, "\n| Event | Level | Meaning | What to do |\n|---|---|---|---|\n"]
    for event, levels in logged_levels().items():
        default = (RECOVERED if event.endswith(".recovered") else "", "")
        text, action = meanings.get(event, default)
        rows.append(f"| `{event}` | {', '.join(levels)} | {text} | {action} |\n")
    return "".join(rows)


def formats_page() -> str:
    """The formats, with every kind of leaf."""
    return _with_rows(FORMATS_PAGE, LEAVES, (_leaf_row(*each) for each in KINDS.items()))


def security_page() -> str:
    """The page about security, with every column that an audit does not compare."""
    found = ((model._meta.table_name, *each) for model in TABLES for each in model.not_compared)
    rows = (f"| `{table}` | `{', '.join(names.split())}` | {reason} |\n" for table, names, reason in found)
    return _with_rows(SECURITY_PAGE, NOT_COMPARED, rows)


def _with_rows(page: str, heading: str, rows: Iterable[str]) -> str:
    """A page with other rows in the table below a heading."""
    before, _, rest = (DOCS / page).read_text("utf-8").partition(heading)
    return before + heading + "".join(rows) + rest[rest.index("\n\n") + 1 :]


def _leaf_row(name: str, kind: LeafKind) -> str:
    optional = f"; perhaps {_code(kind.optional)}" if kind.optional else ""
    about = f". {kind.about[0].upper()}{kind.about[1:]}" if kind.about else ""
    return f"| `{name}`{' †' if kind.erased_with else ''} | {_code(kind.fields)}{optional}{about} |\n"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def event_meanings() -> dict[str, tuple[str, str]]:
    """Meaning and remedy of each event that the page has."""
    page = DOCS / EVENTS_PAGE
    rows = re.findall(
        r"(?m)^\| `([^`]+)` \| [^|]* \| (.*?) ?\| (.*?) ?\|$",
        page.read_text("utf-8") if page.exists() else "",
    )
    return {event: (text, action) for event, text, action in rows}


def settings_page() -> str:
    """Every setting, by section."""
    docstrings = _docstrings(ast.parse(Path(config.__file__).read_text("utf-8")))
    rows = [SETTINGS]
    for section, model in config.sections().items():
        texts = docstrings[model.__name__]
        rows.append(f"\n## [{section}]\n\n{texts['']}\n\n| Setting | Default | Meaning |\n|---|---|---|\n")
        for name, field in model.model_fields.items():
            secret = " **Secret.**" if (section, name) in environment.secrets() else ""
            rows.append(
                f"| `{name}`<br>{_type(field)}<br>`{config.variable_of(section, name)}` "
                f"| {_default(field)} | {texts[name]}{secret} |\n"
            )
    return "".join(rows)


def _docstrings(module: ast.Module) -> dict[str, dict[str, str]]:
    """The docstrings of each class, and those below its fields."""
    found: dict[str, dict[str, str]] = {}
    for each in module.body:
        if isinstance(each, ast.ClassDef):
            found[each.name] = {"": _markdown(ast.get_docstring(each) or "")} | dict(_field_docstrings(each))
    return found


def _field_docstrings(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for each, after in zip(node.body, node.body[1:], strict=False):
        match each, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str() as text)),
            ):
                yield name, _markdown(text)


def _markdown(text: str) -> str:
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def _type(field: FieldInfo) -> str:
    return _type_name(field.annotation)


def _type_name(annotation: Any) -> str:
    arguments = [each for each in get_args(annotation) if each is not type(None)]
    if annotation is SecretStr or annotation is str:
        return "text"
    if get_origin(annotation) is tuple:
        return f"list of {_type_name(arguments[0])}"
    if isinstance(annotation, type):
        return {int: "whole number", float: "number", bool: "`true` or `false`", Path: "path"}.get(
            annotation, annotation.__name__
        )
    if all(isinstance(each, str) for each in arguments):
        return ", ".join(f"`{each}`" for each in arguments)
    return _type_name(arguments[0])


def _default(field: FieldInfo) -> str:
    default = field.default
    if field.default_factory is not None or default is None or default in ("", ()):
        return ""
    if isinstance(default, SecretStr):
        return ""
    if isinstance(default, tuple):
        return " ".join(f"`{each}`" for each in default)
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _by_area(ids: Iterable[str]) -> Iterator[tuple[str, Iterator[str]]]:
    return groupby(ids, lambda each: each.partition(".")[0])


PAGES: dict[str, Callable[[], str]] = {
    "errors.md": errors_page,
    EVENTS_PAGE: events_page,
    "settings.md": settings_page,
    FORMATS_PAGE: formats_page,
    SECURITY_PAGE: security_page,
}

if __name__ == "__main__":
    for page, make_text in PAGES.items():
        (DOCS / page).write_text(make_text(), "utf-8")
        print(page, file=sys.stderr)
