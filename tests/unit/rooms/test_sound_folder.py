"""The folder for the sound of rooms: in memory, closed to others, and empty but for a moment."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from recorder.errors import ConfigError
from recorder.features.rooms import sound_folder
from recorder.features.rooms.sound_folder import RATE, TAIL_MS, SoundFolder
from tests.expected_errors import expect_error

MOUNTS = "31 24 {device} / {path} rw,relatime shared:1 - {kind} tmpfs rw,size=65536k{more}\n"
NO_SWAPS = "Filename Type Size Used Priority\n"


@pytest.fixture
def folder() -> Iterator[SoundFolder]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="accord-test-") as name:
        path = Path(name)
        path.chmod(0o2750)
        yield SoundFolder(path)


@pytest.fixture
def kernel(tmp_path: Path, folder: SoundFolder, monkeypatch: pytest.MonkeyPatch):
    """Has the kernel say how the folder is mounted, and what swap space there is."""

    def say(kind: str = "tmpfs", more: str = "", swaps: str = "") -> None:
        number = folder.path.stat().st_dev
        device = f"{os.major(number)}:{os.minor(number)}"
        (tmp_path / "mounts").write_text(MOUNTS.format(device=device, path=folder.path, kind=kind, more=more))
        (tmp_path / "swaps").write_text(NO_SWAPS + swaps)
        monkeypatch.setattr(sound_folder, "_MOUNTS", tmp_path / "mounts")
        monkeypatch.setattr(sound_folder, "_SWAPS", tmp_path / "swaps")

    return say


SWAP = "/dev/sda2 partition 8388604 0 -2\n"


@pytest.mark.parametrize(("more", "swaps"), [(",noswap", SWAP), ("", "")])
def test_memory_that_is_never_swapped_out_will_do(folder, kernel, more: str, swaps: str) -> None:
    kernel(more=more, swaps=swaps)
    folder.check()


@pytest.mark.parametrize(("kind", "swaps"), [("ext4", ""), ("tmpfs", SWAP)])
def test_what_may_come_to_a_disk_is_refused(folder, kernel, kind: str, swaps: str) -> None:
    kernel(kind=kind, swaps=swaps)
    with expect_error(ConfigError, "rooms.sounds"):
        folder.write(iter([b"sound"]))
    assert not list(folder.path.iterdir())


def test_folder_that_is_open_to_all_or_is_not_there_is_refused(folder, kernel, tmp_path: Path) -> None:
    kernel()
    folder.path.chmod(0o755)
    with expect_error(ConfigError, "rooms.sounds"):
        folder.check()
    with expect_error(ConfigError, "rooms.sounds"):
        SoundFolder(tmp_path / "absent").check()


def test_sound_is_readable_by_the_group_alone_and_has_silence_after_it(folder, kernel) -> None:
    kernel()
    path = folder.write(iter([b"\x01\x10" * RATE, b"\x02\x20" * RATE]))
    assert path.stat().st_mode & 0o777 == 0o640
    samples, rate = soundfile.read(path, dtype="int16")
    assert (rate, len(samples)) == (RATE, 2 * RATE + TAIL_MS * RATE // 1000)
    assert samples[0] == 0x1001
    assert samples[2 * RATE - 1] == 0x2002
    assert not samples[2 * RATE :].any()


def test_nothing_is_left_where_the_sound_ends_early(folder, kernel) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"sound"
        raise OSError("the store is away")

    kernel()
    with pytest.raises(OSError, match="away"):
        folder.write(pieces())
    assert not list(folder.path.iterdir())


def test_what_a_process_left_is_removed(folder, kernel, tmp_path: Path) -> None:
    kernel()
    folder.write(iter([b"sound"]))
    folder.empty()
    assert not list(folder.path.iterdir())
    SoundFolder(tmp_path / "absent").empty()


def test_an_empty_room_leaves_the_sound_of_somebodys_own_call(folder: SoundFolder) -> None:
    own_call = SoundFolder(folder.path, "own-call").write(iter([bytes(160)]))
    room = folder.write(iter([bytes(160)]))
    folder.tidy()
    assert own_call.exists()
    assert not room.exists()
    folder.empty()
    assert not own_call.exists()
