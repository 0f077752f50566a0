"""The plain bytes of a sealed object: where a recording can be heard again.

``playback/audio_reader.py`` alone imports this (``setup.cfg``, contract ``sound-is-made-in-one-place``), so
that no sound leaves but through the gate.
"""

from __future__ import annotations

from recorder.errors import SealError
from recorder.seal import streaming_aead
from recorder.seal.keyring import Secret
from recorder.seal.manifest import Manifest


def reader(
    manifest: Manifest, name: str, data_key: Secret, read: streaming_aead.ReadRange, header: bytes = b""
) -> streaming_aead.Reader:
    """Plain bytes of an object; each stored block is compared with the seal before it is decrypted.

    ``read`` gives stored bytes by range; ``header`` is the object's, where a reader before had it.
    Raises :class:`SealError` (``seal.no_object``, ``seal.key_foreign``).
    """
    found = manifest.object(name)
    if found is None:
        raise SealError("seal.no_object", f"recording {manifest.recording} has no {name}")
    manifest.check_key(data_key)
    data = streaming_aead.associated(manifest.recording, name)
    return streaming_aead.Reader(data_key.key, data, read, found.stored_length, found.check_block, header)
