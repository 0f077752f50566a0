"""Failures that only a directory store has."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from recorder.errors import StoreError
from recorder.store.contract import NotFound, Unreachable
from recorder.store.directory import DirectoryStore
from tests.expected_errors import expect_error


def put(store: DirectoryStore, folder: Path, key: str, content: bytes = b"x") -> None:
    path = folder / "source"
    path.write_bytes(content)
    store.put(key, path, hashlib.sha256(content).hexdigest())


def test_put_leaves_no_other_file(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    put(store, tmp_path, "a/b/c")
    with pytest.raises(StoreError):
        put(store, tmp_path, "a/b/c", b"other")
    with pytest.raises(StoreError):
        store.put("a/d", tmp_path / "source", "0" * 64)
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert files == [tmp_path / "store" / "a" / "b" / "c"]
    assert files[0].stat().st_nlink == 1
    assert files[0].stat().st_mode & 0o777 == 0o600


def test_does_not_list_leftovers_of_a_crash(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    put(store, tmp_path, "a/b")
    (tmp_path / "store" / ".incoming" / "left").write_bytes(b"half")
    assert list(store.list("")) == ["a/b"]


@pytest.mark.parametrize("at", ["link", "unlink"])
@pytest.mark.parametrize("then", ["put", "delete"])
def test_removes_the_copy_left_by_a_killed_put(tmp_path: Path, at: str, then: str) -> None:
    """A leftover may be a wrapped key: deletion must find it, and so must a repeated put."""
    store = DirectoryStore(tmp_path / "store")
    put(store, tmp_path, "keys/another")
    put_and_be_killed(store, tmp_path, "keys/one", at)
    assert content_in(tmp_path / "store").count(b"the key") == (1 if at == "link" else 2)
    if then == "put":
        put(store, tmp_path, "keys/one", b"the key")
        assert content_in(tmp_path / "store").count(b"the key") == 1
    store.delete("keys/one")
    assert content_in(tmp_path / "store") == [b"x"]
    assert list(store.list("")) == ["keys/another"]


def put_and_be_killed(store: DirectoryStore, folder: Path, key: str, at: str) -> None:
    """Put an object in a separate process that is killed before the object gets its name (``link``), or
    before the temporary name is removed (``unlink``)."""
    child = os.fork()
    if child == 0:
        real = os.link

        def link(*names: str) -> None:
            if at == "unlink":
                real(*names)
            os.kill(os.getpid(), signal.SIGKILL)

        os.link = link
        try:
            put(store, folder, key, b"the key")
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def content_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def test_concurrent_puts_and_deletions(tmp_path: Path) -> None:
    """One process removes the other's temporary file: a put either succeeds or can be retried."""
    folder = tmp_path / "store"
    DirectoryStore(folder).init()
    (tmp_path / "source").write_bytes(b"the key")
    sha256 = hashlib.sha256(b"the key").hexdigest()
    children = []
    for which in range(3):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                store = DirectoryStore(folder)
                for _ in range(200):
                    with suppress(Unreachable):
                        store.put("keys/one", tmp_path / "source", sha256)
                    if which == 0:
                        store.delete("keys/one")
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    store = DirectoryStore(folder)
    store.put("keys/one", tmp_path / "source", sha256)
    assert list((folder / ".incoming").iterdir()) == []
    store.delete("keys/one")
    assert b"the key" not in content_in(folder)


@pytest.mark.parametrize("raced", [FileExistsError, FileNotFoundError])
def test_retries_a_folder_pruned_meanwhile(tmp_path, monkeypatch, raced) -> None:
    """Another process removes the folder, or its parent, during ``mkdir``."""
    store = DirectoryStore(tmp_path / "store")
    put(store, tmp_path, "other/one")
    mkdir = os.mkdir

    def race(folder: Path, *arguments) -> None:
        if Path(folder).name == "b":
            raise raced(folder)
        mkdir(folder, *arguments)

    monkeypatch.setattr(os, "mkdir", race)
    with expect_error(Unreachable, "store.busy"):
        put(store, tmp_path, "a/b/c")
    monkeypatch.undo()
    put(store, tmp_path, "a/b/c")
    assert store.read("a/b/c") == b"x"


def test_refuses_a_key_below_an_object(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    put(store, tmp_path, "a/b")
    for key in ("a/b/c", "a"):
        with expect_error(StoreError, "store.bad_key"):
            put(store, tmp_path, key)
    assert store.read("a/b") == b"x"


def test_deletion_removes_emptied_folders_only(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    put(store, tmp_path, "a/b/c")
    put(store, tmp_path, "a/d")
    store.delete("a/b/c")
    assert not (tmp_path / "store" / "a" / "b").exists()
    store.delete("a/d")
    store.delete("a")
    assert (tmp_path / "store").is_dir()
    assert list(store.list("")) == []


def test_folder_is_no_object(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    put(store, tmp_path, "a/b")
    with pytest.raises(NotFound):
        store.read("a")
    with pytest.raises(NotFound):
        store.size("a")


def test_missing_source_is_the_callers_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DirectoryStore(tmp_path / "store").put("a", tmp_path / "none", "0" * 64)


def test_full_disk_is_unreachable_and_leaves_nothing(tmp_path: Path) -> None:
    """The kernel lets no file grow beyond ten bytes, as on a full disk."""
    store = DirectoryStore(tmp_path / "store")
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(Unreachable) as failure:
            store.put("a/b", source, hashlib.sha256(b"x" * 100).hexdigest())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert failure.value.error_id == "store.unreachable"
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


def test_writes_nothing_while_the_disk_is_not_mounted(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store", mount_file=True)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "lost+found").mkdir()
    source = tmp_path / "source"
    source.write_bytes(b"x")
    operations = {
        "put": lambda: store.put("a/b", source, hashlib.sha256(b"x").hexdigest()),
        "read": lambda: store.read("a/b"),
        "size": lambda: store.size("a/b"),
        "list": lambda: list(store.list("")),
        "delete": lambda: store.delete("a/b"),
        "abilities": store.abilities,
    }
    for place in ("empty", "missing"):
        for name, operation in operations.items():
            with pytest.raises(Unreachable) as failure:
                operation()
            assert failure.value.error_id == "store.not_mounted", (place, name)
            assert "accord store init" in failure.value.hint
        if place == "empty":
            assert [path.name for path in (tmp_path / "store").iterdir()] == ["lost+found"]
            (tmp_path / "store" / "lost+found").rmdir()
            (tmp_path / "store").rmdir()
    assert not (tmp_path / "store").exists()
    store.init()
    store.init()
    operations["put"]()
    assert list(store.list("")) == ["a/b"]


def test_folder_with_recordings_is_the_store(tmp_path: Path) -> None:
    """The store exists, and only its mount file is missing."""
    put(DirectoryStore(tmp_path / "store"), tmp_path, "a/b")
    store = DirectoryStore(tmp_path / "store", mount_file=True)
    assert store.read("a/b") == b"x"
    assert list(store.list("")) == ["a/b"]
