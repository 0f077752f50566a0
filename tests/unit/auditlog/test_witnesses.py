"""Witnesses of checkpoints: timestamps by a real authority, and mails through a real mail server."""

from __future__ import annotations

import email
import email.policy
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from recorder.auditlog import mail_witness, timestamping
from recorder.auditlog.timestamping import Authority
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.audit_log import CheckpointTable, RecipientTable
from recorder.clock import SLACK, utc_now
from recorder.errors import AuditLogError, MailError
from recorder.mail import server as mail_server
from recorder.mail.server import MailServer
from tests.expected_errors import expect_error
from tests.ports import free_ports

from .authority import TimestampAuthority, make, serve_authority
from .conftest import World

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl is installed")


@pytest.fixture(scope="module")
def running_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimestampAuthority]:
    with serve_authority(tmp_path_factory.mktemp("authority")) as found:
        yield found


@pytest.fixture
def authority(running_authority: TimestampAuthority) -> TimestampAuthority:
    running_authority.requests, running_authority.silent = 0, False
    return running_authority


def codes(world: World, authority: TimestampAuthority) -> list[str]:
    found = world.audit(recordings=False, certificates=authority.authority.certificates)
    return [each.code for each in found]


@needs_openssl
def test_newest_checkpoint_is_timestamped_once(world: World, authority: TimestampAuthority) -> None:
    now = world.house.clock()
    assert timestamping.stamp_due(world.signing(), None, now) == 0
    assert timestamping.stamp_due(world.signing(), authority.authority, now) == 1
    token = world.note(3).with_suffix(".tsr").read_bytes()
    timestamp = timestamping.verify_token(token, world.note(3).read_bytes(), authority.authority.certificates)
    assert abs(timestamp - utc_now()) < timedelta(minutes=1)
    assert world.checkpoint(3).stamped_at == now
    assert lease.take(f"stamp:{world.tenant}", "another worker", now), "the lease was returned"
    assert timestamping.stamp_due(world.signing(), authority.authority, now) == 0
    assert authority.requests == 1


@needs_openssl
def test_stored_token_is_not_requested_again(world, authority: TimestampAuthority) -> None:
    world.note(3).with_suffix(".tsr").write_bytes(authority.authority.stamp(world.note(3).read_bytes()))
    assert timestamping.stamp_due(world.signing(), authority.authority, world.house.clock()) == 1
    assert authority.requests == 1
    assert world.checkpoint(3).stamped_at is not None


@needs_openssl
def test_unavailable_authority_is_retried(world: World, authority: TimestampAuthority) -> None:
    authority.silent = True
    with expect_error(AuditLogError, "timestamp.unreachable"):
        timestamping.stamp_due(world.signing(), authority.authority, world.house.clock())
    away = replace(authority.authority, url=f"http://127.0.0.1:{free_ports(1)}/")
    with expect_error(AuditLogError, "timestamp.unreachable"):
        timestamping.stamp_due(world.signing(), away, world.house.clock())
    assert world.checkpoint(3).stamped_at is None
    authority.silent = False
    assert timestamping.stamp_due(world.signing(), authority.authority, world.house.clock()) == 1


@needs_openssl
def test_audit_checks_timestamps(world: World, authority: TimestampAuthority, tmp_path) -> None:
    assert timestamping.stamp_due(world.signing(), authority.authority, world.house.clock()) == 1
    assert codes(world, authority) == []
    token = world.note(3).with_suffix(".tsr")
    before = token.read_bytes()
    make(tmp_path)
    other = Authority(authority.authority.url, (tmp_path / "ca.pem").read_bytes())
    assert [each.code for each in world.audit(recordings=False, certificates=other.certificates)] == [
        "timestamp.wrong"
    ]
    for content in (before[:-3] + b"abc", b"", authority.authority.stamp(b"something else")):
        token.write_bytes(content)
        assert codes(world, authority) == ["timestamp.wrong"], content[:20]
    token.unlink()
    assert codes(world, authority) == ["timestamp.missing"]
    note, certificates = world.note(3).read_text(), authority.authority.certificates
    timestamp = timestamping.verify_token(before, note.encode(), certificates)
    timestamping.verify_checkpoint_token(before, note, timestamp + SLACK, certificates)
    with expect_error(AuditLogError, "timestamp.wrong"):
        timestamping.verify_checkpoint_token(
            before, note, timestamp + SLACK + timedelta(seconds=1), certificates
        )


