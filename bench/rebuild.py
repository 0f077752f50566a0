"""A rebuild beside the requests that it cannot do without.

    python -m bench.rebuild [--recordings 20000] [--store directory|seaweedfs]
        [--catalogue sqlite|postgresql] [--folder FOLDER]

``tests/recovery/many.py`` makes the recordings once, in FOLDER. *GETs alone* lists the whole bucket, and
reads the manifest and the wrapped key of each recording with eight threads, in one process, and does nothing
with them. Then ``accord rebuild`` restores all of it into an empty catalogue. Prints JSON: wall-clock and
processor seconds (none of the servers of store and catalogue), recordings a second, the memory of the largest
process, and the rows and bytes of the catalogue. For very many recordings, ``bench/recordings.py`` fills
FOLDER before, in less time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from recorder.catalogue import database
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.seal.keyring import data_key_path
from recorder.store.contract import NotFound, Store
from recorder.store.directory import DirectoryStore
from recorder.store.s3 import S3Store
from recorder.store.seaweedfs import PORTS, SeaweedFS
from tests.ports import free_ports
from tests.postgres import Server

MANY = Path(__file__).parents[1] / "tests" / "recovery" / "many.py"
THREADS = 8
AT_ONCE = 10_000
PAGES = ("page_count", "page_size")


def measure(work: Callable[[], object]) -> dict[str, float]:
    """Wall-clock and processor seconds of this process and its children."""
    start, used = time.monotonic(), _processor()
    work()
    return {"seconds": round(time.monotonic() - start, 2), "processor_seconds": round(_processor() - used, 2)}


def _processor() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usage)


def read_all(store: Store) -> int:
    """List the bucket and read what each recording needs; how many recordings there are."""

    def read(key: str) -> None:
        tenant, *_, recording, _ = key.split("/")
        store.read(key)
        with suppress(NotFound):  # it was erased
            store.read(data_key_path(tenant, recording))

    manifests = (key for key in store.list("") if key.endswith("/manifest.json"))
    count = 0
    with ThreadPoolExecutor(THREADS) as pool:
        # Few at a time: a process counts what its parent used when it began it, as if it were its own memory.
        while some := list(islice(manifests, AT_ONCE)):
            count += len(list(pool.map(read, some)))
    return count


@contextmanager
def opened(folder: Path, kind: str) -> Iterator[tuple[Store, dict[str, str], list[str]]]:
    """The store, its settings, and how ``many.py`` is told of it."""
    if kind == "directory":
        bucket = folder / "bucket"
        yield DirectoryStore(bucket), {"ACCORD_STORE_KIND": "directory", "ACCORD_STORE_PATH": str(bucket)}, []
        return
    port = free_ports(PORTS)
    server = SeaweedFS(folder / "seaweedfs", port)
    server.start()
    try:
        bucket = server.bucket()
        settings = {
            "ACCORD_STORE_KIND": "s3",
            "ACCORD_STORE_ENDPOINT": bucket.endpoint or "",
            "ACCORD_STORE_BUCKET": bucket.name,
            "ACCORD_STORE_ACCESS_KEY": bucket.access_key,
            "ACCORD_STORE_SECRET_KEY": bucket.secret_key,
        }
        yield S3Store(bucket), settings, [str(folder / "seaweedfs"), str(port)]
    finally:
        server.stop()


@contextmanager
def empty_catalogue(folder: Path, kind: str) -> Iterator[str]:
    """The URL of a database without tables."""
    if kind == "sqlite":
        for path in folder.glob("again.db*"):
            path.unlink()
        yield f"sqlite:///{folder / 'again.db'}"
        return
    server = Server()
    try:
        with server.database(empty=True) as url:
            yield url
    finally:
        server.close()


def catalogue_size(url: str) -> dict[str, int]:
    """The rows of recordings and amendments, and the bytes of the whole database."""
    opened = database.open_catalogue(url)
    with database.connected():
        if database.kind_of(url) == "sqlite":
            pages, size = (opened.execute_sql(f"PRAGMA {name}").fetchone()[0] for name in PAGES)
            found = pages * size
        else:
            found = opened.execute_sql("SELECT pg_database_size(current_database())").fetchone()[0]
        return {
            "recordings": RecordingTable.select().count(),
            "amendments": AmendmentTable.select().count(),
            "bytes": int(found),
        }


def accord(folder: Path, settings: dict[str, str], url: str, *words: str) -> None:
    """Run a command on a catalogue."""
    environment = {
        **os.environ,
        **settings,
        "ACCORD_CATALOGUE_URL": url,
        "ACCORD_KEYS_FOLDER": str(folder / "keys"),
        "ACCORD_NODE_DATA": str(folder / "node"),
    }
    subprocess.run([sys.executable, "-m", "recorder", *words], env=environment, check=True, stdout=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recordings", type=int, default=20_000)
    parser.add_argument("--store", choices=("directory", "seaweedfs"), default="directory")
    parser.add_argument("--catalogue", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with opened(folder, options.store) as (store, settings, where):
            if not (folder / "keys").exists():
                command = [sys.executable, str(MANY), str(folder), str(options.recordings), *where]
                environment = {**os.environ, "PYTHONPATH": str(MANY.parents[2])}
                subprocess.run(command, env=environment, check=True, stdout=sys.stderr)
            gets = measure(lambda: read_all(store))
            with empty_catalogue(folder, options.catalogue) as url:
                accord(folder, settings, url, "migrate")
                whole = measure(lambda: accord(folder, settings, url, "rebuild"))
                size = catalogue_size(url)
    count = options.recordings
    figures = {
        name: {**each, "per_second": round(count / each["seconds"])}
        for name, each in (("gets_alone", gets), ("rebuild", whole))
    }
    ratio = round(whole["seconds"] / gets["seconds"], 2)
    head = {"recordings": count, "store": options.store, "database": options.catalogue}
    # Of all processes that have ended, the reading ones of the rebuild among them.
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    rest = {"beside_gets": ratio, "largest_process_mib": largest, "catalogue": size}
    print(json.dumps({**head, **figures, **rest}, indent=1))


if __name__ == "__main__":
    main()
