"""Experiments at desk scale: a grid of named cells, each a short run, each over a few seeds.

A cell is a recipe's overrides and what is measured at the end. ``run_cells`` trains all cells with
all seeds, keeps what is finished, and gives the results back by cell. What all desk runs share
stands in ``COMMON``; a cell's recipe is laid over it. ``experiment`` makes of a grid, and of what
is to be reported of its results, the ``run`` of an experiment.

>>> simclr = Cell("SimCLR", {"method": "simclr", "data": {"source": "shapes", "limit": 4000}})
>>> results = run_cells([simclr], Path("out"), seeds=3)  # doctest: +SKIP
>>> accuracy(results["SimCLR"]).mean  # doctest: +SKIP
0.41
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from viewfinder.core.errors import UserError
from viewfinder.papers.claims import Claim
from viewfinder.papers.image_sets import expand
from viewfinder.papers.judged import judged
from viewfinder.papers.progress import Progress, silent
from viewfinder.papers.result import PIXELS, Result, Results, Spread
from viewfinder.papers.runs import run_all
from viewfinder.papers.selection import SEEDS, Candidates, best

COMMON: Mapping[str, Any] = {
    "epochs": 14,
    "batch_size": 128,
    "precision": "bf16-mixed",
    "checkpoint_every": 10_000,
    "logger": "none",
    "views": {"size": 24},  # crops of images that are a little larger; costs half of 32 px
    "encoder": {"name": "convnet", "widths": [16, 32, 64, 128]},
    "optimizer": {"name": "adamw", "lr": 0.01, "warmup_epochs": 1},
}
QUICK: Mapping[str, Any] = {"epochs": 3, "data": {"limit": 1500}}
GENERATOR = "GENERATOR"
"""Stands for the file of a generator that is trained with each seed."""
LEARNED: Mapping[str, Any] = {"epochs": 8}
"""Of all trainings of views; the rest is as ``COMMON`` has it."""

Overrides = Mapping[str, Any]
Features = Literal["trained", "untrained", "raw pixels"]


@dataclass(frozen=True)
class Cell:
    """One row of a table or point of a figure.

    name       unique in its grid
    recipe     nested overrides, "method" among them, over ``COMMON``; ``ROOT`` in a text stands for
               the folder of real image sets
    features   whose features are probed: the trained encoder's, or without training those of the
               untrained one or the pixels themselves
    protocols  the probes; the first one's accuracy is the cell's
    transfer   further data, each the overrides of a recipe's data part, to probe the encoder on;
               with "targets", names of factors, these are read instead of the labels
    watch      "module:Class" of callbacks made as Class(recipe, split), whose ``rows``, a list of
               JSON values, are kept under their class's name
    points     fractions of training, below 1, after which the encoder is probed as at the end
    rescaled   root mean squares that the features are brought to, all by one factor, to be read
               once more by all protocols but the first: SGD at a fixed rate depends on that scale
    prepare    "module:function" that makes of the source, and the seed, the one that is used
    shared     whether it is measured what the two views share, see ``viewfinder.evaluation.shared``
    learned    a training of views that comes first, with the same seed: overrides of its recipe.
               Its generator takes the place of ``GENERATOR`` among the steps
    choices    overrides over ``recipe``, by the words that tell of them, of which one is chosen on
               held-out rows of train: see ``choose``
    trainer    "module:function" that trains the encoder of this recipe on a split in place of the
               method, as function(recipe, split): what has no objective in a table
    turn       when it runs: all seeds of a lower turn come first, so that a grid that is
               interrupted has what says most
    """

    name: str
    recipe: Overrides
    features: Features = "trained"
    protocols: tuple[str, ...] = ("linear",)
    transfer: tuple[Overrides, ...] = field(default_factory=tuple)
    watch: tuple[str, ...] = ()
    points: tuple[float, ...] = ()
    rescaled: tuple[float, ...] = ()
    prepare: str = ""
    shared: bool = False
    learned: Overrides = field(default_factory=dict)
    choices: Candidates = field(default_factory=dict)
    trainer: str = ""
    turn: int = 0


UNTRAINED = "untrained encoder"


def baselines(like: Cell, prefix: str = "") -> list[Cell]:
    """An untrained encoder and the pixels themselves, on the data and with the probes of a cell."""
    kinds: dict[str, Features] = {UNTRAINED: "untrained", PIXELS: "raw pixels"}
    return [
        replace(like, name=f"{prefix}{name}", features=features, choices={}, shared=False)
        for name, features in kinds.items()
    ]


def experiment(
    cells: Callable[[bool], Sequence[Cell]],
    report: Callable[[Results, Path, bool], Result],
    claims: Callable[[Results], Sequence[Claim]],
    tables: Callable[[Results], Sequence[str]],
    barred: Callable[[Mapping[str, Overrides]], Mapping[str, str]] = lambda recipes: {},
    *,
    first: int = 0,
    alike: Callable[[str], str] | None = None,
) -> tuple[Callable[..., Result], Callable[[Mapping[str, Any]], Result]]:
    """The ``run`` and the ``judge`` of an experiment: see ``viewfinder.papers.experiment``.

    cells    of quick: the grid
    report   of the results, the folder for figures and quick: figures, and of protocol and notes
             what is the experiment's own. Those of all desk runs are added, and the numbers
    claims   of the results: what is to be judged
    tables   of the results: the paper's tables with what was found
    barred   of the arms' recipes: arms that no claim can rest on, and why
    alike    of an arm's name its group of arms that differ in their views alone, see ``judged``
    first    the first seed: not 0 where the experiment was planned after runs with seeds from 0
    """

    def run(
        out: Path,
        *,
        seeds: int = 3,
        quick: bool = False,
        device: str = "cpu",
        workers: int = 2,
        progress: Progress = silent,
    ) -> Result:
        grid = cells(quick)
        check(grid)
        how: dict[str, Any] = {"quick": quick, "device": device, "workers": workers}
        found: dict[str, Any] = {}
        for turn in sorted({cell.turn for cell in grid}):
            own = [cell for cell in grid if cell.turn == turn]
            settled, choices = choose(own, out, **how, progress=progress)
            done = run_cells(settled, out, seeds=seeds, first=first, **how, progress=progress)
            found |= numbers(done, settled, choices)
        found = {cell.name: found[cell.name] for cell in grid}
        results = {name: arm["seeds"] for name, arm in found.items()}
        own_part = report(results, out, quick)
        return replace(
            own_part,
            protocol={**protocol(grid, seeds, device, quick, first), **own_part.protocol},
            numbers=found,
            notes=[*own_part.notes, *stopped(results, first)],
            **judged(found, claims, tables, barred, COMMON, alike),
        )

    def judge(stored: Mapping[str, Any]) -> Result:
        kept = {key: stored[key] for key in ("protocol", "numbers", "figures", "notes")}
        return Result(**kept, **judged(stored["numbers"], claims, tables, barred, COMMON, alike))

    return run, judge


def check(cells: Sequence[Cell]) -> None:
    """Raise UserError where a cell needs data that are not there; ValueError for a name twice."""
    names = [cell.name for cell in cells]
    if len(set(names)) < len(names):
        raise ValueError(f"cells have the same name: {names}")
    for cell in cells:
        expand([cell.recipe, cell.transfer])


def choose(
    cells: Sequence[Cell],
    out: Path,
    *,
    quick: bool = False,
    device: str = "cpu",
    workers: int = 2,
    progress: Progress = silent,
) -> tuple[list[Cell], dict[str, Any]]:
    """The cells with their best candidate in the recipe; and of each that had any, as JSON data,
    which was chosen, and the scores of all.

    Each candidate is trained with the seeds ``viewfinder.papers.selection.SEEDS`` (quick: the first
    of them) on four fifths of train and scored on the last one: see ``desk_train.train_on_part``.
    Runs are stored in ``out``/runs and used again, as those of ``run_cells``. A single candidate is
    taken without training.
    """
    from viewfinder.papers.desk_train import train_on_part
    from viewfinder.recipes.recipe import merge

    seeds = SEEDS[:1] if quick else SEEDS
    tasks = [
        (cell, word, seed)
        for cell in cells
        if len(cell.choices) > 1
        for word in cell.choices
        for seed in seeds
    ]
    done = run_all(
        train_on_part,
        [settings(_candidate(cell, word), seed, quick=quick, device=device)
         for cell, word, seed in tasks],
        out / "runs",
        workers=1 if device != "cpu" else workers,
        progress=_named(progress, "candidates", [cell for cell, _, _ in tasks]),
    )  # fmt: skip
    scores: dict[str, dict[str, list[float | None]]] = {
        cell.name: {word: [] for word in cell.choices} for cell in cells if cell.choices
    }
    for (cell, word, _), result in zip(tasks, done, strict=True):
        scores[cell.name][word].append(result["top1"])
    choices: dict[str, dict[str, Any]] = {
        name: {"chosen": best(among), "among": among, "seeds": list(seeds)}
        for name, among in scores.items()
    }
    settled = [
        replace(
            cell,
            recipe=merge(cell.recipe, cell.choices[choices[cell.name]["chosen"]]),
            choices={},
        )
        if cell.choices
        else cell
        for cell in cells
    ]
    return settled, choices


def _candidate(cell: Cell, word: str) -> Cell:
    """The cell as it is trained while choosing: nothing is looked at but its accuracy."""
    from viewfinder.recipes.recipe import merge

    recipe = merge(cell.recipe, cell.choices[word])
    first = cell.protocols[:1]
    prepare, learned = cell.prepare, cell.learned
    return Cell(cell.name, recipe, cell.features, first, prepare=prepare, learned=learned)


def run_cells(
    cells: Sequence[Cell],
    out: Path,
    *,
    seeds: int,
    first: int = 0,
    quick: bool = False,
    device: str = "cpu",
    workers: int = 2,
    progress: Progress = silent,
) -> dict[str, list[dict[str, Any]]]:
    """The results of all cells, each with ``seeds`` seeds from ``first`` on, in their order.

    Finished runs lie in ``out``/runs and are used again. On a GPU runs go one after another, on
    the CPU ``workers`` side by side, each on one thread.

    Raises UserError, before the first run, where a cell needs data that are not there.
    """
    from viewfinder.papers.desk_train import train

    check(cells)
    if any(cell.choices for cell in cells):
        raise ValueError("cells with choices are settled first, by choose")
    if set(range(first, first + seeds)) & set(SEEDS):
        raise UserError(
            f"seeds {first} to {first + seeds - 1} have those that choices are made with",
            fix=f"--seeds {min(SEEDS) - first} at most",
        )
    grid = [(cell, seed) for seed in range(first, first + seeds) for cell in cells]
    done = run_all(
        train,
        [settings(cell, seed, quick=quick, device=device) for cell, seed in grid],
        out / "runs",
        workers=1 if device != "cpu" else workers,
        progress=_named(progress, "runs", cells),
    )
    results: dict[str, list[dict[str, Any]]] = {cell.name: [] for cell in cells}
    for (cell, _), result in zip(grid, done, strict=True):
        results[cell.name].append(result)
    return results


def settings(cell: Cell, seed: int, *, quick: bool = False, device: str = "cpu") -> dict[str, Any]:
    """All that the run of a cell with a seed depends on, as plain JSON data: the whole recipe, so
    that a run is not used again where a default or a method's row has changed."""
    from viewfinder.recipes.recipe import build, merge

    recipe = build(None, merge(COMMON, cell.recipe, QUICK if quick else {}, {"seed": seed}))
    own = {k: v for k, v in asdict(cell).items() if k not in ("name", "choices", "turn")}
    if cell.learned:
        shorter = {"epochs": 1} if quick else {}
        shared = ("batch_size", "checkpoint_every", "logger", "encoder")
        same = {**{key: COMMON[key] for key in shared}, "size": COMMON["views"]["size"]}
        own["learned"] = merge(same, LEARNED, cell.learned, shorter, {"seed": seed})
    for key in ("rescaled", "prepare", "shared", "learned", "trainer"):
        # runs were stored before there were such things
        if not own[key]:
            del own[key]
    return {**own, "recipe": recipe.plain(), "transfer": list(cell.transfer), "device": device}


