"""The bytes of an array of Arrow strings, without a copy."""

import numpy as np
import pyarrow as pa


def contiguous(text: pa.StringArray) -> memoryview:
    """All texts, one after the other."""
    if not len(text):
        return memoryview(b"")
    _, offsets, data = text.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)
    return memoryview(data)[bounds[text.offset] : bounds[text.offset + len(text)]]  # type: ignore[arg-type]
