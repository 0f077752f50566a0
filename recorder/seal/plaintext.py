"""Decryption of a sealed object, block by verified block.

Only ``playback/audio_reader.py`` imports this module (``setup.cfg``, contract
``sound-is-made-in-one-place``), so that no audio leaves except through the gate.
"""

from __future__ import annotations

from recorder.errors import SealError
from recorder.seal import streaming_aead
from recorder.seal.keyring import Secret
from recorder.seal.manifest import Manifest


def reader(
    manifest: Manifest, name: str, data_key: Secret, read: streaming_aead.ReadRange, header: bytes = b""
) -> streaming_aead.Reader:
    """Return a reader of an object's plain bytes that verifies each stored block before decrypting it.

    ``read`` returns stored bytes by range; ``header`` is the object's header, if known from an earlier
    reader. Raises :class:`SealError` (``seal.no_object``, ``seal.key_foreign``).
    """
    found = manifest.object(name)
    if found is None:
        raise SealError(
            "seal.no_object",
            f"recording {manifest.recording} has no {name}",
            "choose one of the formats in its manifest",
        )
    manifest.check_key(data_key)
    data = streaming_aead.associated_data(manifest.recording, name)
    return streaming_aead.Reader(data_key.key, data, read, found.stored_length, found.check_block, header)
