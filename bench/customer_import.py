"""Importing many customers with ``accord tenant import``, on SQLite and PostgreSQL.

    python -m bench.customer_import [--customers 10000] [--databases sqlite,postgresql] [--folder FOLDER]
        [--mail]

Each customer is one row: a number with a label, and an admin, whose link is written to a file (with
``--mail``: whose mail is queued). Three commands run, as an operator runs them: ``--check``, the import, and
the import again, which finds everything unchanged. SQLite waits for the disk as in production; PostgreSQL
does not (``tests/postgres.py``). Prints JSON: customers a second, and seconds of processor time, of the
command and of PostgreSQL.
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
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.postgres import Server

COLUMNS = "tenant,number,label,address,person,role\n"


def write_table(path: Path, customers: int) -> None:
    """A table of so many customers, one row each."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(COLUMNS)
        for number in range(customers):
            phone, person = f"+322{5_000_000 + number}", f"admin{number}@example.com,Admin {number}"
            file.write(f"Customer {number:06},{phone},Front desk,{person},customer_admin\n")


def run(environment: dict[str, str], *words: str) -> tuple[float, float, str]:
    """How long a command takes, its processor time (both in seconds), and its output."""
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "recorder", *words]
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begin, used, output


def server_time(pid: int) -> float:
    """The processor time (s) of PostgreSQL and of its processes that have ended: a command's is one."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def measure(
    folder: Path, url: str, customers: int, mail: bool, database_time: Callable[[], float]
) -> dict[str, Any]:
    """The figures on one database."""
    environment = {**os.environ, "ACCORD_NODE_DATA": str(folder), "ACCORD_CATALOGUE_URL": url}
    environment |= {"ACCORD_STORE_KIND": "directory", "ACCORD_STORE_PATH": str(folder / "bucket")}
    if mail:
        environment |= {"ACCORD_MAIL_HOST": "localhost", "ACCORD_MAIL_SENDER": "accord@example.com"}
        environment |= {"ACCORD_WEB_ADDRESS": "https://accord.example.com"}
    table = folder / "customers.csv"
    write_table(table, customers)
    run(environment, "key", "init")
    run(environment, "migrate")
    links = () if mail else ("--links", str(folder / "links.csv"))
    figures: dict[str, Any] = {}
    for name, options in (("check", ("--check",)), ("import", links), ("again", links)):
        before = database_time()
        seconds, processor, output = run(environment, "tenant", "import", str(table), *options)
        figures[name] = {
            "customers_a_second": round(customers / seconds, 1),
            "seconds": round(seconds, 1),
            "processor_seconds": round(processor, 1),
            "database_processor_seconds": round(database_time() - before, 1),
        }
        print(name, figures[name], output, sep="\n", file=sys.stderr, flush=True)
    return figures


@contextmanager
def catalogue(kind: str, folder: Path) -> Iterator[tuple[str, Callable[[], float]]]:
    """The URL of an empty catalogue, and its server's processor time."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'catalogue.db'}", float
        return
    server = Server()
    try:
        with server.database(empty=True) as url:
            yield url, partial(server_time, server.pid)
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--mail", action="store_true")
    options = parser.parse_args()
    figures = {}
    for kind in options.databases.split(","):
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="accord-import-") as name:
            folder = Path(name)
            with catalogue(kind, folder) as (url, database_time):
                figures[kind] = measure(folder, url, options.customers, options.mail, database_time)
    print(json.dumps({"customers": options.customers, "results": figures}, indent=1))


if __name__ == "__main__":
    main()
