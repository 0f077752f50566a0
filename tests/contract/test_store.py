"""The contract of a store: one suite for all implementations."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from recorder.errors import StoreError
from recorder.store.contract import Conflict, NotFound
from tests.expected_errors import expect_error

from .conftest import Case

LARGE = os.urandom(3 * 1024 * 1024 + 17)


@pytest.mark.parametrize("content", [b"", b"x", LARGE], ids=["empty", "one", "large"])
def test_reads_back_what_was_put(case: Case, content: bytes) -> None:
    key = case.put("audio.opus", content)
    assert case.store.read(key) == content
    assert case.store.size(key) == len(content)


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 1), (0, 65536), (65536, 131072), (5, 5), (7, 3), (len(LARGE) - 1, None), (100, None), (0, None)],
)
def test_reads_a_range(case: Case, start: int, end: int | None) -> None:
    key = case.put("audio.opus", LARGE)
    assert case.store.read(key, start, end) == LARGE[start:end]


def test_range_past_the_end_is_short(case: Case) -> None:
    key = case.put("peaks", b"0123456789")
    assert case.store.read(key, 8, 100) == b"89"
    assert case.store.read(key, 10, 20) == b""
    assert case.store.read(key, 50) == b""
    empty = case.put("none", b"")
    assert case.store.read(empty, 0, 65536) == b""


def test_repeated_put_is_no_error(case: Case) -> None:
    key = case.put("manifest.json", b"{}")
    assert case.put("manifest.json", b"{}") == key
    assert case.store.read(key) == b"{}"


def test_different_put_is_a_conflict(case: Case) -> None:
    key = case.put("manifest.json", b'{"first":1}')
    with expect_error(Conflict, "store.conflict"):
        case.put("manifest.json", b'{"other":1}')
    assert case.store.read(key) == b'{"first":1}'


def test_put_with_a_wrong_hash_is_not_kept(case: Case) -> None:
    path, _ = case.file(b"changed on its way")
    _, sha256 = case.file(b"as it was")
    with expect_error(StoreError, "store.hash_mismatch"):
        case.store.put(case.key("audio.opus"), path, sha256)
    assert case.list() == []
    with pytest.raises(NotFound):
        case.store.read(case.key("audio.opus"))
    case.put("audio.opus", b"as it was")


def test_missing_object_is_not_found(case: Case) -> None:
    for operation in (
        lambda: case.store.read(case.key("nothing")),
        lambda: case.store.read(case.key("nothing"), 0, 10),
        lambda: case.store.read(case.key("nothing"), 10, 10) or case.store.size(case.key("nothing")),
        lambda: case.store.size(case.key("nothing")),
        lambda: case.store.read(case.prefix.rstrip("/")),
    ):
        with expect_error(NotFound, "store.not_found"):
            operation()


def test_list_is_sorted_and_limited_to_the_prefix(case: Case) -> None:
    names = ["a/manifest.json", "a/audio.opus", "b/audio.opus", "ab/peaks", "a/peaks"]
    for name in names:
        case.put(name, name.encode())
    assert case.list() == sorted(names)
    assert case.list("a/") == ["a/audio.opus", "a/manifest.json", "a/peaks"]
    assert case.list("a/au") == ["a/audio.opus"]
    assert case.list("a") == ["a/audio.opus", "a/manifest.json", "a/peaks", "ab/peaks"]
    assert case.list("c") == []
    assert case.list("a/audio.opus/") == []


def test_list_starts_after_a_key(case: Case) -> None:
    names = ["aa/audio.opus", "aa/manifest.json", "aa/peaks", "ab/peaks", "b"]
    for name in names:
        case.put(name, name.encode())
    order = sorted(case.key(name) for name in names)
    for after in (*order, *map(case.key, ("aa/", "aa/~", "aa/n", "ab/~", "c/~", "~")), "0"):
        keys = list(case.store.list(case.prefix, after))
        assert keys == [key for key in order if key > after], after


def test_deletion_is_idempotent_and_frees_the_key(case: Case) -> None:
    key = case.put("a/audio.opus", b"first")
    case.put("a/peaks", b"stays")
    case.store.delete(key)
    case.store.delete(key)
    assert case.list() == ["a/peaks"]
    with pytest.raises(NotFound):
        case.store.size(key)
    case.put("a/audio.opus", b"second")
    assert case.store.read(key) == b"second"


def test_deletion_keeps_keys_with_the_same_prefix(case: Case) -> None:
    case.put("audio.opus", b"1")
    case.put("audio.opus2", b"2")
    case.store.delete(case.key("audio.opus"))
    assert case.list() == ["audio.opus2"]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        "a/./b",
        ".a",
        "a/.b",
        "a\\b",
        "a b",
        "ä",
        "a\0b",
        "a\n",
        "a" * 901,
    ],
)
def test_refuses_unsafe_keys(case: Case, key: str) -> None:
    path, sha256 = case.file(b"x")
    for operation in (
        lambda: case.store.put(key, path, sha256),
        lambda: case.store.read(key),
        lambda: case.store.size(key),
        lambda: case.store.delete(key),
    ):
        with expect_error(StoreError, "store.bad_key"):
            operation()


def test_one_of_many_concurrent_puts_wins(case: Case) -> None:
    if not case.store.abilities().put_if_absent:
        # Without the condition, a server only promises that one of them is stored whole.
        case.put("manifest.json", bytes(200_000))
        assert case.store.size(case.key("manifest.json")) == 200_000
        return
    contents = [bytes([n]) * 200_000 for n in range(8)]

    def put(content: bytes) -> bool:
        try:
            case.put("manifest.json", content)
        except StoreError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(put, contents))
    assert results.count(True) == 1
    assert case.store.read(case.key("manifest.json")) == contents[results.index(True)]


def test_probe_leaves_nothing(case: Case) -> None:
    before = list(case.store.list("probe/"))
    able = case.store.abilities()
    knows_headers = not case.name.startswith(("lesser", "refusing"))
    assert able.put_if_absent == able.checks_sha256 == knows_headers
    assert able.versioning == able.object_lock == case.name.endswith("seaweedfs")
    assert list(case.store.list("probe/")) == before


def test_replace_leaves_only_the_new_object(case: Case) -> None:
    key = case.put("keys.json", b'{"wrapped":1}')
    for content in (b'{"wrapped":2}', b'{"wrapped":2}', b'{"wrapped":3}'):
        path, sha256 = case.file(content)
        case.store.replace(key, path, sha256)
        assert case.store.read(key) == content
    if "seaweedfs" in case.name and "retrying" not in case.name:
        assert len(case.store._versions(key)) == 1, "nothing old is left"
    path, sha256 = case.file(b"new")
    case.store.replace(case.key("fresh"), path, sha256)
    assert case.list() == ["fresh", "keys.json"]
    case.store.delete(key)
    assert case.list() == ["fresh"]


def test_replace_with_a_wrong_hash_is_refused(case: Case) -> None:
    key = case.put("keys.json", b"as it was")
    path, _ = case.file(b"changed on its way")
    _, sha256 = case.file(b"meant")
    with pytest.raises(StoreError):
        case.store.replace(key, path, sha256)
    assert case.store.read(key) == b"as it was"
