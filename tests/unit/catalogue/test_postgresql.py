"""Failures of a PostgreSQL server: unavailable, restarted, silent, or foreign."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from recorder.auditlog.append import append
from recorder.catalogue import database, postgresql, queries, schema, server_clock, tenant_queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.clock import utc_now
from recorder.errors import CatalogueError
from recorder.identity import users
from tests.postgres import Server
from tests.waiting import until

pytestmark = pytest.mark.postgresql

SECRET = "s3cr3t"
ON_SERVER = pytest.mark.parametrize("catalogue_kind", ["postgresql"])
ROOT = Path(schema.__file__).parents[2]


def refused(work: Callable[[], object]) -> CatalogueError:
    with pytest.raises(CatalogueError) as failure:
        work()
    return failure.value


@pytest.fixture
def brief(monkeypatch) -> None:
    """Short limits, for tests."""
    monkeypatch.setattr(postgresql._Connection, "answer_s", 0.5)
    monkeypatch.setattr(postgresql, "AWAY_S", 0.1)
    monkeypatch.setitem(postgresql.LIMITS, "idle_in_transaction_session_timeout", "500ms")


@pytest.fixture
def stopped(postgres: Server, brief) -> Iterator[Callable[[], None]]:
    """Stops the server; it is restarted after the test."""
    yield postgres.stop
    postgres.stop()
    postgres.start()


@pytest.fixture
def run_on_server(postgres: Server) -> Iterator[Callable[[str], None]]:
    yield postgres.execute
    postgres.execute("ALTER ROLE accord RESET ALL")


def test_missing_database_is_reported(postgres: Server) -> None:
    error = refused(lambda: schema.check_schema(postgres.url("nowhere")))
    assert error.error_id == "catalogue.away"
    assert '"nowhere" does not exist' in error.message
    assert "createdb" in error.hint


def test_foreign_tables_are_not_a_catalogue(postgres: Server) -> None:
    with postgres.database() as url:
        postgres.execute("CREATE ROLE stranger LOGIN")
        error = refused(lambda: schema.check_schema(url.replace("//accord@", "//stranger@")))
        assert error.error_id == "catalogue.not_ours"
        assert "permission denied" in error.message


def test_database_without_utf8_is_refused(postgres: Server) -> None:
    postgres.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    error = refused(lambda: schema.migrate(postgres.url("latin")))
    assert error.error_id == "catalogue.encoding"
    assert "LATIN1" in error.message


@ON_SERVER
def test_limits_apply_except_to_migrations(catalogue: str) -> None:
    columns = ", ".join(f"current_setting('{name}')" for name in ("statement_timeout", "lock_timeout"))
    with connected():
        assert database.database.execute_sql(f"SELECT {columns}").fetchone() == ("15s", "5s")
        (isolation,) = database.database.execute_sql("SHOW transaction_isolation").fetchone()
        assert isolation == "read committed"
    patient = database.make_database(catalogue, limited=False)
    assert patient.execute_sql(f"SELECT {columns}").fetchone() == ("0", "0")
    patient.close_all()


@ON_SERVER
@pytest.mark.parametrize(("is_set", "holds"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")])
def test_commits_are_durable_whatever_the_settings(
    catalogue: str, run_on_server, is_set: str, holds: str
) -> None:
    """The spool's copy of a recording is deleted after its row is committed."""
    database.database.close_all()
    run_on_server(f"ALTER ROLE accord SET synchronous_commit = '{is_set}'")
    with connected():
        assert database.database.execute_sql("SHOW synchronous_commit").fetchone() == (holds,)


@ON_SERVER
def test_restart_between_queries_causes_no_error(tenants, postgres: Server) -> None:
    before = tenant_queries.all_tenants()
    postgres.restart()
    assert tenant_queries.all_tenants() == before


@ON_SERVER
def test_unavailable_server_is_reported_until_it_returns(
    tenants, postgres: Server, stopped, clock, entropy
) -> None:
    before = tenant_queries.all_tenants()
    stopped()
    for operation in (tenant_queries.all_tenants, lambda: users.drop_old_sessions(clock())):
        error = refused(operation)
        assert error.error_id == "catalogue.away"
        assert error.hint
    postgres.start()
    until("the catalogue is back", lambda: _answers(before))


