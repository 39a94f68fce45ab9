"""Copies: images that are equal, and those that are nearly so (stored anew, resized, lighter or
darker, cut a little, mirrored)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from viewfinder.runs.neighbour_graph import NeighbourGraph

SIDE = 16
"""Side of the small picture that pairs are compared by."""
ZOOM = 0.93
"""Side of the parts that are compared too, of the whole: a copy may have been cut."""
RATIO, FARTHEST = 0.1, 0.05
"""A look-alike is at most so far, as a part of what the other neighbours are, and in all."""
LEVELS = 8
"""... and a copy where no patch of an eighth of the side differs by more grey levels, of 255: the
same shoe in another colour correlates by 0.99."""
BLOCK = 512


@dataclass(frozen=True)
class Copies:
    """Groups of copies among N images.

    group       int64 (N,), the same number for copies of each other, -1 for an image without
    similarity  float32 (N,), with its nearest copy: 1 minus the distance of ``nearly``; 0 without
    nearest     int64 (N,), the row of that copy, -1 without
    identical   bool (N,), whether another image has the very same pixels
    alike       int64 (N,), the row of the nearest that looks alike and is no copy; -1 without
    """

    group: np.ndarray
    similarity: np.ndarray
    nearest: np.ndarray
    identical: np.ndarray
    alike: np.ndarray


@dataclass(frozen=True)
class Seen:
    """What one pass over the images leaves of each: ``small`` float16 (N, C, 16, 16), brightness
    and contrast taken out; the contrast, float32 (N,), by which it was divided; and a digest of its
    pixels."""

    small: Tensor
    contrast: Tensor
    digests: np.ndarray

    @classmethod
    def of(cls, images: Tensor) -> Seen:
        """What is left of images uint8 (n, C, H, W)."""
        small, contrast = look(images)
        return cls(small.half(), contrast, digest(images))

    @classmethod
    def joined(cls, parts: Sequence[Seen]) -> Seen:
        """Several, one behind the other."""
        small, contrast = (torch.cat([getattr(p, n) for p in parts]) for n in ("small", "contrast"))
        return cls(small, contrast, np.concatenate([part.digests for part in parts]))


def find_copies(seen: Seen, graph: NeighbourGraph) -> Copies:
    """Copies among the nearest neighbours in the embedding, confirmed by the pixels, and all images
    of equal pixels.

    The distance of two images is 1 - r with r the correlation of their small pictures, the largest
    over the first as it is, mirrored, and cut at nine places. j looks like i where that is
    at most 0.05, and at most a tenth of what the farther neighbours of both are at (the third
    quartile of their distances): twins of a set whose images are all alike are no copies. The
    second rule is a ratio test as Lowe (2004, section 7.1) has it for points of interest.

    j is a copy of i where, besides, what of j the small picture of i leaves unexplained, fitted by
    brightness and contrast, is nowhere more than 8 of 255 grey levels in the mean of 2x2 of its
    16x16 pixels. Products before a white wall correlate by their outline alone; their colours do
    not agree to that.

    An image with more than about twenty near copies, such as a frame of a film, has no farther
    neighbours; only its equals are found.
    """
    count = len(graph)
    distance = np.concatenate([*_distances(seen.small, graph.near)])
    usual = np.quantile(distance, 0.75, axis=1)
    limit = np.minimum(FARTHEST, RATIO * np.minimum(usual[:, None], usual[graph.near]))
    row, column = np.nonzero(distance <= limit)
    pair, far = np.stack([row, graph.near[row, column]], axis=1), distance[row, column]
    close = np.concatenate([np.zeros(0), *_differences(seen, pair)]) <= LEVELS
    pairs = [pair[close], _equal(seen.digests)]
    apart = [far[close], np.zeros(len(pairs[1]))]
    a, b = np.concatenate(pairs).T
    d = np.concatenate(apart)
    a, b, d = np.concatenate([a, b]), np.concatenate([b, a]), np.concatenate([d, d])
    order = np.lexsort((b, -d, a))  # the nearest copy of each is written last
    nearest = np.full(count, -1, np.int64)
    similarity = np.zeros(count, np.float32)
    nearest[a[order]], similarity[a[order]] = b[order], 1 - d[order]
    identical = np.zeros(count, bool)
    identical[pairs[1].ravel()] = True
    group = _groups(count, a, b)
    return Copies(group, similarity, nearest, identical, _alike(group, pair, far))


def look(images: Tensor) -> tuple[Tensor, Tensor]:
    """Small pictures float32 (n, C, 16, 16) of images uint8 (n, C, H, W): mean 0 over all channels
    and length 1; zeros of an image of one colour. And the lengths (n,) they had, in grey levels."""
    small = F.adaptive_avg_pool2d(images.float(), SIDE)
    small = small - small.mean((1, 2, 3), keepdim=True)
    length = small.flatten(1).norm(dim=1)
    flat = length < 0.5 * small[0].numel() ** 0.5  # half a grey level
    unit = (small / length.clamp_min(1e-6)[:, None, None, None]).masked_fill(
        flat[:, None, None, None], 0
    )
    return unit, length


def digest(images: Tensor) -> np.ndarray:
    """A digest of the pixels of each image uint8 (n, C, H, W)."""
    content = images.contiguous().numpy()
    return np.array([hashlib.blake2b(one.tobytes(), digest_size=16).digest() for one in content])


def _distances(small: Tensor, near: np.ndarray) -> Iterator[np.ndarray]:
    """float32 (n, k) distances of images to their neighbours, block by block."""
    for start in range(0, len(near), BLOCK):
        own = _variants(small[start : start + BLOCK].float())
        other = small[torch.from_numpy(near[start : start + BLOCK])].float().flatten(2)
        r = torch.einsum("nvd,nkd->nkv", own, other).amax(2)
        yield (1 - r).clamp_min(0).numpy()


def _differences(seen: Seen, pairs: np.ndarray) -> Iterator[np.ndarray]:
    """float32 (n,), grey levels: the largest difference of patches between the two of each pair
    int64 (n, 2), the first as the variant of it that correlates most, block by block."""
    for start in range(0, len(pairs), BLOCK):
        a, b = torch.from_numpy(pairs[start : start + BLOCK]).unbind(1)
        variants, other = _variants(seen.small[a].float()), seen.small[b].float()
        r, best = torch.einsum("nvd,nd->nv", variants, other.flatten(1)).max(1)
        explained = r[:, None] * variants[torch.arange(len(a)), best]
        left = (other.flatten(1) - explained).view_as(other)
        patches = F.avg_pool2d(left, 2, 1).abs().flatten(1).amax(1)
        yield (patches * torch.maximum(seen.contrast[a], seen.contrast[b])).numpy()


def _alike(group: np.ndarray, pairs: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """int64 (N,): of pairs int64 (n, 2) that are no copies, the nearest partner; -1 alone."""
    a, b = pairs.T
    other = (group[a] < 0) | (group[a] != group[b])
    a, b, distance = a[other], b[other], distance[other]
    order = np.argsort(-distance, kind="stable")
    nearest = np.full(len(group), -1, np.int64)
    for one, two in ((b, a), (a, b)):
        nearest[one[order]] = two[order]
    return nearest


def _variants(small: Tensor) -> Tensor:
    """Small pictures (n, C, 16, 16) as they are, mirrored, and cut to nine places of themselves:
    (n, 11, C * 256), normalised as they are."""
    cut = [
        torch.einsum("yh,nchw,xw->ncyx", vertical, small, horizontal)
        for vertical in _CUTS
        for horizontal in _CUTS
    ]
    made = torch.stack([small, small.flip(-1), *cut], 1).flatten(2)
    made = made - made.mean(2, keepdim=True)
    return made / made.norm(dim=2, keepdim=True).clamp_min(1e-6)


def _resampling(first: float) -> Tensor:
    """The matrix (16, 16) that makes 16 values of ``ZOOM`` of them, linearly, from ``first`` on."""
    places = first + (torch.arange(SIDE) + 0.5) * ZOOM - 0.5
    return (1 - (places[:, None] - torch.arange(SIDE)).abs()).clamp_min(0)


_CUTS = [_resampling(share * SIDE * (1 - ZOOM)) for share in (0.0, 0.5, 1.0)]


def _equal(digests: np.ndarray) -> np.ndarray:
    """Pairs int64 (n, 2) that join all images of equal digests."""
    _, which = np.unique(digests, return_inverse=True)
    order = np.argsort(which, kind="stable")
    same = which[order][1:] == which[order][:-1]
    return np.stack([order[:-1][same], order[1:][same]], axis=1)


def _groups(count: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Connected components of pairs, numbered in the order of their first images; -1 alone."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    joined = coo_matrix((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    _, part = connected_components(joined, directed=False)
    group = np.full(count, -1, np.int64)
    paired = np.unique(a)
    _, first, number = np.unique(part[paired], return_index=True, return_inverse=True)
    group[paired] = np.argsort(np.argsort(first))[number]
    return group