def accuracy(results: Sequence[Mapping[str, Any]], measure: str = "top1") -> Spread | None:
    """top1 (or top5, ...) over the seeds; None where any run was stopped or has no such value."""
    values = [r[measure] for r in results]
    return Spread(tuple(values)) if values and None not in values else None


def accuracies(results: Results, measure: str = "top1") -> dict[str, Spread | None]:
    """The accuracy of each cell over its seeds."""
    return {name: accuracy(runs, measure) for name, runs in results.items()}


def numbers(
    results: Results, cells: Sequence[Cell], choices: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """For results.json: each cell's recipe, the results of its seeds, with their protocols, and
    what was chosen for it, where anything was."""
    recipes = {one.name: one.recipe for one in cells}
    chosen = {name: {"choice": choice} for name, choice in (choices or {}).items()}
    return {
        name: {"recipe": recipes[name], "seeds": list(runs), **chosen.get(name, {})}
        for name, runs in results.items()
    }


def sets(results: Results) -> list[str]:
    """The data sets of cells that are named "set: row", in their order."""
    return list(dict.fromkeys(name.partition(": ")[0] for name in results))


def of_set(results: Results, name: str) -> dict[str, Sequence[Mapping[str, Any]]]:
    """The results of one data set's cells, by row, where cells are named "set: row"."""
    prefix = f"{name}: "
    return {full.removeprefix(prefix): r for full, r in results.items() if full.startswith(prefix)}


def protocol(
    cells: Sequence[Cell], seeds: int, device: str, quick: bool, first: int = 0
) -> dict[str, Any]:
    """What the runs of a grid have in common, for the Protocol line of a result."""
    recipes = [settings(cell, 0, quick=quick)["recipe"] for cell in cells]
    encoder, optimizer = COMMON["encoder"], COMMON["optimizer"]
    sources = [(r["data"]["source"].rpartition("/")[2], r["data"]["limit"]) for r in recipes]
    trained = [r for r, c in zip(recipes, cells, strict=True) if c.features == "trained"]
    return {
        "images of train": ", ".join(
            f"{'all' if limit is None else limit} of {name}"
            for name, limit in dict.fromkeys(sources)
        ),
        "views": f"{COMMON['views']['size']} px",
        "encoder": f"{encoder['name']} {encoder['widths']}",
        "epochs": " or ".join(str(one) for one in sorted({r["epochs"] for r in trained})),
        "batch size": COMMON["batch_size"],
        "optimiser": f"{optimizer['name']}, lr {optimizer['lr']} x batch / 256, "
        f"{optimizer['warmup_epochs']} epoch of warm-up, cosine",
        "precision": COMMON["precision"],
        "probe": "linear on frozen features after pooling, weight decay chosen on held-out rows of "
        "train; last epoch of training",
        "seeds": f"{first} to {first + seeds - 1}" if first else seeds,
        "device": device,
    }


def stopped(results: Results, first: int = 0) -> list[str]:
    """A sentence for every run that was stopped, with the reason."""
    return [
        f"{name}, seed {seed}: stopped, {result['stopped']}"
        for name, runs in results.items()
        for seed, result in enumerate(runs, first)
        if result.get("stopped")
    ]


def _named(progress: Progress, what: str, cells: Sequence[Cell]) -> Progress:
    """The progress with a word on the size of the grid instead of a file's name; silent where there
    is nothing to run."""
    count = len({cell.name for cell in cells})

    def told(done: int, total: int, file: str) -> None:
        if total:
            progress(done, total, f"{what} of {count} cells done ({file})")

    return told
