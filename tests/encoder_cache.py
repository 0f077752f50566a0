"""Encodes a take once for all tests of a process that record the same call, and do little else."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path

from recorder.audio.encoding import encode_take

CAPACITY = 64
"""Takes of which the files are kept, in memory; each has up to a megabyte."""

_files: OrderedDict[str, tuple[int, dict[str, bytes]]] = OrderedDict()


def encode_once(folder: Path, prompt: Path) -> int:
    """As :func:`encode_take`, which makes the same bytes of the same take and the same prompts."""
    key = _digest(folder, prompt)
    if key in _files:
        _files.move_to_end(key)
        duration_ms, files = _files[key]
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return duration_ms
    before = _contents(folder)
    duration_ms = encode_take(folder, prompt)
    after = _contents(folder)
    if before.items() <= after.items():
        _files[key] = duration_ms, {name: after[name] for name in after.keys() - before.keys()}
        if len(_files) > CAPACITY:
            _files.popitem(last=False)
    return duration_ms


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _digest(folder: Path, prompt: Path) -> str:
    """What the encoder reads: the take, and all prompts."""
    digest = hashlib.sha256(prompt.name.encode())
    for each in (folder, prompt.parent):
        for name, content in sorted(_contents(each).items()):
            digest.update(f"{len(name)} {name} {len(content)} ".encode())
            digest.update(content)
        digest.update(b"|")
    return digest.hexdigest()
