"""What the experiments of RC and LBE share at desk scale.

They are those of Wang, Guo, Deng, Lu 2022, "Rethinking Minimal Sufficient Representation in
Contrastive Learning", and of the report that repeats it with thirty epochs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from viewfinder.papers import desk
from viewfinder.papers.desk import Cell, Overrides, accuracies
from viewfinder.papers.image_sets import ROOT
from viewfinder.papers.result import Results, Spread, percent, table
from viewfinder.papers.selection import Candidates

EPOCHS = 10
SOURCE: Overrides = {"source": f"npz:{ROOT}/cifar10", "limit": 3000}
NATURAL: Overrides = {"source": f"npz:{ROOT}/imagenette96", "size": 42, "limit": 2000}
TRANSFER: Mapping[str, Overrides] = {
    "signs": {"source": f"npz:{ROOT}/gtsrb35"},
    "flowers": {"source": f"npz:{ROOT}/flowers17_96"},
    "EuroSAT": {"source": f"npz:{ROOT}/eurosat64"},
    "MNIST": {"source": f"npz:{ROOT}/mnist", "limit": 1500},
    "fashion": {"source": f"npz:{ROOT}/fashion_mnist", "limit": 1500},
    "characters": {"source": f"npz:{ROOT}/omniglot_small", "limit": 2420},
}
FEWER: Mapping[str, Overrides] = {name: TRANSFER[name] for name in ("signs", "flowers", "EuroSAT")}

# The paper's jitter; its crop takes 8 to 100 %, for hundreds of epochs.
VIEWS: Overrides = {"preset": "simclr", "crop_scale": [0.25, 1.0], "jitter": [0.8, 0.8, 0.8, 0.2]}

# The last three of the ConvNet's four stages, weighted like those of the ResNet.
# rho is 0.2 for its 128 features, as it is 0.05 for the ResNet's 512.
STAGES: Mapping[str, float] = {"stage2": 0.25, "stage3": 0.5, "stage4": 1.0}


def rc(weight: float) -> dict[str, Any]:
    """The regularizers part with RC alone."""
    return {"rc": {"weight": weight}}


def lbe(weight: float) -> dict[str, Any]:
    """The regularizers part with LBE alone, at three stages."""
    return {"lbe": {"weight": weight, "stages": STAGES}}


def weights(part: Callable[[float], Overrides], values: Sequence[float]) -> Candidates:
    """Candidates that differ in the weight of a regularizer: ``part`` makes the regularizers part
    of each."""
    return {f"weight {value:g}": {"regularizers": part(value)} for value in values}


def cell(
    name: str,
    method: str,
    regularizers: Overrides | None = None,
    *,
    transfer: Mapping[str, Overrides] = TRANSFER,
    features: Any = "trained",
    points: tuple[float, ...] = (),
    choices: Candidates | None = None,
    more: Mapping[str, Any] | None = None,
    **parts: Any,
) -> Cell:
    """A cell on the source with the paper's views; ``parts`` are further parts of its recipe, and
    ``more`` further fields of the cell."""
    recipe = {"method": method, "data": SOURCE, "views": VIEWS, "epochs": EPOCHS, **parts}
    if regularizers:
        recipe["regularizers"] = regularizers
    return Cell(
        name,
        recipe,
        features,
        transfer=tuple(transfer.values()),
        points=points,
        choices=choices or {},
        **(more or {}),
    )


def baselines(**parts: Any) -> list[Cell]:
    """An untrained encoder and the pixels themselves."""
    return desk.baselines(cell("", "simclr", **parts))


def transfers(results: Results) -> dict[str, Spread | None]:
    """Accuracy of each cell averaged over the transfer sets; the spread is over seeds."""
    return {name: _averaged([run["transfer"] for run in runs]) for name, runs in results.items()}


def by_set(runs: Sequence[Mapping[str, Any]], number: int) -> Spread | None:
    """Accuracy of a cell on one of its transfer sets."""
    if any(run["stopped"] for run in runs):
        return None
    return Spread(tuple(run["transfer"][number][0]["top1"] for run in runs))


def courses(runs: Sequence[Mapping[str, Any]]) -> tuple[dict[float, Spread], dict[float, Spread]]:
    """By epoch, accuracy on the source and averaged over the transfer sets, at all points and at
    the end; empty where a run was stopped."""
    if any(run["stopped"] for run in runs):
        return {}, {}
    moments = [[*run["points"], {**run, "epoch": len(run["epochs"])}] for run in runs]
    source, transfer = {}, {}
    for same in zip(*moments, strict=True):
        epoch = float(same[0]["epoch"])
        source[epoch] = Spread(tuple(one["scores"][0]["top1"] for one in same))
        averaged = _averaged([one["transfer"] for one in same])
        if averaged is not None:
            transfer[epoch] = averaged
    return source, transfer


def _averaged(transfers: Sequence[Sequence[Any]]) -> Spread | None:
    if not all(transfers):
        return None
    return Spread(
        tuple(statistics.fmean(scores[0]["top1"] for scores in sets) for sets in transfers)
    )


def transfer_table(results: Results, sets: Mapping[str, Overrides], head: str = "features") -> str:
    """Accuracy of each cell on the source, on each transfer set and averaged over these."""
    source, mean = accuracies(results), transfers(results)
    rows = [
        [
            name,
            percent(source[name]),
            *(percent(by_set(runs, number)) for number in range(len(sets))),
            percent(mean[name]),
        ]
        for name, runs in results.items()
    ]
    return table([head, "source", *sets, "mean of the transfers"], rows)


def paper_table(paper: Mapping[str, Sequence[float]]) -> str:
    """The paper's numbers, in percent: source, signs, flowers, MNIST, fashion."""
    rows = [[row, *(f"{value:.2f}" for value in values)] for row, values in paper.items()]
    return table(["the paper", "source", "signs", "flowers", "MNIST", "fashion"], rows)


def told(sets: Mapping[str, Overrides]) -> dict[str, str]:
    """For the protocol: the transfer sets."""
    return {"transfer": f"{', '.join(sets)}, each with a linear probe of its own"}


LBE_TOLD = {
    "LBE": "at the last three stages with weights 0.25, 0.5 and 1, rho 0.2 = 25.6 / width (a rule "
    "made after all runs with rho 0.05 had done worse here, by their test scores)",
    "noise with LBE": "0.1",
}
"""For the protocol of an experiment with LBE."""
