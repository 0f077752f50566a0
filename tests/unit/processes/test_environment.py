"""The environment of each child process: only the secrets that it needs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from demo import switch
from recorder import environment
from recorder.config import Settings, load
from recorder.pipeline.encoders import Encoder
from recorder.processes import run
from recorder.processes.services import Context
from recorder.processes.supervisor import HEARTBEAT_FD, Program, Supervisor
from recorder.prompts.tts import EspeakNg

SECRETS = {
    "ACCORD_SWITCH_PASSWORD": "secret-of-the-event-socket",
    "ACCORD_STORE_ACCESS_KEY": "secret-access",
    "ACCORD_STORE_SECRET_KEY": "secret-of-the-store",
    "ACCORD_STORE_ERASE_ACCESS_KEY": "secret-erase-access",
    "ACCORD_STORE_ERASE_SECRET_KEY": "secret-that-erases",
    "ACCORD_KEYS_KEK": "c2VjcmV0LWtleS1lbmNyeXB0aW9uLWtleS1vZi0zMi4=",
    "ACCORD_WEB_SECRET_KEY": "secret-of-the-panel-that-is-long-enough",
    "ACCORD_MAIL_PASSWORD": "secret-of-the-mail",
    "ACCORD_CATALOGUE_URL": "postgresql://accord:secret-of-the-catalogue@localhost:1/accord",
    "PGPASSWORD": "secret-of-postgresql",
    "AWS_SECRET_ACCESS_KEY": "secret-of-somebody-else",
    "PHONES_PASSWORD": "secret-of-the-phones",
    "GITHUB_TOKEN": "secret-of-a-third",
}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ACCORD_NODE_NAME", "node7")


def environment_of(pid: int) -> dict[str, str]:
    """The initial environment of a process, as its user can read it; it is empty until exec has finished."""
    while not (content := Path(f"/proc/{pid}/environ").read_bytes()):
        time.sleep(0.01)
    parts = content.decode().split("\0")
    return dict(part.split("=", 1) for part in parts if "=" in part)


def secrets(found: dict[str, str]) -> set[str]:
    return {name for name, value in found.items() if "secret" in value or name in SECRETS}


@contextmanager
def started(programs: list[Program]) -> Iterator[Supervisor]:
    supervisor = Supervisor(programs, dict(os.environ))
    try:
        supervisor.step()
        yield supervisor
    finally:
        for program in programs:
            if (pid := supervisor.pid(program.name)) is not None:
                os.kill(pid, 9)
        supervisor.stop()
        supervisor.run()


def test_each_process_has_only_its_own_secrets(tmp_path: Path) -> None:
    settings = load(None, {"ACCORD_NODE_DATA": str(tmp_path), "ACCORD_STORE_KIND": "directory"})
    programs = run.programs(Context(settings, None))
    with started(programs) as supervisor:
        found = {each.name: environment_of(supervisor.pid(each.name)) for each in programs}
    store = {"ACCORD_STORE_ACCESS_KEY", "ACCORD_STORE_SECRET_KEY"}
    both = store | {"ACCORD_KEYS_KEK", "ACCORD_CATALOGUE_URL", "PGPASSWORD"}
    worker_only = {"ACCORD_STORE_ERASE_ACCESS_KEY", "ACCORD_STORE_ERASE_SECRET_KEY", "ACCORD_MAIL_PASSWORD"}
    assert secrets(found["daemon"]) == {"ACCORD_SWITCH_PASSWORD"}
    assert secrets(found["worker"]) == both | worker_only
    assert secrets(found["web"]) == both | {"ACCORD_WEB_SECRET_KEY"}
    assert all(each["ACCORD_NODE_NAME"] == "node7" and each["PATH"] for each in found.values())
    assert HEARTBEAT_FD in found["daemon"]


def test_secret_file_is_not_passed_to_other_processes() -> None:
    variables = {"ACCORD_STORE_SECRET_KEY_FILE": "/run/key", "ACCORD_SWITCH_PASSWORD_FILE": "/run/switch"}
    assert environment.for_process("daemon", variables) == {"ACCORD_SWITCH_PASSWORD_FILE": "/run/switch"}


def test_every_secret_setting_belongs_to_a_process() -> None:
    secret = {
        f"{section}.{name}"
        for section, field in Settings.model_fields.items()
        for name, each in field.annotation.model_fields.items()
        if each.annotation is SecretStr
    }
    assert secret | {"catalogue.url"} == set().union(*environment.SECRETS.values())


def test_an_encoder_has_no_secret() -> None:
    encoder = Encoder(nice=0)
    try:
        assert secrets(environment_of(encoder._live_process().pid)) == set()
    finally:
        encoder.stop()


def test_speech_engine_has_no_secret(tmp_path: Path) -> None:
    program, out = tmp_path / "espeak", tmp_path / "environment"
    program.write_text(f"#!/bin/sh\ncat /proc/$$/environ > {out}\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(Exception, match="espeak"):
        EspeakNg(str(program)).speak("Told.", "en")
    assert b"PATH=" in out.read_bytes()
    assert b"secret" not in out.read_bytes()


def test_demo_switch_has_only_its_own_password(tmp_path: Path) -> None:
    from demo.ports import Ports

    ports = Ports(*range(20001, 20011))
    practice = switch.practice_switch(ports, [("3225550101", "fr")], tmp_path, "+3225550199")
    with started([practice]) as supervisor:
        assert secrets(environment_of(supervisor.pid("switch"))) == {"ACCORD_SWITCH_PASSWORD"}


COUNT_THREADS = """
import os, sys
sys.argv = ["accord", "--help"]
from recorder.__main__ import main
try:
    main()
except SystemExit:
    import numpy
    numpy.ones((600, 600)) @ numpy.ones((600, 600))
    print("threads:", len(os.listdir("/proc/self/task")))
"""


def test_numpy_starts_no_threads_of_its_own() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENBLAS_", "OMP_"))}
    process = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS], env=env, capture_output=True, text=True, check=True
    )
    assert process.stdout.endswith("threads: 1\n")
