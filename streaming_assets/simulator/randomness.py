"""Counter-based random numbers: each is a pure function of (seed, user, counter, purpose).

No draw depends on another user's or on the order of work, which is what makes the same seed give the same
bytes on any number of processes, with any batch size, and after a stop. The function is SplitMix64's:
the finaliser of a 64-bit counter that advances by an odd constant from a start of each user's own.
"""

import numpy as np
from numpy.typing import NDArray

Uints = NDArray[np.uint64]
Floats = NDArray[np.float64]

_GAMMA = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_PURPOSES = 8  # numbers that one count can give
_TO_UNIT = 2.0**-53
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_STRIDE = np.uint64(_PURPOSES * _GAMMA & _MASK)
_OFFSETS = np.array([purpose * _GAMMA & _MASK for purpose in range(_PURPOSES)], dtype=np.uint64)


def _mix(x: Uints) -> Uints:
    """SplitMix64's finaliser, in place."""
    shifted = x >> _SHIFTS[0]
    x ^= shifted
    x *= _FACTORS[0]
    np.right_shift(x, _SHIFTS[1], out=shifted)
    x ^= shifted
    x *= _FACTORS[1]
    np.right_shift(x, _SHIFTS[2], out=shifted)
    x ^= shifted
    return x


def stream_keys(seed: int, stream: int, ids: NDArray[np.integer]) -> Uints:
    """A stream's start for each id; streams of one seed differ by their number."""
    base = _mix(np.array([(seed * 0x1000003 + stream) & _MASK], dtype=np.uint64))
    return _mix(_mix(ids.astype(np.uint64) * np.uint64(_GAMMA) + base) + base)


def uniforms(keys: Uints, counter: NDArray[np.uint64] | int, purpose: int | slice) -> Floats:
    """One number in [0, 1) for each key, at its counter; `purpose` (0 to 7) tells draws of one count apart.

    A slice of purposes gives a row of numbers for each.
    """
    if isinstance(counter, int):
        counter = np.array([counter], dtype=np.uint64)
    x = keys + counter * _STRIDE
    x = x + (_OFFSETS[purpose, None] if isinstance(purpose, slice) else _OFFSETS[purpose])
    _mix(x)
    x >>= _SHIFTS[3]
    return np.multiply(x, _TO_UNIT)


def exponential(mean: Floats | float, uniform: Floats) -> Floats:
    """Exponential variates of `mean`, from uniforms in [0, 1)."""
    return np.log1p(-uniform) * -mean
