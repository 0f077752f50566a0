"""What people read on a page."""

from __future__ import annotations

import html
import re


def english(page):
    """The browser, with English chosen."""
    page.send("/language", language="en")
    return page


def text_of(page: str) -> str:
    """The text of a page's main part, in one line."""
    main = page.partition("<main")[2]
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", main)).replace("\u00a0", " ").split())
