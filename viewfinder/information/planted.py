"""Pairs of images that share a known amount, to check an estimator by on data of one's own."""

from __future__ import annotations

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.core.randomness import numpy_generator


def planted(labels: np.ndarray, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Positions of paired images, int64 (n,) each, the classes through a symmetric channel.

    labels  int64 (N,), of at least two classes with four images each
    noise   in [0, 1): the share of pairs of another class than that of their first image; those
            are spread evenly over the other classes

    No image is in two pairs, so that pairs are independent, and all classes are equally frequent:
    n is what the smallest has room for. Where the class is a function of the image, the images
    share exactly what the classes do, the plug-in information of ``labels`` at these positions:
    about log C − H(noise) − noise log(C − 1) nats.

    Raises UserError for classes that are too few or too small.

    >>> x, y = planted(np.arange(80) % 2, 0.0)
    >>> len(x), bool((x % 2 == y % 2).all())
    (40, True)
    """
    rng = numpy_generator(seed, "measure/planted")
    classes, counts = np.unique(labels, return_counts=True)
    room, others = int(counts.min()) // 2, len(classes) - 1
    if others < 1 or room < 2:
        raise UserError(
            f"there are {len(classes)} classes, the smallest with {counts.min()} images; at least "
            "two with four images each are expected",
            fix="data with more images of each class",
        )
    pools = [rng.permutation(np.flatnonzero(labels == one)).tolist() for one in classes]
    wrong = round(room * noise / others)  # of each class, to each other class
    pairs = []
    for of_x in range(len(classes)):
        for of_y in range(len(classes)):
            many = wrong if of_x != of_y else room - wrong * others
            pairs += [(pools[of_x].pop(), pools[of_y].pop()) for _ in range(many)]
    found = rng.permutation(np.array(pairs))
    return found[:, 0], found[:, 1]
