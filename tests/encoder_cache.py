"""Encodes a take once for all tests of a run that record the same call, and do little else."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

from recorder.audio.encoding import encode_take

FOLDER = "TEST_ENCODED_TAKES"
"""The variable that names the folder of the run's takes, to its workers and the processes that they start."""


def encode_once(folder: Path, prompt: Path) -> int:
    """As :func:`encode_take`, which makes the same bytes of the same take and the same prompts."""
    shared = os.environ.get(FOLDER)
    if shared is None:
        return encode_take(folder, prompt)
    file = Path(shared) / _digest(folder, prompt)
    try:
        duration_ms, files = pickle.loads(file.read_bytes())  # of this run
    except FileNotFoundError:
        return _encode(folder, prompt, file)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return int(duration_ms)


def _encode(folder: Path, prompt: Path, file: Path) -> int:
    before = _contents(folder)
    duration_ms = encode_take(folder, prompt)
    after = _contents(folder)
    if before.items() <= after.items():
        temporary = file.with_name(f"{file.name}.{os.getpid()}")
        files = {name: after[name] for name in after.keys() - before}
        temporary.write_bytes(pickle.dumps((duration_ms, files)))
        temporary.rename(file)
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
