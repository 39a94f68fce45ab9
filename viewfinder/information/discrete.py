"""Information between two labellings of the same data: clusters Z and labels T.

Everything comes from the counts of the pairs, in one pass, in float64. The two numbers that
CI-InfoNCE (section 3.3) uses to judge a choice of clusters are the mutual information I(Z;T), how
much the clusters say about the labels, and the conditional entropy H(Z|T), how much of them is
beside the point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from viewfinder.information.expected import expected_sum_x_log_x

Unit = Literal["nats", "bits"]

_DENSE_CELLS = 1 << 24  # a table of counts up to this size (128 MB) beats sorting the pairs

_ENTROPIES = (
    "h_z",
    "h_t",
    "i",
    "h_z_given_t",
    "h_t_given_z",
    "i_expected",
    "i_miller_madow",
    "h_z_miller_madow",
)


@dataclass(frozen=True)
class Information:
    """What clusters Z and labels T say about each other; plug-in values unless the name says more.

    n               number of pairs
    clusters        number of observed values of Z
    classes         number of observed values of T
    cells           number of observed pairs (z, t)
    h_z, h_t        entropies H(Z), H(T)
    i               mutual information I(Z;T)
    h_z_given_t     H(Z|T), what Z holds beside T
    h_t_given_z     H(T|Z), what Z leaves open about T
    i_expected      mean of I(Z;T) when the labels are shuffled (hypergeometric model); the plug-in
                    value is biased upward by about this much where clusters are many and small
    i_miller_madow  I(Z;T) with Miller and Madow's correction of each of the three entropies,
                    I + (clusters + classes - cells - 1) / (2n); may be negative
    h_z_miller_madow  H(Z) + (clusters - 1) / (2n)
    unit            of all entropies and informations above: "nats" or "bits"
    nmi             2 I / (H(Z) + H(T)), without unit, in 0..1
    ami             (I - i_expected) / ((H(Z) + H(T)) / 2 - i_expected), without unit, at most 1;
                    about 0 for clusters that have nothing to do with the labels
    """

    n: int
    clusters: int
    classes: int
    cells: int
    h_z: float
    h_t: float
    i: float
    h_z_given_t: float
    h_t_given_z: float
    i_expected: float
    i_miller_madow: float
    h_z_miller_madow: float
    nmi: float
    ami: float
    unit: Unit = "nats"

    @property
    def bits(self) -> Information:
        """The same with entropies and informations in bits."""
        return self._in("bits")

    @property
    def nats(self) -> Information:
        """The same with entropies and informations in nats."""
        return self._in("nats")

    @property
    def h_z_given_t_miller_madow(self) -> float:
        """H(Z|T) from the corrected entropies: H(Z) - I(Z;T), each after Miller and Madow."""
        return self.h_z_miller_madow - self.i_miller_madow

    def _in(self, unit: Unit) -> Information:
        if unit == self.unit:
            return self
        factor = 1 / math.log(2) if unit == "bits" else math.log(2)
        return replace(
            self, unit=unit, **{name: getattr(self, name) * factor for name in _ENTROPIES}
        )


def information(z: ArrayLike, t: ArrayLike, *, unit: Unit = "nats") -> Information:
    """All measures between two integer vectors (N,), with any int64 values (-1 is one like others).

    Counting is O(N) where the values span a range not much wider than N, and by hashing and one
    sort otherwise. The expected information costs O(D_z D_t w): D the number of *distinct* cluster
    sizes (at most sqrt(2N)) and w the width of a hypergeometric distribution, about 18 standard
    deviations; singletons cost nothing.

    Where Z and T are the same partition, NMI and AMI are 1, also when that is a single cluster.

    Raises ValueError for vectors that are empty, of unequal length, or not of integers.

    >>> found = information([0, 0, 1, 1], [5, 5, 7, 7], unit="bits")
    >>> found.i, found.h_z_given_t
    (1.0, 0.0)
    """
    n_zt, n_z, n_t, clusters, classes = _contingency(_vector(z, "z"), _vector(t, "t"))
    n = int(n_zt.sum())
    p = n_zt / n
    log_zt, log_z, log_t = np.log(n_zt), np.log(n_z), np.log(n_t)
    # sum, not dot: it adds in pairs, which matters for ten million terms
    h_z_given_t = float(np.sum(p * (log_t - log_zt)))
    h_t_given_z = float(np.sum(p * (log_z - log_zt)))
    i = max(0.0, float(np.sum(p * ((log_zt - log_z) - (log_t - math.log(n))))))
    h_z, h_t = entropy_of_counts(clusters), entropy_of_counts(classes)
    expected = expected_sum_x_log_x(clusters, classes) / n + h_z + h_t - math.log(n)
    same = len(n_zt) == len(clusters) == len(classes)
    mean = (h_z + h_t) / 2
    result = Information(
        n=n,
        clusters=len(clusters),
        classes=len(classes),
        cells=len(n_zt),
        h_z=h_z,
        h_t=h_t,
        i=i,
        h_z_given_t=h_z_given_t,
        h_t_given_z=h_t_given_z,
        i_expected=max(0.0, expected),
        i_miller_madow=i + (len(clusters) + len(classes) - len(n_zt) - 1) / (2 * n),
        h_z_miller_madow=h_z + (len(clusters) - 1) / (2 * n),
        nmi=1.0 if same else i / mean,
        ami=1.0 if same else _adjusted(i, expected, mean),
    )
    return result.bits if unit == "bits" else result


def entropy(z: ArrayLike, *, unit: Unit = "nats") -> float:
    """Plug-in entropy H(Z) of an integer vector (N,).

    >>> entropy([3, 3, 9, 9], unit="bits")
    1.0
    """
    h = entropy_of_counts(counts(z))
    return h / math.log(2) if unit == "bits" else h


def counts(z: ArrayLike) -> np.ndarray:
    """How often each observed value of an integer vector (N,) occurs, in order of the values."""
    codes, size = _codes(_vector(z, "z"))
    occurring = np.bincount(codes, minlength=size)
    return occurring[occurring > 0]


def entropy_of_counts(n_z: np.ndarray) -> float:
    """Plug-in entropy in nats of positive counts (K,)."""
    n = n_z.sum()
    sizes, times = np.unique(n_z, return_counts=True)  # few are distinct: at most sqrt(2n)
    return float(np.sum(times * (sizes / n) * (math.log(n) - np.log(sizes))))


def _adjusted(i: float, expected: float, mean: float) -> float:
    """AMI with the arithmetic mean of both entropies; 0 where chance leaves no room above it."""
    room = mean - expected
    if abs(room) < 1e-12 * max(1.0, mean):
        return 0.0
    return (i - expected) / room


def _vector(values: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; a vector (N,) with N >= 1 is expected")
    if array.dtype == np.uint64 or array.dtype.kind not in "iub":
        raise ValueError(f"{name} is of {array.dtype}; integers that fit int64 are expected")
    return array


def _codes(array: np.ndarray) -> tuple[np.ndarray, int]:
    """Codes in 0..size-1 with the order of the values (some may be unused), and size."""
    low, high = int(array.min()), int(array.max())
    if high - low < max(1 << 16, 2 * len(array)):
        return (array if low == 0 else np.subtract(array, low, dtype=np.int64)), high - low + 1
    import pyarrow as pa

    encoded = pa.array(array).dictionary_encode()  # hashing: wide values need no sort of N rows
    values = encoded.dictionary.to_numpy()
    rank = np.empty(len(values), np.int64)
    rank[np.argsort(values)] = np.arange(len(values))
    return rank[encoded.indices.to_numpy()], len(values)


def _contingency(
    z: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Observed pairs: their counts, the counts of their z and t, and the counts of all z and t."""
    if len(z) != len(t):
        raise ValueError(f"z has {len(z)} entries and t has {len(t)}; they describe the same data")
    z_codes, z_size = _codes(z)
    t_codes, t_size = _codes(t)
    size = z_size * t_size
    pairs: np.ndarray = np.multiply(z_codes, t_size, dtype=np.int64)
    np.add(pairs, t_codes, out=pairs)
    if size <= max(_DENSE_CELLS, 2 * len(z)):
        table = np.bincount(pairs, minlength=size)
        cells: np.ndarray = np.flatnonzero(table)
        n_zt = table[cells]
    else:
        pairs.sort()
        first = np.flatnonzero(np.concatenate(([True], pairs[1:] != pairs[:-1])))
        cells = pairs[first]
        n_zt = np.diff(first, append=len(pairs))
    z_cell = cells // t_size
    t_cell = cells - z_cell * t_size
    n_z = np.bincount(z_cell, weights=n_zt, minlength=z_size)
    n_t = np.bincount(t_cell, weights=n_zt, minlength=t_size)
    return n_zt, n_z[z_cell], n_t[t_cell], n_z[n_z > 0], n_t[n_t > 0]
