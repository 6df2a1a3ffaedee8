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


def _mix(x: Uints) -> Uints:
    """SplitMix64's finaliser, in place."""
    shifted = x >> np.uint64(30)
    x ^= shifted
    x *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(x, np.uint64(27), out=shifted)
    x ^= shifted
    x *= np.uint64(0x94D049BB133111EB)
    np.right_shift(x, np.uint64(31), out=shifted)
    x ^= shifted
    return x


def stream_keys(seed: int, stream: int, ids: NDArray[np.integer]) -> Uints:
    """A stream's start for each id; streams of one seed differ by their number."""
    base = _mix(np.array([(seed * 0x1000003 + stream) & _MASK], dtype=np.uint64))
    return _mix(_mix(ids.astype(np.uint64) * np.uint64(_GAMMA) + base) + base)


def uniforms(keys: Uints, counter: NDArray[np.uint64] | int, purpose: int) -> Floats:
    """One number in [0, 1) for each key, at its counter; `purpose` (0 to 7) tells draws of one count apart."""
    if isinstance(counter, int):
        x = keys + np.uint64((counter * _PURPOSES + purpose) * _GAMMA & _MASK)
    else:
        x = counter * np.uint64(_PURPOSES * _GAMMA & _MASK)
        x += keys
        x += np.uint64(purpose * _GAMMA & _MASK)
    _mix(x)
    x >>= np.uint64(11)
    return np.multiply(x, _TO_UNIT)


def exponential(mean: Floats | float, uniform: Floats) -> Floats:
    """Exponential variates of `mean`, from uniforms in [0, 1)."""
    return np.log1p(-uniform) * -mean
