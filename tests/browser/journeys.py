"""Writes docs/results/journeys.md: what a customer's first tasks take, as ``test_journeys.py`` measures them.

python -m tests.browser.journeys
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from datetime import date
from pathlib import Path

import pytest

from recorder import __version__

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "results" / "journeys.md"

HEAD = """\
# A customer's first tasks

How many clicks and keys each task takes on a phone (360 px wide, in French), and how long, from the list of
calls on. `python -m tests.browser.journeys` does them in a browser and writes this page. The browser neither
reads nor thinks: the seconds are those in which people wait for the panel, or for the call with the code.

| Task | Clicks | Keys | Seconds |
|---|---|---|---|
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journeys"
        os.environ["TEST_JOURNEYS"] = str(path)
        failed = pytest.main(
            ["-q", "-p", "no:cacheprovider", str(Path(__file__).with_name("test_journeys.py"))]
        )
        if failed:
            return int(failed)
        found = [json.loads(line) for line in path.read_text().splitlines()]
    rows = (f"| {each['goal']} | {each['clicks']} | {each['keys']} | {each['seconds']} |\n" for each in found)
    last = (
        f"\nVersion {__version__}, {date.today():%-d %B %Y}, panel and browser on {os.cpu_count()} cores.\n"
    )
    PAGE.write_text(HEAD + "".join(rows) + last)
    return 0


if __name__ == "__main__":
    sys.exit(main())