@ON_SERVER
def test_threads_share_one_connection_attempt(tenants, postgres: Server, monkeypatch) -> None:
    """Otherwise each thread would wait for the limit in turn."""
    attempts: list[float] = []

    def slowly(conninfo: str, **_: object) -> None:
        attempts.append(time.monotonic())
        time.sleep(0.2)
        raise postgresql.psycopg.OperationalError("nobody there")

    database.database.close_all()
    monkeypatch.setattr(postgresql._Connection, "connect", slowly)
    threads = [threading.Thread(target=lambda: refused(tenant_queries.all_tenants)) for _ in range(10)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert len(attempts) == 1


@ON_SERVER
def test_connection_lost_in_a_transaction_writes_nothing(tenants, clock, entropy) -> None:
    mine = tenants[0]
    before = _leaves()

    def broken_off() -> None:
        with writing():
            append(mine, "x", {}, clock(), entropy)
            (pid,) = database.database.execute_sql("SELECT pg_backend_pid()").fetchone()
            with postgresql.psycopg.connect(database.database.obj.conninfo, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (pid,))
            append(mine, "y", {}, clock(), entropy)

    assert refused(broken_off).error_id == "catalogue.away"
    assert _leaves() == before
    with writing():
        append(mine, "z", {}, clock(), entropy)
    assert _leaves() == before + 1


@ON_SERVER
def test_silent_server_times_out(tenants, postgres: Server, brief) -> None:
    """SIGSTOP: the machine still acknowledges packets."""
    before = tenant_queries.all_tenants()
    (pid,) = _backends(postgres)
    os.kill(pid, signal.SIGSTOP)
    os.kill(postgres.pid, signal.SIGSTOP)
    try:
        start = time.monotonic()
        error = refused(tenant_queries.all_tenants)
        assert error.error_id == "catalogue.away"
        assert time.monotonic() - start < postgresql.CONNECT_S + 2
    finally:
        os.kill(postgres.pid, signal.SIGCONT)
        os.kill(pid, signal.SIGCONT)
    until("the catalogue is back", lambda: _answers(before))


HOLDS = """
import sys, time
from recorder.catalogue import postgresql
from recorder.catalogue.database import open_catalogue, writing
from recorder.auditlog.append import lock_tenant
postgresql.LIMITS["idle_in_transaction_session_timeout"] = "700ms"
open_catalogue(sys.argv[1])
with writing():
    lock_tenant(sys.argv[2])
    print("holds", flush=True)
    time.sleep(600)
"""


@ON_SERVER
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_dead_node_in_a_transaction_blocks_nobody(catalogue: str, tenants, clock, entropy, how) -> None:
    """The locks of a killed node are released at once, those of a stopped one with its transaction after a
    time."""
    node = subprocess.Popen(
        [sys.executable, "-c", HOLDS, catalogue, tenants[0]],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert node.stdout is not None
        assert node.stdout.readline() == b"holds\n"
        os.kill(node.pid, how)
        before = _leaves()
        with writing():
            append(tenants[0], "x", {}, clock(), entropy)
        assert _leaves() == before + 1
    finally:
        node.kill()
        node.wait()
        node.stdout.close()


@ON_SERVER
def test_lock_timeout_is_reported(tenants, clock, entropy, monkeypatch) -> None:
    monkeypatch.setitem(postgresql.LIMITS, "lock_timeout", "200ms")
    database.database.close_all()
    mine = tenants[0]
    inside, go_on = threading.Event(), threading.Event()

    def hold_lock() -> None:
        with writing():
            append(mine, "x", {}, clock(), entropy)
            inside.set()
            go_on.wait(30)

    other = threading.Thread(target=hold_lock)
    other.start()
    try:
        assert inside.wait(30)
        error = refused(lambda: _append(mine, clock, entropy))
    finally:
        go_on.set()
        other.join(30)
    assert error.error_id == "catalogue.away"
    assert "lock timeout" in error.message
    _append(mine, clock, entropy)


def _append(tenant: str, clock, entropy) -> None:
    with writing():
        append(tenant, "y", {}, clock(), entropy)


@ON_SERVER
def test_threads_wait_for_a_pooled_connection(catalogue: str, tenants) -> None:
    database.database.close_all()
    database.open_catalogue(catalogue, connections=2)
    inside = threading.Barrier(3)
    found: list[int] = []

    def ask(first: bool) -> None:
        with connected():
            if first:
                inside.wait(30)
                time.sleep(0.2)
            found.append(len(tenant_queries.all_tenants()))

    askers = [threading.Thread(target=ask, args=(which < 2,)) for which in range(6)]
    for asker in askers[:2]:
        asker.start()
    inside.wait(30)
    for asker in askers[2:]:
        asker.start()
    for asker in askers:
        asker.join(30)
    assert found == [2] * 6
    database.database.close_all()


@ON_SERVER
def test_exhausted_pool_is_reported(catalogue: str, tenants, monkeypatch) -> None:
    monkeypatch.setattr(postgresql, "POOL_S", 0.2)
    database.database.close_all()
    database.open_catalogue(catalogue, connections=1)
    with connected():
        other: list[CatalogueError] = []
        thread = threading.Thread(target=lambda: other.append(refused(tenant_queries.all_tenants)))
        thread.start()
        thread.join(30)
    assert other[0].error_id == "catalogue.away"
    assert "in use" in other[0].message
    database.database.close_all()


@ON_SERVER
@pytest.mark.parametrize(
    ("server", "client", "remote"),
    [
        ("NULL", "NULL", False),
        ("'192.0.2.1'", "'192.0.2.2'", True),
        ("'192.0.2.1'", "'192.0.2.1'", False),
        ("'127.0.0.5'", "'127.0.0.1'", False),
        ("'::1'", "'2001:db8::1'", False),
    ],
)
def test_only_the_clock_of_another_machine_is_read(
    catalogue: str, monkeypatch, server: str, client: str, remote: bool
) -> None:
    """The test server is reached over a socket; the addresses are those that others would report."""
    assert server_clock.time_of_catalogue() is None
    monkeypatch.setattr(server_clock, "_ASK", f"SELECT clock_timestamp(), {server}, {client}")
    found = server_clock.time_of_catalogue()
    if remote:
        assert found is not None
        assert found.tzinfo is UTC
        assert abs(found - utc_now()) < timedelta(seconds=10)
    else:
        assert found is None


def test_nul_is_stored_as_replacement_character(tenants, unrecorded) -> None:
    """Stored and searched the same way, on both databases."""
    row = unrecorded(number="+32\x00555")
    found = queries.not_recorded(tenants[0], party="\x00").rows
    assert [each.id for each in found] == [row.id]
    assert users.user_by_login("a\x00da") is None
    assert queries.recording(tenants[0], "\x00") is None


@ON_SERVER
def test_no_password_is_ever_logged(postgres: Server, tenants, clock, stopped) -> None:
    url = f"postgresql://accord:{SECRET}@/nowhere?host={postgres.folder}"
    with capture_logs() as logs:
        opened = database.open_catalogue(url)
        error = refused(tenant_queries.all_tenants)
        stopped()
        time.sleep(postgresql.AWAY_S)
        again = refused(tenant_queries.all_tenants)
    assert SECRET not in f"{error!r} {error} {again!r} {again} {logs} {opened!r}"


def _answers(expected: object) -> bool:
    try:
        return tenant_queries.all_tenants() == expected
    except CatalogueError:
        return False


def _leaves() -> int:
    with connected():
        return LeafTable.select().count()


def _backends(server: Server) -> list[int]:
    """The server's processes of our connections."""
    with postgresql.psycopg.connect(server.url("postgres")) as other:
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'accord'"
        return [pid for (pid,) in other.execute(query)]
