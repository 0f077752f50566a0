"""A list of breached passwords, in the format of Have I Been Pwned's download."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from random import Random

import pytest

from recorder.errors import ConfigError
from recorder.identity import breached_passwords
from recorder.identity.breached_passwords import check_list, is_breached
from tests.expected_errors import expect_error

LISTED = [f"breached number {number}" for number in range(20_000)]


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def lines_of(listed: list[str]) -> list[str]:
    random = Random(1)
    return sorted(f"{sha1(each)}:{random.randrange(10 ** random.randint(1, 9))}" for each in listed)


def write(path: Path, lines: list[str], end: str = "\r\n", last: str = "\r\n") -> Path:
    path.write_bytes((end.join(lines) + last).encode())
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("breached") / "pwned.txt", lines_of(LISTED))


def test_listed_passwords_are_found_and_no_others(whole: Path) -> None:
    assert check_list(whole) == whole.stat().st_size
    assert all(is_breached(whole, each) for each in LISTED[::7])
    assert not any(is_breached(whole, f"{each}!") for each in LISTED[::7])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
@pytest.mark.parametrize(("end", "last"), [("\r\n", "\r\n"), ("\n", "\n"), ("\n", "")])
def test_every_place_of_a_short_list(tmp_path: Path, count: int, end: str, last: str) -> None:
    path = write(tmp_path / "list", lines_of(LISTED[:count]), end, last)
    assert check_list(path) == path.stat().st_size
    assert [is_breached(path, each) for each in LISTED[: count + 50]] == [True] * count + [False] * 50


def test_little_of_the_file_is_read(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def pread(file: int, size: int, offset: int) -> bytes:
        sizes.append(size)
        return real(file, size, offset)

    real = os.pread
    monkeypatch.setattr(breached_passwords.os, "pread", pread)
    assert is_breached(whole, LISTED[0])
    assert not is_breached(whole, "seven quiet lanterns")
    assert sum(sizes) < 10_000 < whole.stat().st_size / 80


def test_lower_case_and_letters_beyond_ascii(tmp_path: Path) -> None:
    path = write(tmp_path / "list", [each.lower() for each in lines_of(["élan vital", "other"])])
    assert is_breached(path, "élan vital")
    assert not is_breached(path, "elan vital")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "malformed"),
        (b"password:12\npassword1:3\n", "malformed"),
        (b"8846F7EAEE8FB117AD06BDD830B7586C:12\n" * 9, "malformed"),  # NTLM
        (b"\0" * 10_000, "malformed"),
        ("\n".join(reversed(lines_of(LISTED[:500]))).encode(), "unsorted"),
        ("\n".join(lines_of(LISTED[:300]) + lines_of(LISTED[300:500])).encode(), "unsorted"),
        ("\n".join([lines_of(LISTED)[0]] * 9).encode(), "unsorted"),
    ],
)
def test_other_files_are_refused_with_what_to_do(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "list"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=str(path)) as refused:
        check_list(path)
    assert refused.value.error_id == f"breached_passwords.{problem}"
    assert "haveibeenpwned.com" in refused.value.hint


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_unreadable_list_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "folder" else tmp_path / "missing"
    for use in (check_list, lambda path: is_breached(path, "x")):
        with expect_error(ConfigError, "breached_passwords.unreadable"):
            use(path)


def test_search_notices_a_list_that_is_not_sorted(tmp_path: Path) -> None:
    path = write(tmp_path / "list", list(reversed(lines_of(LISTED[:500]))))
    with expect_error(ConfigError, "breached_passwords.unsorted"):
        is_breached(path, LISTED[0])


def test_list_cut_off_in_a_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes("\n".join(lines_of(LISTED[:500])).encode()[:-45])
    with pytest.raises(ConfigError):
        check_list(path)
