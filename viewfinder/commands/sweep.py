"""``viewfinder sweep``: train along one parameter of a recipe, and see where it is best."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from viewfinder.core.console import console, say
from viewfinder.core.counted import counted
from viewfinder.core.errors import InterruptedRun, RunStopped, UserError, unknown
from viewfinder.core.files import writing
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import Recipe, build, merge, nested
from viewfinder.runs.own_data import located
from viewfinder.sweeps.plan import Plan, Point, enough, joined, unfinished
from viewfinder.sweeps.vary import EXAMPLE, checked, parse

if TYPE_CHECKING:
    from viewfinder.runs.run import Run
    from viewfinder.sweeps.curve import Curve

ENGINES = ("here", "ray")


def sweep(
    method: str | None,
    overrides: Mapping[str, Any],
    vary: tuple[str, tuple[Any, ...]],
    *,
    seeds: int = 5,
    out: Path | None = None,
    file: Path | None = None,
    engine: str = "here",
) -> tuple[Path, Curve]:
    """Train and evaluate at each value with each seed, and draw what was found.

    vary    a key of the recipe, and its values
    out     folder of the sweep; None: sweeps/METHOD-KEY. One that has points of the same sweep is
            continued, also by several processes at the same time

    Returns the folder and the ``viewfinder.sweeps.curve.Curve``.

    Raises UserError, before anything is trained, for a key or a value that is refused, for data
    without labels or a test part, and for the folder of another sweep; RunStopped at the end where
    points failed, the others being kept.
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if seeds < 1:
        raise UserError(f"seeds is {seeds}; at least 1 is expected", fix="seeds=5")
    path, values = vary
    plan = planned(method, overrides, path, values, seeds=seeds, file=file, out=out)
    from viewfinder.sweeps.curve import curve_of, write
    from viewfinder.sweeps.points import one_after_another

    with writing(plan.folder):
        plan.folder.mkdir(parents=True, exist_ok=True)
    plan = joined(plan)
    points = plan.points()
    rest = len(unfinished(points))
    say(
        f"{len(plan.values)} values of {path} with {counted(plan.seeds, 'seed')}: "
        f"{len(points)} points, {len(points) - rest} of them finished, in {plan.folder}"
    )
    if (few := enough(plan)) is not None:
        say(f"note: {few}")
    if engine == "ray":
        from viewfinder.sweeps.on_ray import on_ray as run
    else:
        run = one_after_another
    try:
        failed = run(points, train_point)
    except (KeyboardInterrupt, InterruptedRun) as stop:
        how = f"the same command again; the points that are finished lie in {plan.folder}"
        raise InterruptedRun(plan.folder, how) from stop
    curve = curve_of(plan, points, failed)
    write(curve, plan, plan.folder)
    show(curve, plan)
    if failed:
        raise RunStopped(
            f"{len(failed)} of {len(points)} points failed, the others are kept: "
            f"{'; '.join(f'{name}: {why}' for name, why in list(failed.items())[:3])}. The same "
            "command tries them again"
        )
    return plan.folder, curve


def planned(
    method: str | None,
    overrides: Mapping[str, Any],
    path: str,
    values: tuple[Any, ...],
    *,
    seeds: int,
    file: Path | None = None,
    out: Path | None = None,
) -> Plan:
    """The plan of a sweep, its recipes checked against themselves and the data."""
    values = checked(path, values)
    if path == "seed" or path.startswith("data.source") or path == "data":
        fix = "seeds=5" if path == "seed" else "a sweep for each set of data"
        raise UserError(f"vary={path}: a sweep compares one recipe with itself", fix=fix)
    if path == "method" and method is not None:
        raise UserError(f"the method is {method}, and vary=method varies it", fix="no method")

    def at(value: Any) -> Recipe:
        layers = merge(overrides, nested([(path, value)]))
        recipe = build(method, layers, file)
        check_parts(recipe)
        own = {"baselines": False}  # the same at every point, except of the untrained encoder
        evaluation = recipe.evaluation.model_copy(update=own)
        return located(recipe.model_copy(update={"evaluation": evaluation, "logger": "none"}))

    plan = Plan(at, path, values, seeds, out or Path("sweeps"))
    _check(plan)
    return plan if out else replace(plan, folder=plan.folder / f"{plan.recipes[0].method}-{path}")


def _check(plan: Plan) -> None:
    """Raise UserError where a recipe cannot be trained on its data, or nothing can be scored."""
    from viewfinder.evaluation.scoring import has_labels
    from viewfinder.runs.opening import with_data
    from viewfinder.sweeps.vary import told

    known: list[dict[str, Any]] = []
    for value, recipe in zip(plan.values, plan.recipes, strict=True):
        if recipe.processes > 1:
            raise UserError(
                f"devices={recipe.devices} nodes={recipe.nodes}: a point of a sweep is trained by "
                "one process",
                fix="devices=1 nodes=1, and engine=ray for several points at a time",
            )
        try:
            whole, source = with_data(recipe, Console(quiet=True))
        except UserError as error:
            raise UserError(
                f"vary={plan.path}, at {told(value)}: {error.message}", fix=error.fix
            ) from error
        if (plain := whole.plain()) in known:
            same = plan.values[known.index(plain)]
            raise UserError(
                f"vary={plan.path}: {told(same)} and {told(value)} mean the same recipe",
                fix="one of them",
            )
        known.append(plain)
        if not has_labels(source):
            raise UserError(
                f"{recipe.data.source} has no labels in train and test: a sweep draws accuracy",
                fix="labelled data, or data.labels=FILE.csv",
            )


