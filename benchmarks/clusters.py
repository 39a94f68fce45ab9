"""Making clusters and measuring them, against limits and peers, in one run.

    python benchmarks/clusters.py [--only attributes|information|kmeans] [--rounds 3] [--nredo 1]

attributes   Z from 1,000,000 x 312 binary attributes, all of them chosen, ranking included: at most
             5 s and 2 GB of peak memory, the table itself included. Peer: np.unique(axis=0) on the
             same table (which does not rank).
information  entropies, mutual information, its expectation, NMI and AMI of 10,000,000 pairs of
             1,000 clusters and 100 labels: at most 2 s. Peer: scikit-learn's mutual information,
             NMI and AMI of the same pairs.
kmeans       a refresh of 50,000 x 128 features, k = 1,000: at most 1.10 times faiss's own training
             and assignment.

Every measurement runs in a process of its own, so that its peak memory is its own; the least of
the rounds counts. Limits are judged by processor time, which is the time that passes on a machine
of one's own (except for k-means, all of it is one thread) and does not count other work beside it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from viewfinder.data.source import Attributes
from viewfinder.information.discrete import information
from viewfinder.positives.attributes import attributes, rank
from viewfinder.positives.kmeans import kmeans


@dataclass(frozen=True)
class Cost:
    """Seconds passed, seconds of processor time, and peak memory of the process in GB."""

    wall: float
    cpu: float
    memory: float

    def __str__(self) -> str:
        return f"{self.wall:6.2f} s ({self.cpu:.2f} s of CPU), peak {self.memory:.2f} GB"


def table() -> np.ndarray:
    """uint8 (1,000,000, 312): 100,000 kinds of data, attributes of differing frequency."""
    rng = np.random.default_rng(0)
    kinds = rng.random((100_000, 312), dtype=np.float32) < rng.beta(0.7, 2, 312)
    return kinds.view(np.uint8)[rng.integers(0, len(kinds), 1_000_000)]


def pairs() -> tuple[np.ndarray, np.ndarray]:
    """10,000,000 clusters of 1,000 and labels of 100 that agree half of the time."""
    rng = np.random.default_rng(0)
    t = rng.integers(0, 100, 10_000_000)
    noise = rng.integers(0, 1000, len(t))
    return np.where(rng.random(len(t)) < 0.5, t * 10 + noise % 10, noise), t


def features() -> np.ndarray:
    """float32 (50,000, 128) on the sphere, around 1,000 centres."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(1000, 128))
    x = centres[rng.integers(0, 1000, 50_000)] + rng.normal(size=(50_000, 128))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def ours_attributes(x: np.ndarray) -> None:
    names = Attributes(x, [f"a{i}" for i in range(x.shape[1])])
    attributes(names, top_k=len(rank(names).columns))


def peer_attributes(x: np.ndarray) -> None:
    np.unique(x, axis=0, return_inverse=True)


def ours_information(z: np.ndarray, t: np.ndarray) -> None:
    information(z, t)


def peer_information(z: np.ndarray, t: np.ndarray) -> None:
    from sklearn import metrics

    metrics.mutual_info_score(t, z)
    metrics.normalized_mutual_info_score(t, z)
    metrics.adjusted_mutual_info_score(t, z)


def ours_kmeans(x: np.ndarray, nredo: int) -> None:
    kmeans(x, 1000, nredo=nredo)


def peer_kmeans(x: np.ndarray, nredo: int) -> None:
    import faiss

    peer = faiss.Kmeans(128, 1000, niter=20, nredo=nredo, seed=0, max_points_per_centroid=1000)
    peer.train(x)
    peer.index.search(x, 1)


def _child(
    queue: multiprocessing.Queue, make: Callable, work: Callable, extra: tuple, rounds: int
) -> None:
    made = make()
    data = made if isinstance(made, tuple) else (made,)
    best = None
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        work(*data, *extra)
        cost = (time.perf_counter() - wall, time.process_time() - cpu)
        best = cost if best is None else min(best, cost)
    assert best is not None
    queue.put(Cost(*best, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6))


def measure(make: Callable, work: Callable, *extra: int, rounds: int) -> Cost:
    """Cost of ``work(*make(), *extra)`` in a fresh process; making the data counts for memory."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_child, args=(queue, make, work, extra, rounds))
    child.start()
    cost: Cost = queue.get()
    child.join()
    return cost


def report(name: str, ours: Cost, peer: Cost, peer_name: str, limit: str) -> None:
    """Print both costs and their ratio beside the limit."""
    print(f"{name}\n  ours  {ours}\n  {peer_name}  {peer}")
    print(f"  ours / peer {ours.wall / peer.wall:.2f} ({ours.cpu / peer.cpu:.2f} of CPU); {limit}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("attributes", "information", "kmeans"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nredo", type=int, default=1, help="runs of k-means (a recipe: 5)")
    options = parser.parse_args()
    rounds = options.rounds
    if options.only in (None, "attributes"):
        ours = measure(table, ours_attributes, rounds=rounds)
        peer = measure(table, peer_attributes, rounds=1)
        verdict = "kept" if ours.cpu <= 5 and ours.memory <= 2 else "MISSED"
        limit = f"limit 5 s and 2 GB: {verdict}"
        report("Z of 1,000,000 x 312", ours, peer, "np.unique(axis=0)", limit)
    if options.only in (None, "information"):
        ours = measure(pairs, ours_information, rounds=rounds)
        peer = measure(pairs, peer_information, rounds=1)
        limit = f"limit 2 s: {'kept' if ours.cpu <= 2 else 'MISSED'}"
        report("information of 10,000,000 pairs", ours, peer, "scikit-learn", limit)
    if options.only in (None, "kmeans"):
        ours = measure(features, ours_kmeans, options.nredo, rounds=1)
        peer = measure(features, peer_kmeans, options.nredo, rounds=1)
        limit = f"limit 1.10: {'kept' if ours.cpu <= 1.1 * peer.cpu else 'MISSED'}"
        report("k-means 50,000 x 128, k = 1,000", ours, peer, "faiss", limit)


if __name__ == "__main__":
    main()
