"""Attributes that tell of the class without giving it away, as those of people and shoes do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from viewfinder.core.randomness import numpy_generator
from viewfinder.data.source import Attributes, Source, Split

COLUMNS = 6
FLIPPED = 0.15


def noisy_attributes(source: Source, seed: int) -> Source:
    """The source with ``COLUMNS`` binary attributes in place of its own.

    Each class has a code of random bits, the same for all seeds; of every image each bit is flipped
    with the chance ``FLIPPED``, drawn by the seed. So H(Z|T) is ``COLUMNS`` times the entropy of
    such a flip, 3.7 bits, less what few images can show of it.
    """
    splits = {name: _noisy(split, seed) for name, split in source.splits.items()}
    return replace(source, splits=splits)


def _noisy(split: Split, seed: int) -> Split:
    assert split.labels is not None
    classes = int(split.labels.max()) + 1
    codes = np.stack(
        [numpy_generator(c, "papers/codes").integers(0, 2, COLUMNS) for c in range(classes)]
    )
    generator = numpy_generator(seed, f"papers/flips/{split.name}")
    flips = generator.random((len(split), COLUMNS)) < FLIPPED
    values = (codes[split.labels] ^ flips).astype(np.int64)
    return replace(split, attributes=Attributes(values, [f"bit{i}" for i in range(COLUMNS)]))
