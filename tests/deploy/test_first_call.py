"""docs/install.md, followed as written on a Debian whose FreeSWITCH takes calls already: from the package to
the first announced call in less than ten minutes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.deploy import debian
from tests.deploy.boot import REPOSITORY, Machine, missing
from tests.deploy.conftest import UNITS
from tests.freeswitch import vanilla
from tests.freeswitch.process import binary
from tests.freeswitch.sound import RATE, read_wav

Sound = NDArray[np.float64]

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

MINUTES = 10

PAGE = REPOSITORY / "docs" / "install.md"
NUMBER = "+3225550101"
"""As the page has it."""

CONF = "/etc/freeswitch"
PASSWORD = "YOUR-PASSWORD"  # as the page has it
PHONES_PASSWORD, PHONES_SIP, PHONES_ESL = "phones-phones", 5090, 8090
PORTS = {
    "internal_sip_port": 5060,
    "internal_tls_port": 5061,
    "external_sip_port": 5080,
    "external_tls_port": 5081,
}
CALLER = "32470112233"
QUIET = 0.05
"""A level below which a piece of an announcement is a pause."""
PITCH = 440
"""Hertz: the caller speaks this tone all the time."""

MOUNTS = """\
mkdir -p mnt/packages mnt/phones ./{prefix}
mount --bind {packages} mnt/packages
mount --bind -o ro {phones} mnt/phones
mount --bind -o ro {prefix} ./{prefix}
"""

SWITCH = """\
[Service]
Type=forking
PIDFile=/run/freeswitch/freeswitch.pid
Environment=USER=freeswitch GROUP=freeswitch
ExecStartPre=/bin/mkdir -p /run/freeswitch
ExecStartPre=/bin/chown -R ${{USER}}:${{GROUP}} /etc/freeswitch /var/lib/freeswitch /var/log/freeswitch \\
    /run/freeswitch
ExecStart={binary} -u ${{USER}} -g ${{GROUP}} -ncwait -nonat -rp -conf /etc/freeswitch \\
    -log /var/log/freeswitch -db /var/lib/freeswitch -run /run/freeswitch
UMask=0007
TimeoutSec=300s
"""
"""A unit in the form of the one in FreeSWITCH's packages."""

PHONES = """\
[Service]
Environment=PHONES_SIP_PORT={sip} PHONES_ESL_PORT={esl} PHONES_RTP_START=20000 PHONES_RTP_END=20400
Environment=PHONES_PASSWORD={password} PHONES_FOLDER=/var/phones
ExecStart={binary} -nonat -rp -nf -nc -conf /mnt/phones -log /var/phones/log -db /var/phones/db \\
    -run /var/phones/run
"""

ROUTE = r"""<include>
  <extension name="accueil">
    <condition field="destination_number" expression="^\+?3225550101$">
      <action application="transfer" data="1001 XML default"/>
    </condition>
  </extension>
</include>
"""
"""The operator's route for the number."""


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A Debian with a FreeSWITCH that takes calls for the number, telephones, and the package in a folder."""
    switch = binary()
    if switch is None:
        pytest.skip("no FreeSWITCH: set ACCORD_FREESWITCH to its binary, or put it on the PATH")
    if (reason := missing() or debian.missing_tool()) is not None:
        pytest.skip(f"installing packages needs {reason}")
    prefix = Path(switch).resolve().parents[1]
    folder = Path(tempfile.mkdtemp(prefix="accord-machine-"))
    with tempfile.TemporaryDirectory(prefix="accord-packages-") as name:
        packages = Path(name)
        packages.chmod(0o755)
        package = debian.build_package()
        shutil.copy(package, packages / f"accord-recorder_0_{package.stem.rpartition('_')[2]}.deb")
        shutil.copy(Path(__file__).with_name("panel_visitor.py"), packages)
        root = debian.make_root(debian.MACHINE)
        phones = REPOSITORY / "tests" / "freeswitch" / "phones"
        mounts = MOUNTS.format(packages=packages, phones=phones, prefix=prefix)
        booted = Machine(folder, root, mounts)
        try:
            booted.boot()
            install_freeswitch(booted, Path(switch), prefix)
            yield booted
        finally:
            booted.kill()


def install_freeswitch(machine: Machine, switch: Path, prefix: Path) -> None:
    """Install and start FreeSWITCH as its packages do, with an operator's configuration, and telephones."""
    local = machine.path("/usr/local/lib")
    for library in libraries(prefix):
        if not machine.path(str(library)).exists():
            shutil.copy(library, local / library.name)
    machine.path("/etc/ld.so.conf.d/freeswitch.conf").write_text(f"{prefix}/lib\n")
    machine.run("ldconfig")
    conf = machine.path(CONF)
    vanilla.copy_vanilla(conf)
    vanilla.configure(conf, f"127.0.0.1:{PHONES_SIP}", PORTS)
    (conf / "dialplan" / "public" / "10_accueil.xml").write_text(ROUTE)
    machine.path("/etc/sysusers.d").mkdir(exist_ok=True)
    machine.path("/etc/sysusers.d/freeswitch.conf").write_text("u freeswitch - switch -\n")
    machine.run("systemd-sysusers", "freeswitch.conf")
    machine.run(
        "mkdir",
        "-p",
        "/var/lib/freeswitch",
        "/var/log/freeswitch",
        *(f"/var/phones/{name}" for name in ("log", "db", "run")),
    )
    seconds = np.arange(RATE * 60) / RATE
    for name, pitch in (("caller", PITCH), ("callee", 1000)):
        soundfile.write(
            machine.path(f"/var/phones/{name}.wav"), 0.3 * np.sin(2 * np.pi * pitch * seconds), RATE
        )
    units = machine.path("/etc/systemd/system")
    (units / "freeswitch.service").write_text(SWITCH.format(binary=switch))
    values = {"sip": PHONES_SIP, "esl": PHONES_ESL, "password": PHONES_PASSWORD, "binary": switch}
    (units / "phones.service").write_text(PHONES.format(**values))
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "freeswitch", "phones")
    machine.until("the switch takes calls", lambda: "RUNNING" in ask_switch(machine, "sofia status"), 60)
    machine.until("the phones are ready", lambda: "RUNNING" in ask_phones(machine, "sofia status"), 60)


