"""What `viewfinder clean` finds of planted faults: python benchmarks/clean.py

    python benchmarks/clean.py [--sets 20] [RUN SET ...]

A set is 1,000 images with 60 changed copies (six kinds, see viewfinder.cleaning.planted), 10
strangers (seven images of gtsrb35, three of noise) and 50 wrong labels. Without words: sets of
`shapes` that an encoder has never seen, trained by SimCLR for three epochs on 2,000 others. With
RUN SET pairs: npz folders of $VIEWFINDER_DATA, in the embedding of runs trained on them.

Printed for each: precision and recall, mean and standard deviation over the sets; the average
precision of the scores; and the accuracy of a vote of neighbours, which says how much the embedding
knows of the labels.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from viewfinder.cleaning.copies import Seen, find_copies
from viewfinder.cleaning.labels import doubts, neighbour_probabilities
from viewfinder.cleaning.outliers import outlier_scores, unusual
from viewfinder.cleaning.planted import CHANGES, Planted, plant
from viewfinder.data.shapes.source import shapes_split
from viewfinder.data.stored import ArrayData
from viewfinder.networks.frozen_features import extract
from viewfinder.runs.neighbour_graph import nearest_neighbours
from viewfinder.runs.run import Run, load_encoder

IMAGES, STRANGERS = 1_000, 7
SIDE = 32


def main() -> None:
    words = sys.argv[1:]
    sets = 20
    if words[:1] == ["--sets"]:
        sets, words = int(words[1]), words[2:]
    pairs = [(Path(run), name) for run, name in zip(words[::2], words[1::2], strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        if not pairs:
            pairs = [(trained(Path(folder)), "shapes")]
        for run, name in pairs:
            found = [measured(run, planted(name, seed)) for seed in range(sets)]
            print(f"{name}, {sets} sets, {run}")
            for key in found[0]:
                values = np.array([one[key] for one in found])
                known = values[~np.isnan(values)]
                if not len(known):
                    print(f"  {key:32} none were found")
                    continue
                print(f"  {key:32} {known.mean():.2f} +- {known.std():.2f}")


def trained(folder: Path) -> Path:
    """The run of a short training on shapes."""
    from viewfinder.commands.pretrain import pretrain
    from viewfinder.commands.words import recipe_of

    words = ["simclr", "data=shapes", "data.limit=2000", "epochs=3", "logger=none"]
    words += ["evaluation.protocols=[knn]", "evaluation.baselines=false"]
    return pretrain(recipe_of(words), folder / "run").folder


def planted(name: str, seed: int) -> Planted:
    """A set with faults; the strangers are seven images of traffic signs and three of noise."""
    rng = np.random.default_rng(seed)
    if name == "shapes":
        split = shapes_split("train", 20_000 + IMAGES * seed + np.arange(IMAGES), SIDE, 1)
        assert split.labels is not None
        images = split.data.read(np.arange(IMAGES)).permute(0, 2, 3, 1).numpy()
        labels = split.labels
    else:
        images, labels = stored(name, IMAGES, rng)
    other, _ = stored("gtsrb35", STRANGERS, rng)
    noise = rng.integers(0, 256, (10 - STRANGERS, SIDE, SIDE, 3), dtype=np.uint8)
    return plant(images, labels, np.concatenate([other, noise]), rng)


def stored(name: str, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    with np.load(Path(os.environ["VIEWFINDER_DATA"]) / name / "train.npz") as file:
        images, labels = file["images"], file["labels"]
    rows = rng.permutation(len(images))[:count]
    made = [
        np.asarray(Image.fromarray(one.squeeze()).convert("RGB").resize((SIDE, SIDE)))
        for one in images[rows]
    ]
    return np.stack(made), labels[rows].astype(np.int64)


def measured(run: Path, of: Planted) -> dict[str, float]:
    """Precision and recall of what is found in a set."""
    encoder, recipe, _ = load_encoder(Run(run))
    images = torch.from_numpy(of.images).permute(0, 3, 1, 2).contiguous()
    vectors = extract(encoder, ArrayData(images), recipe.view_maker().frozen).numpy()
    graph = nearest_neighbours(vectors)
    found = find_copies(Seen.of(images), graph)
    group = found.group
    hits = [group[a] == group[b] >= 0 for a, b in of.copies]
    told = {frozenset(pair) for pair in enumerate(found.nearest.tolist()) if pair[1] >= 0}
    right = {frozenset(pair) for pair in of.copies.tolist()}
    score = outlier_scores(vectors, graph)
    flagged = unusual(score)
    p = neighbour_probabilities(graph, of.labels)
    judged = doubts(p, of.labels)
    true = ~of.wrong & ~of.strange
    return {
        "copies: precision": len(told & right) / max(len(told), 1),
        "copies: recall": float(np.mean(hits)),
        "copies and look-alikes: recall": float(
            np.mean(
                [hit or found.alike[b] == a for hit, (a, b) in zip(hits, of.copies, strict=True)]
            )
        ),
        **{
            f"copies: recall, {kind}": float(np.mean(hits[i :: len(CHANGES)]))
            for i, kind in enumerate(CHANGES)
        },
        **_rates("outliers", flagged, of.strange, score),
        **_rates("labels", judged.doubtful, of.wrong, 1 - judged.confidence),
        "vote right, of true labels": float((p.argmax(1) == of.labels)[true].mean()),
    }


def _rates(name: str, found: np.ndarray, true: np.ndarray, score: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import average_precision_score

    hits = (found & true).sum()
    return {
        f"{name}: precision": hits / found.sum() if found.any() else float("nan"),
        f"{name}: recall": hits / true.sum(),
        f"{name}: average precision": average_precision_score(true, score),
    }


if __name__ == "__main__":
    main()
