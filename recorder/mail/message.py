"""Messages to people, in plain text and HTML, from a template for each kind and language.

A template is ``messages/<kind>.toml`` with a section for each language: ``subject``, ``text`` (before the
link), ``action`` (the button's label) and ``after`` (what follows it). A message's own sections come between
text and link. ``{name}`` stands for a value; ``{provider}``, the provider's name, is in every message,
and at the top of its HTML. Values come from customers, so they are shortened to one line without addresses of
websites, which mail programs would turn into links, and escaped in HTML.
"""

from __future__ import annotations

import html
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from string import Template
from typing import Final

FOLDER: Final = Path(__file__).with_name("messages")

LONGEST: Final = 120
"""Maximum length of a value in a message, in characters."""

LOGO: Final = "<!-- logo -->"
"""Where the provider's logo stands in the HTML. It is put in when the mail is sent, as the sender is, so that
queued mails do not each hold a copy."""

_DOT: Final = re.compile(r"(?<=\w)\.(?=[^\W\d_]{2})")
"""The dot before a part of a domain; not that of ``B.V.`` or ``2.50``."""

_MAIL_ADDRESS: Final = re.compile(r"[^@/]+@[^@/]+")


@dataclass(frozen=True, slots=True)
class MailSection:
    """A sentence in a message, in its language, and the lines that it is about. What customers wrote in them
    has gone through :func:`one_line`."""

    title: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MailMessage:
    """A message to one person: its ``kind`` names the template. ``path`` is where its link leads in the
    panel (``/invitation/…``), empty for none. It is not sent any more when it is older than ``lifetime``."""

    kind: str
    language: str
    values: Mapping[str, str] = field(default_factory=dict)
    path: str = field(default="", repr=False)
    lifetime: timedelta = timedelta(days=3)
    sections: tuple[MailSection, ...] = ()


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A message's subject, plain text and HTML."""

    subject: str
    text: str
    html: str


def render(message: MailMessage, panel: str, provider: str) -> RenderedMail:
    """Render a message of the ``provider``, by its name, whose link leads into the panel at the address
    ``panel``. Raises ``KeyError`` for a value that the template needs and the message lacks,
    ``FileNotFoundError`` for an unknown kind."""
    words = {"action": "", "after": ""} | _words(message.kind, message.language)
    values = {name: one_line(value) for name, value in {**message.values, "provider": provider}.items()}
    texts = {name: words[name].format_map(values).strip() for name in ("subject", "text", "action", "after")}
    link = f"{panel}{message.path}" if message.path else ""
    listed = ["\n".join([each.title, *(f"- {line}" for line in each.lines)]) for each in message.sections]
    parts = [texts["text"], *listed, f"{texts['action']}\n{link}" if link else "", texts["after"]]
    return RenderedMail(
        one_line(texts["subject"], 200),
        "\n\n".join(part for part in parts if part) + "\n",
        _page(message, texts, link, values["provider"]),
    )


def one_line(text: str, longest: int = LONGEST) -> str:
    """A value in one line, without invisible characters and without web addresses: mail programs also make
    links of names like ``www.example.com``, so a blank follows their dots. Mail addresses stay."""
    plain = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text)
    words = plain.replace("://", " ").split()
    plain = " ".join(each if _MAIL_ADDRESS.fullmatch(each) else _DOT.sub(". ", each) for each in words)
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


def _page(message: MailMessage, texts: Mapping[str, str], link: str, provider: str) -> str:
    common = _words("layout", message.language)
    button = ""
    if link:
        button = _template("button.html").substitute(
            link=html.escape(link), action=html.escape(texts["action"]), copy=html.escape(common["copy"])
        )
    return _template("layout.html").substitute(
        language=html.escape(message.language if message.language in _sections(message.kind) else "en"),
        subject=html.escape(one_line(texts["subject"], 200)),
        logo=LOGO,
        provider=html.escape(provider),
        text="\n".join([_paragraphs(texts["text"]), *map(_section, message.sections)]),
        button=button,
        after=_paragraphs(texts["after"]),
    )


def _paragraphs(text: str) -> str:
    parts = (part.strip().replace("\n", " ") for part in text.split("\n\n"))
    return "\n".join(f'<p style="margin:0 0 16px">{html.escape(part)}</p>' for part in parts if part)


def _section(section: MailSection) -> str:
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in section.lines)
    listed = f'\n<ul style="margin:0 0 16px;padding-left:20px">{lines}</ul>' if lines else ""
    return f'<p style="margin:0 0 8px">{html.escape(section.title)}</p>{listed}'


def _words(kind: str, language: str) -> dict[str, str]:
    sections = _sections(kind)
    return sections.get(language) or sections["en"]


@cache
def _sections(kind: str) -> dict[str, dict[str, str]]:
    return tomllib.loads((FOLDER / f"{kind}.toml").read_text("utf-8"))


@cache
def _template(name: str) -> Template:
    return Template((FOLDER / name).read_text("utf-8"))
