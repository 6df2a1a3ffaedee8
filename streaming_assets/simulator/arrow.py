"""Arrow arrays of numbers and texts, and how they are joined.

Arrays and scalars are made from buffers: `pa.array` and `pa.scalar` import pandas, to see whether they were given some
of its objects, which would take longer than the rest of a start.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def numbers(values: NDArray[np.integer]) -> pa.Array:
    """The same numbers, without a copy if they lie one after the other."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def digits(values: NDArray[np.integer]) -> pa.StringArray:
    """Each number as text."""
    return pc.cast(numbers(values), pa.string())


def texts(values: Iterable[str]) -> pa.StringArray:
    """The texts, UTF-8."""
    encoded = [value.encode() for value in values]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def join(*parts: pa.StringArray | str) -> pa.StringArray:
    """Each row's texts, one after the other; a str is the same in all rows."""
    scalars = (texts([part])[0] if isinstance(part, str) else part for part in (*parts, ""))
    return pc.binary_join_element_wise(*scalars)  # pyright: ignore[reportAttributeAccessIssue]


def contiguous(text: pa.StringArray) -> memoryview:
    """The bytes of all texts, one after the other, without a copy."""
    if not len(text):
        return memoryview(b"")
    _, offsets, data = text.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)
    return memoryview(data)[bounds[text.offset] : bounds[text.offset + len(text)]]  # type: ignore[arg-type]
