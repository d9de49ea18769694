"""Checksums of chunks: those of zarr's codec, and what has changed is refused."""

import numpy as np
import pytest

from ectool.artifacts.chunks.seal import CHECKSUM_BYTES, ChunkError, checksum, unsealed


def test_the_checksum_is_that_of_the_published_example():
    assert checksum(b"123456789") == (0xE3069283).to_bytes(CHECKSUM_BYTES, "little")


@pytest.mark.parametrize("place", [0, 7, -1])
def test_a_changed_byte_is_refused(place):
    body = np.arange(12, dtype=np.uint8).tobytes()
    sealed = body + checksum(body)
    assert unsealed(sealed, 3) == body
    changed = bytearray(sealed)
    changed[place] ^= 1
    with pytest.raises(ChunkError, match="chunk 3 does not match its checksum") as error:
        unsealed(bytes(changed), 3)
    assert error.value.number == 3