def libraries(prefix: Path) -> set[Path]:
    """The system's libraries that FreeSWITCH and its modules are linked to."""
    modules = map(str, prefix.glob("lib/freeswitch/mod/*.so"))
    command = ["ldd", str(prefix / "bin" / "freeswitch"), *modules]
    environment = {"LD_LIBRARY_PATH": f"{prefix}/lib", "PATH": "/usr/bin:/bin"}
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return {Path(path) for path in re.findall(r"=> (/\S+)", output) if not path.startswith(str(prefix))}


def ask_switch(machine: Machine, command: str) -> str:
    """The answer of the switch, before the page's password or after it."""
    return fs_cli(machine, 8021, "ClueCon", command) or fs_cli(machine, 8021, PASSWORD, command)


def ask_phones(machine: Machine, command: str) -> str:
    return fs_cli(machine, PHONES_ESL, PHONES_PASSWORD, command)


def fs_cli(machine: Machine, port: int, password: str, command: str) -> str:
    program = Path(binary() or "/").resolve().with_name("fs_cli")
    words = (str(program), "-H", "127.0.0.1", "-P", str(port), "-p", password, "-x", command)
    return machine.run(*words, check=False).stdout


def page_blocks(language: str) -> list[str]:
    """The page's blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def edit_configuration(machine: Machine, block: str) -> None:
    """Put a block of XML where the page's text says."""
    first, *rest = block.strip().splitlines()
    if first.startswith("<context"):
        path = machine.path(f"{CONF}/dialplan/public.xml")
        path.write_text(path.read_text().replace(first, "\n".join([first, *rest]), 1))
        return
    path = machine.path(f"{CONF}/autoload_configs/event_socket.conf.xml")
    for line in (first, *rest):
        name = re.search(r'name="([^"]+)"', line)
        assert name is not None
        text, count = re.subn(rf'<param name="{name[1]}" .*?/>', line, path.read_text(), count=1)
        assert count == 1, f"the configuration has no {name[1]}"
        path.write_text(text)


def wait_call(machine: Machine, id_: str) -> Path:
    """Wait until a call has talked for some seconds; return what the caller heard."""
    recording = machine.path(f"/var/phones/caller-{id_}.wav")
    talk = machine.path(f"/var/phones/callee-1001-{CALLER}.wav")
    machine.until("the called telephone has answered", talk.exists, 60)
    machine.until("both have spoken", lambda: talk.stat().st_size > 4 * RATE * 3, 60)
    return recording


def measure_share(sound: Sound, announcement: Sound) -> float:
    """The share of an announcement's pieces of 150 ms that a telephone heard in their order; on a busy
    machine packets are lost, or late."""
    size, at, pieces, found = 1200, 0, 0, 0
    energy = np.cumsum(np.concatenate([[0.0], sound**2]))
    loudness = np.sqrt(energy[size:] - energy[:-size])
    for start in range(0, len(announcement) - size, size):
        piece = announcement[start : start + size]
        if np.abs(piece).max() < QUIET:
            continue
        pieces += 1
        alike = np.correlate(sound, piece, "valid") / np.maximum(loudness * np.sqrt(piece @ piece), 1e-3)
        best = at + int(np.argmax(alike[at : at + 2 * RATE]))
        if alike[best] > 0.9:
            found, at = found + 1, best
    return found / pieces


