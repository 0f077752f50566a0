"""The reverse proxy's site as the package ships it, checked by nginx itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.deploy.boot import REPOSITORY
from tests.ports import free_ports
from web.uploads import MAX_UPLOAD

SITE = REPOSITORY / "deploy" / "nginx" / "accord.conf"
NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")

AROUND = """
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/accord.conf;
}}
"""


def write_certificate(folder: Path) -> None:
    """A certificate of the name in the site, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "accord.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "privkey.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def check_site(folder: Path, site: str) -> subprocess.CompletedProcess[str]:
    """Have nginx check a site, with a certificate and ports of this machine in place of the shipped ones."""
    assert NGINX is not None
    write_certificate(folder)
    site = site.replace("/etc/letsencrypt/live/accord.example.com", str(folder))
    first = free_ports(2)
    for shipped, port in (("listen 80;", first), ("listen 443 ssl;", first + 1)):
        assert site.count(shipped) == 1
        site = site.replace(shipped, shipped.replace(shipped.split()[1].strip(";"), str(port)))
    (folder / "accord.conf").write_text(site)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    command = [NGINX, "-t", "-q", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.skipif(NGINX is None, reason="no nginx: apt-get install nginx-light")
def test_nginx_accepts_the_shipped_site(tmp_path: Path) -> None:
    process = check_site(tmp_path, SITE.read_text())
    assert (process.returncode, process.stdout + process.stderr) == (0, "")


@pytest.mark.skipif(NGINX is None, reason="no nginx: apt-get install nginx-light")
@pytest.mark.parametrize("line", ["proxy_pass http://accord;", "client_max_body_size 16m;"])
def test_nginx_names_a_broken_line(tmp_path: Path, line: str) -> None:
    process = check_site(tmp_path, SITE.read_text().replace(line, line.replace(" ", "_")))
    assert process.returncode != 0
    assert "[emerg]" in process.stderr


def test_uploads_that_the_panel_takes_pass_the_proxy() -> None:
    size = re.search(r"client_max_body_size (\d+)m;", SITE.read_text())
    assert size is not None
    assert int(size[1]) << 20 >= MAX_UPLOAD