def train_point(point: Point) -> dict[str, Any]:
    """Train a point in its folder, going on where it was begun, and say what was found."""
    from viewfinder.commands.pretrain import pretrain, resume
    from viewfinder.runs.run import Run

    began = time.perf_counter()
    recipe = build(None, point.recipe)
    run = Run(point.folder / "run")
    if run.recipe_file.exists():
        resume(run.folder)
    else:
        shutil.rmtree(run.folder, ignore_errors=True)  # begun, but killed before its recipe
        pretrain(recipe, run.folder)
    return {**measured(run), "seconds": time.perf_counter() - began}


def measured(run: Run) -> dict[str, Any]:
    """Of a finished run, as JSON data.

    top1, protocol  of the first probe on the test part
    shared          I_NCE of its views on the test part, in nats; None: fewer than 64 images
    clusters        of Z, where images of a cluster are positives: H(Z), I(Z;T) and H(Z|T) of the
                    images it was trained on, in bits; else None
    """
    from viewfinder.evaluation.shared import shared_information
    from viewfinder.runs.opening import open_data, training_split
    from viewfinder.runs.results import read_results
    from viewfinder.training.restore import restored

    scores = [s for s in read_results(run.results_file) if s.features == "trained"]
    known = [(s, top1) for s in scores if (top1 := getattr(s, "top1", None)) is not None]
    if not known:
        raise UserError(f"{run.folder} has no accuracy of its encoder")
    score, top1 = known[0]
    module = restored(run)
    recipe = module.recipe
    source = open_data(recipe.data, recipe.seed, Console(quiet=True))
    try:
        assert source.test is not None
        estimate = shared_information(module, source.test.data, recipe.seed)
        shared = {"value": estimate.value, "low": estimate.low, "high": estimate.high,
                  "ceiling": estimate.ceiling, "protocol": estimate.protocol,
                  "flags": list(estimate.flags)}  # fmt: skip
    except UserError as error:
        say(f"note: the information of the views was not measured: {error}")
        shared = None
    split = training_split(recipe.data, source)
    return {
        "top1": float(top1),
        "protocol": score.protocol,
        "shared": shared,
        "clusters": _clusters(module, split.labels),
    }


def _clusters(module: Any, labels: np.ndarray | None) -> dict[str, float] | None:
    """What Z says, in bits: None where each image is its own cluster or has none."""
    from viewfinder.information.discrete import information

    if module.clusters is None or module.recipe.positives.name == "instance":
        return None
    z = np.asarray(module.clusters.cpu())
    z = z if z.ndim == 1 else z[:, 0]
    t = labels if labels is not None and len(labels) == len(z) else None
    kept = (z >= 0) & (t >= 0 if t is not None else True)
    if not kept.any():
        return None
    found = information(z[kept], z[kept] if t is None else t[kept], unit="bits")
    task = {} if t is None else {"i": found.i, "h_z_given_t": found.h_z_given_t}
    return {"h_z": found.h_z, "clusters": found.clusters, **task}


def show(curve: Curve, plan: Plan) -> None:
    """Print the table, the verdicts and where the pictures lie."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from viewfinder.papers.result import Spread, percent
    from viewfinder.sweeps.curve import INFORMATION
    from viewfinder.sweeps.vary import told

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in (curve.path, "top-1, %", INFORMATION[curve.kind]):
        table.add_column(heading)
    for i, value in enumerate(curve.values):
        known = None if curve.information is None else curve.information[i].mean()
        star = " *" if value == curve.best and curve.accuracy.shape[1] > 1 else ""
        accuracy = percent(Spread(tuple(curve.accuracy[i].tolist())))
        table.add_row(f"{told(value)}{star}", accuracy, "-" if known is None else f"{known:.3f}")
    console().print(table)
    if curve.accuracy.shape[1] == 1:
        say("note: with one seed nothing can be said of which value is best. Try: seeds=5")
    elif curve.best is not None:
        say(f"highest mean: {curve.path}={told(curve.best)}")
    for finding in curve.findings:
        say(f"{finding.claim}: {finding.verdict.replace('**', '')}; {finding.found}")
    for note in curve.notes:
        say(f"note: {note}")
    say(f"table, numbers and picture: {plan.folder}/table.md, results.json, sweep.png")


def words_of(words: list[str]) -> tuple[list[str], str | None, dict[str, str]]:
    """Of the words of a command line those of the recipe, vary, and what else is of the sweep."""
    own: dict[str, str] = {}
    rest = []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key in ("vary", "seeds", "engine"):
            if key in own:
                raise UserError(f"{key}= is given twice: a sweep has one", fix=EXAMPLE)
            own[key] = value
        else:
            rest.append(word)
    return rest, own.pop("vary", None), own


def from_words(words: list[str], file: Path | None, out: Path | None) -> None:
    """The command: ``[METHOD] [KEY=VALUE ...] vary=PATH:v1,v2,... [seeds=5] [engine=ray]``."""
    from viewfinder.commands.words import method_and_overrides
    from viewfinder.recipes.recipe import parse_overrides

    rest, vary, own = words_of(words)
    if vary is None:
        raise UserError("a sweep needs vary=PATH:v1,v2,..., what is varied", fix=EXAMPLE)
    seeds = own.get("seeds", "5")
    if not seeds.isdecimal():
        raise UserError(f"seeds={seeds}: a number of seeds is expected", fix="seeds=5")
    method, others = method_and_overrides(rest)
    overrides = parse_overrides(others)
    if method is not None and "method" in overrides:
        raise UserError(f"the method is {method}, and method=... is another", fix=f"{method} alone")
    sweep(
        method,
        overrides,
        parse(vary),
        seeds=int(seeds),
        out=out,
        file=file,
        engine=own.get("engine", "here"),
    )
