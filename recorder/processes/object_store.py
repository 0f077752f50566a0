"""Opens the store that the settings name."""

from __future__ import annotations

from dataclasses import replace

from recorder.config import Settings
from recorder.errors import ConfigError
from recorder.store.contract import Store
from recorder.store.directory import DirectoryStore
from recorder.store.object_lock import GovernanceLock
from recorder.store.retry import with_retries
from recorder.store.s3 import S3Store
from recorder.store.s3_client import Bucket
from recorder.store.seaweedfs import SeaweedFS


def embedded(settings: Settings) -> SeaweedFS:
    """The SeaweedFS of this machine, whether it runs or not."""
    return SeaweedFS(
        settings.node.data.absolute() / "seaweedfs",
        settings.store.embedded_port,
        bucket=settings.store.bucket,
    )


def bucket(settings: Settings) -> Bucket:
    """The bucket's address and credentials.  Raises :class:`ConfigError`."""
    if settings.store.embedded:
        return embedded(settings).bucket()
    chosen = settings.store
    if not chosen.access_key.get_secret_value() or not chosen.secret_key.get_secret_value():
        raise ConfigError(
            "store.no_credentials",
            "the object store's access key or secret key is not set",
            "set ACCORD_STORE_ACCESS_KEY and ACCORD_STORE_SECRET_KEY, or embedded = true in [store]",
        )
    return Bucket(
        name=chosen.bucket,
        access_key=chosen.access_key.get_secret_value(),
        secret_key=chosen.secret_key.get_secret_value(),
        endpoint=chosen.endpoint or None,
        region=chosen.region,
        addressing=chosen.addressing,
    )


def directory(settings: Settings) -> DirectoryStore:
    """The folder that is the store."""
    return DirectoryStore(settings.store_folder, marked=True)


def open_store(settings: Settings) -> Store:
    """The store; each operation is retried while it is away.  Raises :class:`ConfigError`."""
    if settings.store.kind == "directory":
        return with_retries(directory(settings))
    return with_retries(S3Store(bucket(settings)))


def open_erasing(settings: Settings) -> Store:
    """The store opened to erase locked objects too.  Raises :class:`ConfigError`."""
    chosen = settings.store
    if chosen.kind == "directory" or chosen.lock == "off":
        return open_store(settings)
    given = bucket(settings)
    if chosen.erase_access_key.get_secret_value():
        given = replace(
            given,
            access_key=chosen.erase_access_key.get_secret_value(),
            secret_key=chosen.erase_secret_key.get_secret_value(),
        )
    return with_retries(S3Store(given, bypass=True))


def lock(settings: Settings) -> GovernanceLock | None:
    """Locks audio; ``None`` where the settings lock nothing.  Raises :class:`ConfigError` (``store.no_lock``
    for a bucket, or a folder, that cannot), :class:`recorder.errors.StoreError`."""
    if settings.store.lock == "off":
        return None
    if settings.store.kind == "directory":
        raise ConfigError("store.no_lock", "a folder has no object lock", 'set lock = "off" in [store]')
    made = GovernanceLock(bucket(settings))
    made.check()
    return made


def probe(settings: Settings) -> Store:
    """The store for a probe, without retries and with short time limits.  Raises :class:`ConfigError`."""
    if settings.store.kind == "directory":
        return directory(settings)
    return S3Store(replace(bucket(settings), connect_timeout=2.0, read_timeout=3.0, connections=2))
