"""What the experiments of CI-InfoNCE (Tsai et al. 2021) share at desk scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from viewfinder.data.source import Attributes, Source
from viewfinder.papers import desk
from viewfinder.papers.desk import Cell, Overrides, accuracies
from viewfinder.papers.image_sets import ROOT, expand
from viewfinder.papers.result import Results, percent, table

FASHION: Overrides = {"source": f"npz:{ROOT}/fashion_products", "size": 32}
SHAPES: Overrides = {"source": "shapes", "size": 32, "limit": 4000}
TINY_IMAGENET: Overrides = {"source": f"npz:{ROOT}/tiny_imagenet50_hier", "size": 32}

# Labels are article types. masterCategory, subCategory and articleType are the labels' own tree, so
# as attributes they would give the labels away; these five are known of a product without looking.
FASHION_ATTRIBUTES = ("gender", "baseColour", "season", "year", "usage")

# The paper's augmentation (its code), the same for all rows of a table, cross-entropy included.
VIEWS: Overrides = {"preset": "simclr", "crop_scale": [0.4, 1.0]}
QUEUE: Overrides = {"size": 2048}  # half the images, so that most negatives are of this epoch
CONTRASTIVE: Overrides = {"name": "supcon", "temperature": 0.1}


def cell(
    name: str,
    method: str,
    data: Overrides,
    positives: Overrides | None = None,
    *,
    watch: tuple[str, ...] = (),
    features: Any = "trained",
    fields: Mapping[str, Any] | None = None,
    **parts: Any,
) -> Cell:
    """A cell with the paper's views; ``parts`` are further parts of its recipe, and ``fields``
    further ones of the cell."""
    recipe = {"method": method, "data": data, "views": VIEWS, **parts}
    if positives is not None:
        recipe["positives"] = positives
    return Cell(name, recipe, features=features, watch=watch, **(fields or {}))


def ci_infonce(name: str, data: Overrides, positives: Overrides, **more: Any) -> Cell:
    """CI-InfoNCE as the paper's code has it, with any clusters."""
    return cell(name, "ci-infonce-batch", data, positives, objective=CONTRASTIVE, **more)


def predicted(name: str, data: Overrides, positives: Overrides, **more: Any) -> Cell:
    """The baseline that predicts the clusters by cross-entropy, from one view per image."""
    return cell(name, "cross-entropy", data, positives, **more)


def simclr(name: str, data: Overrides, **more: Any) -> Cell:
    """Each image its own cluster; the temperature of CI-InfoNCE's rows."""
    return cell(name, "simclr", data, objective={"name": "nt-xent", "temperature": 0.1}, **more)


def moco(name: str, data: Overrides, **more: Any) -> Cell:
    """With the queue of all rows that have one."""
    return cell(name, "moco", data, negatives=QUEUE, **more)


def baselines(data: Overrides, prefix: str = "") -> list[Cell]:
    """An untrained encoder and the pixels themselves."""
    return desk.baselines(cell("", "simclr", data), prefix)


def open_desk(data: Overrides, *, seed: int = 0) -> Source:
    """The source of a cell's data part."""
    from viewfinder.data.sources.table import open_source

    options = {key: value for key, value in expand(data).items() if key != "source"}
    return open_source(expand(data["source"]), **options, seed=seed)


def usable(table: Attributes, wanted: Sequence[str]) -> Attributes:
    """The attributes of these names alone, in the order of the table."""
    columns = [i for i, name in enumerate(table.names) if name in wanted]
    return Attributes(
        table.values[:, columns], [str(table.names[i]) for i in columns], table.value_names
    )


def attribute_clusters(table: Attributes, top_k: int) -> dict[str, Any]:
    """The positives part for the ``top_k`` columns of highest entropy of the table, by name."""
    from viewfinder.positives.attributes import rank

    columns = [column.name for column in rank(table).columns[:top_k]]
    return {"name": "attributes", "columns": columns, "top_k": None}


def measured(table: Attributes, labels: np.ndarray, top_k: int) -> Mapping[str, float]:
    """I(Z;T), H(Z|T), ... in bits of the clusters of ``attribute_clusters``."""
    from viewfinder.papers.desk_train import bits
    from viewfinder.positives.attributes import attributes

    return bits(attributes(table, top_k=top_k).clusters, labels)


def best_k(information: Mapping[int, Mapping[str, float]]) -> int:
    """The k with the largest I(Z;T) - H(Z|T), the rule of section 4.4; the smallest of equals."""
    return max(
        sorted(information), key=lambda k: information[k]["i"] - information[k]["h_z_given_t"]
    )


def of_clusters(results: Results, name: str) -> tuple[float, float]:
    """I(Z;T) and H(Z|T) of a cell's clusters, of its first seed, in bits; NaN where it was stopped
    and of a baseline, which has no clusters."""
    found = results[name][0]["information"] or {}
    return found.get("i", math.nan), found.get("h_z_given_t", math.nan)


def clusters_table(head: str, results: Results) -> str:
    """I(Z;T), H(Z|T) and accuracy of each cell."""
    top1, top5 = accuracies(results), accuracies(results, "top5")
    rows = []
    for name in results:
        known = ["-" if math.isnan(x) else f"{x:.2f}" for x in of_clusters(results, name)]
        rows.append([name, *known, percent(top1[name]), percent(top5[name])])
    return table([head, "I(Z;T), bits", "H(Z|T), bits", "top-1", "top-5"], rows)
