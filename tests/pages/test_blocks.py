"""How a page's blocks are read, and outputs compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.blocks import blocks, pattern

PAGE = """\
# Page

```toml
key = 1
```

<!-- not run: needs a disk -->
```sh
mount
```

1. A step:

   <!-- page: running -->
   ```console
   $ accord status   # exits with 1
   ok
   $ echo \\
   > two
   two
   ```
"""


def test_blocks_of_a_page(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    skipped, console = blocks(tmp_path / "page.md")
    assert (skipped.line, skipped.language, skipped.not_run) == (8, "sh", "needs a disk")
    assert console.events == ("running",)
    assert not console.not_run
    status, echo = console.commands
    assert (status.text, status.output, status.status) == ("accord status   # exits with 1", "ok", 1)
    assert (echo.text, echo.output, echo.status) == ("echo \\\ntwo", "two", 0)


@pytest.mark.parametrize(
    ("output", "printed"),
    [
        ("", ""),
        ("one two", "one two\n"),
        ("one … two", "one and two  \n"),
        ("…", "one\ntwo\n"),
        ("one\n…\nfour", "one\ntwo\nthree\nfour\n"),
        ("one\n…", "one\n"),
        ("a.c (1)", "a.c (1)\n"),
    ],
)
def test_output_is_as_shown(output: str, printed: str) -> None:
    assert pattern(output).fullmatch(printed)


@pytest.mark.parametrize(
    ("output", "printed"),
    [
        ("", "one\n"),
        ("one", "one\ntwo\n"),
        ("one …", "two\n"),
        ("one\n…\nfour", "one\ntwo\n"),
        ("a.c", "abc\n"),
        ("one … two", "one\ntwo\n"),
    ],
)
def test_output_is_not_as_shown(output: str, printed: str) -> None:
    assert not pattern(output).fullmatch(printed)
