"""Google's Tink as the reference of recorder/seal/streaming_aead.py.

``python -m tests.unit.seal.reference`` writes ``tink_vectors.json`` anew (needs ``pip install tink``).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path

VECTORS = Path(__file__).parent / "tink_vectors.json"
LENGTHS = (0, 1, 1000, 65479, 65480, 65481, 131000, 131001, 200_000)


def plain(length: int) -> bytes:
    """Bytes that everybody can make again: SHA-256 of a counter."""
    blocks = (hashlib.sha256(number.to_bytes(8, "big")).digest() for number in range(length // 32 + 1))
    return b"".join(blocks)[:length]


class Tink:
    """Tink's own encryption, with the parameters that docs/reference/formats.md names."""

    def __init__(self, key: bytes) -> None:
        import tink
        from tink import secret_key_access, streaming_aead
        from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

        streaming_aead.register()
        inner = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(
            version=0,
            key_value=key,
            params=aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
                ciphertext_segment_size=65536, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
            ),
        )
        data = tink_pb2.KeyData(
            type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
            value=inner.SerializeToString(),
            key_material_type=tink_pb2.KeyData.SYMMETRIC,
        )
        keyset = tink_pb2.Keyset(
            primary_key_id=1,
            key=[
                tink_pb2.Keyset.Key(
                    key_id=1, status=tink_pb2.ENABLED, output_prefix_type=tink_pb2.RAW, key_data=data
                )
            ],
        )
        handle = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
        self._primitive = handle.primitive(streaming_aead.StreamingAead)

    def encrypt(self, content: bytes, associated: bytes) -> bytes:
        out = _KeptBuffer()
        with self._primitive.new_encrypting_stream(out, associated) as stream:
            stream.write(content)
        return out.content

    def decrypt(self, content: bytes, associated: bytes) -> bytes:
        with self._primitive.new_decrypting_stream(io.BytesIO(content), associated) as stream:
            return bytes(stream.read())


class _KeptBuffer(io.BytesIO):
    content = b""

    def close(self) -> None:
        self.content = self.getvalue()
        super().close()


def main() -> None:
    """A vector a length; of the long ones only the header and the hash of the whole."""
    vectors = []
    for length in LENGTHS:
        key = hashlib.sha256(b"key %d" % length).digest()
        associated = b"accord/1/recording-%d/audio.opus" % length
        stored = Tink(key).encrypt(plain(length), associated)
        vectors.append(
            {
                "plain_length": length,
                "key": key.hex(),
                "associated": associated.decode(),
                "header": stored[:40].hex(),
                "stored_length": len(stored),
                "stored_sha256": hashlib.sha256(stored).hexdigest(),
                "stored": base64.b64encode(stored).decode() if length <= 1000 else None,
            }
        )
    VECTORS.write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
