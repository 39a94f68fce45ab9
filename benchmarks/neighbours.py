"""Memory banks: the search for neighbours against faiss, and steps against SimCLR's, in one run.

    python benchmarks/neighbours.py [--only search|steps] [--rows 1281167] [--rounds 2]

search  the 4,096 nearest of 256 anchors in a bank of 1,281,167 x 128: at most 1.2 times one flat
        inner-product search of faiss on as many threads, and no table of 256 x 1,281,167 scores
        (1.3 GB): memory may grow by a third of that at most
update  of the bank by 256 keys: under 1 % of that search
steps   of instdis, ball, annulus and la on a bank of 50,000 rows, K or B = 4,096, whole training
        steps but for reading: at most 1.3 times the step of SimCLR with the same encoder, which
        sees two views of an image where these see one

Times are those of the processor, which do not count other work beside it, the least of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from viewfinder.data.batch import Batch
from viewfinder.negatives import Bank
from viewfinder.negatives.neighbours import nearest
from viewfinder.recipes.recipe import build, complete
from viewfinder.training.module import Pretraining
from viewfinder.training.optimizers import build_optimizer

ANCHORS, K, DIM = 256, 4096, 128
STEP_ROWS, STEP_BATCH = 50_000, 128


def least(work: Callable[[], object], rounds: int) -> float:
    """Seconds of processor time, the least of the rounds."""
    found = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def search(rows: int, rounds: int) -> None:
    """Print the costs of search and update."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    generator = torch.Generator().manual_seed(0)
    bank = Bank(rows, DIM, nearest=K)
    bank.fill(torch.randn(rows, DIM, generator=generator))
    index = torch.randperm(rows, generator=generator)[:ANCHORS]
    query = F.normalize(torch.randn(ANCHORS, DIM, generator=generator), dim=1)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = memory("VmRSS")
    ours = least(lambda: nearest(query, bank.table, K, own=index), rounds)
    grown = memory("VmHWM") - before
    flat = faiss.IndexFlatIP(DIM)
    flat.add(bank.table.numpy())
    peer = least(lambda: flat.search(query.numpy(), K), rounds)
    update = least(lambda: bank.update(query, index), max(rounds, 5))
    full = 4 * ANCHORS * rows / 1e9
    print(f"{K} nearest of {ANCHORS} in {rows:,} x {DIM}: ours {ours:.2f} s, faiss {peer:.2f} s")
    print(f"  ours / faiss {ours / peer:.2f}; limit 1.2: {kept(ours <= 1.2 * peer)}")
    print(f"  memory grew by {grown:.2f} GB, all scores are {full:.2f}: {kept(grown <= full / 3)}")
    share = update / ours
    print(f"update: {1e3 * update:.2f} ms, {share:.2%}; limit 1 %: {kept(share < 0.01)}")


def memory(of: str) -> float:
    """GB that this process has now ("VmRSS"), or had at most ("VmHWM"); Linux alone knows."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(of)) / 1e6


def kept(well: bool) -> str:
    return "kept" if well else "MISSED"


def steps(encoder: str, rounds: int) -> None:
    """Print the ratio of each method's step to SimCLR's; rounds alternate."""
    methods: dict[str, dict[str, Any]] = {
        "simclr": {},
        "instdis": {"negatives": {"size": K}},
        "ball": {"negatives": {"size": K, "start": 0}},
        "annulus": {"negatives": {"size": K, "start": 0}},
        "la": {"negatives": {"size": K, "start": 0}},
    }
    made = {name: stepper(name, {**words, "encoder": encoder}) for name, words in methods.items()}
    for step in made.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(rounds):
        for name, step in made.items():
            seconds[name].append(least(step, 2))
    base = statistics.median(seconds["simclr"])
    print(
        f"{encoder}, batch {STEP_BATCH}, 32 px, bank of {STEP_ROWS:,}: simclr {1e3 * base:.0f} ms"
    )
    for name, own in seconds.items():
        ratio = statistics.median(own) / base
        if name != "simclr":
            took = f"{1e3 * statistics.median(own):6.0f} ms"
            print(f"  {name:8s} {took}, {ratio:.2f}; limit 1.3: {kept(ratio <= 1.3)}")


def stepper(method: str, words: dict[str, Any]) -> Callable[[], None]:
    """One training step of a method on random images, forward, backward, optimiser and memory."""
    recipe = complete(build(method, {**words, "batch_size": STEP_BATCH}), (3, 32, 32))
    several = recipe.positives.name == "kmeans"
    clusters = torch.randint(0, 100, (STEP_ROWS, 3)).numpy() if several else None
    module = Pretraining(recipe, clusters, n=STEP_ROWS)
    module.log = lambda *given, **more: None  # type: ignore[method-assign]
    optimizer = build_optimizer(module, recipe.optimizer, STEP_BATCH)
    images = torch.randint(0, 256, (STEP_BATCH, 3, 32, 32), dtype=torch.uint8)
    batch = Batch(images, torch.randperm(STEP_ROWS)[:STEP_BATCH])

    def step() -> None:
        module.training_step(batch, 0)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("search", "steps"))
    parser.add_argument("--rows", type=int, default=1_281_167)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--encoder", default="convnet")
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads")
    if options.only in (None, "search"):
        search(options.rows, options.rounds)
    if options.only in (None, "steps"):
        steps(options.encoder, options.rounds)


if __name__ == "__main__":
    main()