@needs_openssl
def test_only_stored_checkpoints_without_a_lease_are_timestamped(
    world: World, authority: TimestampAuthority
) -> None:
    now = world.house.clock()
    assert lease.take(f"stamp:{world.tenant}", "another worker", now)
    assert timestamping.stamp_due(world.signing(), authority.authority, now) == 0
    lease.release(f"stamp:{world.tenant}", "another worker")
    with writing():
        CheckpointTable.update(stored_at=None).execute()
    assert timestamping.stamp_due(world.signing(), authority.authority, now) == 0
    with writing():
        CheckpointTable.delete().execute()
    assert timestamping.stamp_due(world.signing(), authority.authority, now) == 0
    assert authority.requests == 0


# --- mail


class Box:
    """A mailbox; ``refusing`` takes nothing."""

    def __init__(self) -> None:
        self.mails: list[email.message.EmailMessage] = []
        self.to: list[str] = []
        self.refuses = False

    async def handle_DATA(self, _server, _session, envelope) -> str:
        if self.refuses:
            return "451 later"
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.to += envelope.rcpt_tos
        return "250 taken"


@pytest.fixture
def box() -> Iterator[tuple[Box, MailServer]]:
    found = Box()
    known = {"login": b"accord", "password": b"word"}

    def knows(_server, _session, _envelope, _mechanism, data) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (known["login"], known["password"]))

    port = free_ports(1)
    controller = Controller(
        found,
        hostname="127.0.0.1",
        port=port,
        authenticator=knows,
        auth_required=True,
        auth_require_tls=False,
    )
    controller.start()
    yield found, MailServer("127.0.0.1", port, "none", "accord@example.com", "accord", "word")
    controller.stop()


def test_recipient_gets_the_newest_checkpoint_once_a_day(world: World, box: tuple[Box, MailServer]) -> None:
    mails, server = box
    now, entropy = world.house.clock(), world.house.entropy
    mail_witness.add(world.tenant, "claire@example.com", now, entropy)
    mail_witness.add(world.tenant, "claire@example.com", now, entropy)
    assert mail_witness.recipients(world.tenant) == [("claire@example.com", None)]
    assert mail_witness.send_due(world.signing(), None, now) == 0
    assert mail_witness.send_due(world.signing(), server, now) == 1
    (mail,) = mails.mails
    assert mails.to == ["claire@example.com"]
    assert mail["Subject"] == "Accord : point de contrôle 3 du journal de Boulangerie Martin"
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == "checkpoint-3.note"
    assert attached.get_content() == world.note(3).read_bytes()
    assert "Conservez ce message" in mail.get_body().get_content()
    assert mail_witness.send_due(world.signing(), server, now + timedelta(hours=2)) == 0
    world.happen()
    assert world.sign() == 1
    assert mail_witness.send_due(world.signing(), server, now + timedelta(hours=24)) == 1
    assert mail_witness.remove(world.tenant, "claire@example.com", now, entropy)
    assert not mail_witness.remove(world.tenant, "claire@example.com", now, entropy)
    assert mail_witness.send_due(world.signing(), server, now + timedelta(hours=72)) == 0
    assert world.leaf("recipient.removed").number > world.leaf("recipient.added").number


