"""The file of an extension ahead of Accord, if it can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.ops.doctor.routes import _place

EXTENSION = (
    '<include><extension\n  continue="true" name="local.example.com"><condition/></extension></include>'
)


@pytest.mark.parametrize(
    ("files", "suffix"),
    [
        ({}, ""),
        ({"default/01_example.com.xml": EXTENSION}, " (dialplan/default/01_example.com.xml)"),
        ({"default.xml": EXTENSION.replace("local.", "local-")}, ""),
        ({"default/notes.txt": EXTENSION}, ""),
        (
            {f"{name}.xml": EXTENSION for name in "dabc"},
            " (dialplan/a.xml, dialplan/b.xml, dialplan/c.xml)",
        ),
    ],
)
def test_extension_is_reported_with_its_files(tmp_path: Path, files: dict[str, str], suffix: str) -> None:
    folder = tmp_path / "dialplan"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    place = "extension 'local.example.com' of context 'default'"
    assert _place(folder, "default", "local.example.com") == place + suffix
    assert _place(None, "default", "local.example.com") == place
