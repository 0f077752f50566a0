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
    store = settings.store
    if not store.access_key.get_secret_value() or not store.secret_key.get_secret_value():
        raise ConfigError(
            "store.no_credentials",
            "the object store's access key or secret key is not set",
            "set ACCORD_STORE_ACCESS_KEY and ACCORD_STORE_SECRET_KEY, or embedded = true in [store]",
        )
    return Bucket(
        name=store.bucket,
        access_key=store.access_key.get_secret_value(),
        secret_key=store.secret_key.get_secret_value(),
        endpoint=store.endpoint or None,
        region=store.region,
        addressing=store.addressing,
    )


def directory(settings: Settings) -> DirectoryStore:
    """The folder that is the store."""
    return DirectoryStore(settings.store_folder, mount_file=True)


def open_store(settings: Settings) -> Store:
    """The store; each operation is retried while it is away.  Raises :class:`ConfigError`."""
    if settings.store.kind == "directory":
        return with_retries(directory(settings))
    return with_retries(S3Store(bucket(settings)))


def open_erasing(settings: Settings) -> Store:
    """The store opened to erase locked objects too.  Raises :class:`ConfigError`."""
    store = settings.store
    if store.kind == "directory" or store.lock == "off":
        return open_store(settings)
    bucket_settings = bucket(settings)
    if store.erase_access_key.get_secret_value():
        bucket_settings = replace(
            bucket_settings,
            access_key=store.erase_access_key.get_secret_value(),
            secret_key=store.erase_secret_key.get_secret_value(),
        )
    return with_retries(S3Store(bucket_settings, bypass=True))


def lock(settings: Settings) -> GovernanceLock | None:
    """Locks audio; ``None`` where the settings lock nothing.  Raises :class:`ConfigError` (``store.no_lock``
    for a bucket, or a folder, that cannot), :class:`recorder.errors.StoreError`."""
    if settings.store.lock == "off":
        return None
    if settings.store.kind == "directory":
        raise ConfigError("store.no_lock", "a folder has no object lock", 'set lock = "off" in [store]')
    governance_lock = GovernanceLock(bucket(settings))
    governance_lock.check()
    return governance_lock


def probe(settings: Settings) -> Store:
    """The store for a probe, without retries and with short time limits.  Raises :class:`ConfigError`."""
    if settings.store.kind == "directory":
        return directory(settings)
    return S3Store(replace(bucket(settings), connect_timeout=2.0, read_timeout=3.0, connections=2))