def test_undelivered_mail_is_retried(
    world: World, box: tuple[Box, MailServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_server, "TIMEOUT_S", 1.0)
    mails, server = box
    now = world.house.clock()
    mail_witness.add(world.tenant, "claire@example.com", now, world.house.entropy)
    mails.refuses = True
    for wrong in (server, replace(server, password="other"), replace(server, password="été"),
                  replace(server, port=free_ports(1)),
                  replace(server, security="starttls"),
                  replace(server, security="tls"),
                  replace(server, username="")):  # fmt: skip
        with expect_error(MailError, "mail.unreachable"):
            mail_witness.send_due(world.signing(), wrong, now)
    mails.refuses = False
    for wrong in (replace(server, security="starttls"), replace(server, security="tls"),
                  replace(server, username="")):  # fmt: skip
        with pytest.raises(MailError):
            mail_witness.send_due(world.signing(), wrong, now)
    assert mails.mails == []
    assert mail_witness.send_due(world.signing(), server, now + timedelta(minutes=1)) == 1


def test_only_stored_checkpoints_without_a_lease_are_mailed(
    world: World, box: tuple[Box, MailServer]
) -> None:
    mails, server = box
    now = world.house.clock()
    mail_witness.add(world.tenant, "claire@example.com", now, world.house.entropy)
    with connected():
        claim = f"mail:{RecipientTable.get(RecipientTable.until.is_null()).id}"
    assert lease.take(claim, "another worker", now)
    assert mail_witness.send_due(world.signing(), server, now) == 0
    lease.release(claim, "another worker")
    with writing():
        CheckpointTable.update(stored_at=None).execute()
    assert mail_witness.send_due(world.signing(), server, now) == 0
    with writing():
        CheckpointTable.delete().execute()
    assert mail_witness.send_due(world.signing(), server, now) == 0
    assert mails.mails == []


def test_each_recipient_is_mailed_and_removed_separately(world: World, box: tuple[Box, MailServer]) -> None:
    mails, server = box
    now, entropy = world.house.clock(), world.house.entropy
    for address in ("claire@example.com", "luc@example.com"):
        mail_witness.add(world.tenant, address, now, entropy)
    assert mail_witness.send_due(world.signing(), server, now) == 2
    assert mails.to == ["claire@example.com", "luc@example.com"]
    assert [at for _, at in mail_witness.recipients(world.tenant)] == [now, now]
    assert not mail_witness.remove(world.tenant, "piet@example.com", now, entropy)
    assert mail_witness.remove(world.tenant, "luc@example.com", now, entropy)
    assert [address for address, _ in mail_witness.recipients(world.tenant)] == ["claire@example.com"]
    world.happen()
    assert world.sign() == 1
    due = now + mail_witness.INTERVAL
    assert mail_witness.send_due(world.signing(), server, due - timedelta(milliseconds=1)) == 0
    assert mail_witness.send_due(world.signing(), server, due) == 1


def test_mail_is_in_english_for_other_languages(world: World) -> None:
    mail = mail_witness.compose_mail(
        "Martin", "xx", world.checkpoint(3), "accord@example.com", "claire@example.com", world.house.clock()
    )
    assert mail["Subject"] == "Accord: checkpoint 3 of the log of Martin"
    assert (mail["From"], mail["To"]) == ("accord@example.com", "claire@example.com")


@pytest.mark.parametrize("address", ["claire", "a@b\nBcc: c@d", "a b@c", "<a@b>", "a@b,c@d", ""])
def test_invalid_address_is_refused(world: World, address: str) -> None:
    with expect_error(MailError, "mail.address"):
        mail_witness.add(world.tenant, address, datetime(2026, 11, 25, tzinfo=UTC), world.house.entropy)


@pytest.mark.parametrize("language", ["fr", "nl", "de", "en"])
def test_every_language_has_a_mail_text(language: str) -> None:
    options = {"number": 1, "size": 2, "at": "now", "name": "Martin"}
    words = mail_witness._words()[language]
    assert "Martin" in words["subject"].format(**options)
    assert all(each in words["text"].format(**options) for each in ("1", "2", "now", "Martin"))