def test_ten_minutes_from_the_package_to_the_first_announced_call(machine: Machine) -> None:
    steps: dict[str, float] = {}

    def follow(name: str, *commands: str) -> str:
        begin = time.monotonic()
        output = "".join(machine.run("sh", "-ec", each, seconds=900).stdout for each in commands)
        steps[name] = time.monotonic() - begin
        return output

    package, files, codes, restart, _questions, init, copies, customer, start = page_blocks("sh")
    assert _questions == "accord init\n", "the test takes the form that asks nothing"
    install = package.splitlines()[1].replace("./dist", "/mnt/packages")
    quietly = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends"
    options = "-o APT::Sandbox::User=root"  # only root reads the folder
    output = follow("package", install.replace("apt install", f"{quietly} {options}"))
    assert "`accord init`" in output

    follow("drop-ins", files, codes)
    for block in page_blocks("xml"):
        edit_configuration(machine, block)
    follow("restart of the switch", restart)
    machine.path("/etc/switch-password").write_text(f"{PASSWORD}\n")
    output = follow("settings, keys, catalogue", init)
    for line in ("made the keys in /etc/accord/keys", "wrote /etc/accord/accord.toml", "Next:"):
        assert line in output, output
    machine.run("mkdir", "-p", "/media/first", "/media/second")
    for disk in ("/media/first", "/media/second"):
        machine.run("mount", "-t", "tmpfs", "tmpfs", disk)
    follow("copies of the keys", copies)
    output = follow("customer and number", customer)
    (link,) = re.findall(r"https://accord.example.com/invitation/\S+", output)
    begin = time.monotonic()
    first, second = start.splitlines()
    follow("start", first)
    doctor = second.partition("#")[0]
    found: dict[str, list[str]] = {}

    def examine() -> bool:
        output = machine.run("sh", "-c", f"{doctor} --json", check=False).stdout
        found.clear()
        for each in json.loads(output)["findings"]:
            found.setdefault(each["state"], []).append(each["what"])
        return not any(what.startswith(("daemon", "worker", "panel")) for what in found.get("wrong", []))

    machine.until("the processes run", examine, 60)
    steps["doctor"] = time.monotonic() - begin - steps["start"]
    assert found.get("wrong", []) == []
    # The machine has no network, hence no time server; the conferences are the page's last paragraph but one.
    expected = ("clock: it is not synchronised", "routes: ")
    unexpected = [each for each in found.get("warning", []) if not each.startswith(expected)]
    assert unexpected == [], "\n".join(unexpected)
    assert all("conference" in each for each in found.get("warning", []) if each.startswith("routes")), found

    begin = time.monotonic()
    id_ = "5f0e7d30-1b2c-4d3e-8f40-0123456789ab"
    variables = f"origination_uuid={id_},origination_caller_id_number={CALLER},absolute_codec_string=PCMU"
    target = f"sofia/phones/{NUMBER}@127.0.0.1:5080"
    assert "OK" in ask_phones(
        machine, f"bgapi originate {{{variables},ignore_early_media=true}}{target} talk XML caller"
    )
    sound = read_wav(wait_call(machine, id_))
    steps["the call, until both have spoken"] = time.monotonic() - begin
    (prompt,) = machine.path("/var/lib/accord/snapshot/prompts").glob("*.wav")
    announcement, rate = soundfile.read(prompt)
    assert rate == RATE
    assert measure_share(sound[:, 0], announcement[::-1]) < 0.2, "another sound"
    assert measure_share(sound[:, 0], announcement) > 0.75, "the caller hears the announcement"
    ask_phones(machine, f"uuid_kill {id_}")
    begin = time.monotonic()
    visit = ("/opt/accord/bin/python", "/mnt/packages/panel_visitor.py", "8080", link, "120")
    recording = machine.run(*visit).stdout.strip()
    steps["recording stored and listed"] = time.monotonic() - begin
    assert "wrong" not in machine.run("accord", "recording", "verify", recording).stdout
    logs = "".join(map(machine.journal, UNITS))
    errors = [line for line in logs.splitlines() if '"level": "error"' in line]
    # The daemon may start before the worker has written the first snapshot.
    assert [line for line in errors if '"event": "daemon.lines_unknown"' not in line] == []
    print("".join(f"{seconds:6.1f} s  {name}\n" for name, seconds in steps.items()))
    assert sum(steps.values()) < MINUTES * 60
