"""Table 1 again, with the paper's values: its views, and a grey second view.

Where the second view is grey, what the first one says of colour is not shared, so that there is
something for RC and LBE to keep; with the paper's views what is not shared is whatever two crops
differ in. Each arm is read by a probe that converges, by the paper's, and by the paper's once more
from features of one scale for all arms: RC and LBE change the scale, and SGD at a fixed rate goes
further on larger features. Planned after the runs of Table 1, so with other seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from viewfinder.papers.claims import Claim, Known, better, difference
from viewfinder.papers.desk import Cell, Overrides, accuracies, experiment, of_set, sets
from viewfinder.papers.image_statistics import STATISTICS
from viewfinder.papers.minimal_sufficient import shared
from viewfinder.papers.result import Result, Results, Spread, percent, table
from viewfinder.papers.selection import learning_rates

SOURCE = shared.SOURCE
FURTHER: Mapping[str, Overrides] = {
    **shared.TRANSFER,
    "statistics": {**SOURCE, "targets": STATISTICS},
}
EPOCHS = 28
RATES, QUICK_RATES = (0.003, 0.01, 0.03), (0.003, 0.01)
SCALES = (1.0, 4.0)
PROBES = ("converged", "the paper's", *(f"the paper's at scale {scale:g}" for scale in SCALES))

GREY, PAPER = "grey second view", "the paper's views"
VIEWS: Mapping[str, Overrides] = {
    GREY: {**shared.VIEWS, "second": {"grey_p": 1.0}},
    PAPER: shared.VIEWS,
}

# lambda 1 and rho as for these widths, see LBE_TOLD; the paper's decoder is many times this encoder
SLIM = {"width": 0.25}
PLAIN, NOISE, RC, MORE_RC = "SimCLR", "SimCLR, noise alone", "SimCLR + RC", "SimCLR + 10 RC"
LAST, LBE = "SimCLR + LBE, last stage", "SimCLR + LBE"
_LBE = {"weight": 1.0, "rho": 0.2}
ROWS: Mapping[str, Overrides] = {
    PLAIN: {},
    LBE: {"lbe": {**_LBE, "stages": shared.STAGES}, "noise": 0.1},
    MORE_RC: {"rc": {"weight": 10.0, **SLIM}},
    NOISE: {"noise": 0.1},
    RC: {"rc": {"weight": 1.0, **SLIM}},
    LAST: {"lbe": _LBE, "noise": 0.1},
}
FIRST = (PLAIN, LBE, MORE_RC)  # what most claims are about
JUDGED = (LBE, MORE_RC)


def cells(quick: bool = False) -> list[Cell]:
    """All arms with both kinds of views, and the baselines; the grey view's first. Quick: of that
    alone the arms that claims are about."""
    rates = learning_rates(*(QUICK_RATES if quick else RATES))
    parts: dict[str, Any] = {"epochs": EPOCHS, "transfer": FURTHER}
    probed: dict[str, Any] = {"protocols": ("linear", "infocl"), "rescaled": SCALES}
    made = []
    for number, (kind, views) in enumerate(list(VIEWS.items())[: 1 if quick else None]):
        arms = [
            shared.cell(
                f"{kind}: {row}",
                "simclr",
                regularizers,
                choices=rates,
                more={**probed, "turn": 2 * number + (row not in FIRST)},
                views=views,
                objective={"name": "nt-xent", "temperature": 0.5},
                **parts,
            )
            for row, regularizers in ROWS.items()
            if not quick or row in (*FIRST, NOISE)
        ]
        baselines = [
            replace(one, name=f"{kind}: {one.name}", turn=2 * number, protocols=probed["protocols"])
            for one in shared.baselines(views=views, **parts)
        ]
        made += [*arms, *baselines]
    return made


def report(results: Results, out: Path, quick: bool) -> Result:
    """Mean of the transfer sets by each probe in second-view.png."""
    from viewfinder.papers.desk_plot import grouped_bars

    groups = {}
    for kind in sets(results):
        own = of_set(results, kind)
        for probe in (0, len(PROBES) - 1):
            groups[f"{kind}: mean of the transfers, {PROBES[probe]}"] = _transfers(own, probe)
    grouped_bars(groups, out / "second-view.png")
    return Result(
        protocol={
            **shared.told(shared.TRANSFER),
            "probe of the paper": "SGD at 0.01 for 100 epochs (infocl), on features as they are "
            f"and on features brought to a root mean square of {SCALES[0]:g} and {SCALES[1]:g}",
            "temperature": 0.5,
            "LBE": "weight 1, rho 0.2, at the last three stages with weights 0.25, 0.5 and 1, or "
            "at the last alone",
            "noise with LBE": 0.1,
            "RC": f"weight 1 or 10, a decoder of {SLIM['width']:g} times the paper's widths",
            "image statistics": f"{', '.join(STATISTICS)} of the source by ridge regression, R²",
        },
        figures=["second-view.png"],
        notes=["planned after the runs of Table 1 with the seeds 0 to 2, so with other seeds"],
    )


def claims(results: Results) -> list[Claim]:
    """What was planned to be judged: few claims, as all of a page share one level."""
    found = []
    for kind in sets(results):
        plain = f"{kind}: {PLAIN}"
        named = {row: f"{kind}: {row}" for row in ROWS}
        converged = _transfers(results, 0)
        for row in JUDGED:
            words = f"{kind}, {row}"
            found.append(
                Claim(
                    f"{words}: better over the transfer sets", better(converged, named[row], plain)
                )
            )
        found.append(
            Claim(
                f"{kind}, {LBE}: better than its noise alone over the transfer sets",
                better(converged, named[LBE], named[NOISE]),
            )
        )
        for probe in (1, len(PROBES) - 1):
            statement = better(_transfers(results, probe), named[LBE], plain)
            words = f"{kind}, {LBE}: better over the transfer sets by {PROBES[probe]} probe"
            found += [Claim(words, statement)]
        colour = _statistic(results, STATISTICS[:3])
        found += [
            Claim(
                f"{kind}, {row}: more is known of the mean colour",
                better(colour, named[row], plain, unit="R²"),
            )
            for row in JUDGED
        ]
    return found


def tables(results: Results) -> list[str]:
    """Each transfer set on its own, the image statistics, and the probes side by side."""
    made = []
    for kind in sets(results):
        own = of_set(results, kind)
        made += [_by_set(own, kind, probe) for probe in range(len(PROBES)) if probe in (0, 1)]
        made += [_differences(own, kind), _probes(own, kind), _statistics(own, kind)]
    return made


def _transfers(results: Results, probe: int) -> dict[str, Spread | None]:
    """Accuracy by a probe in the mean over the transfer sets; None where it was not fitted."""
    numbers = range(len(shared.TRANSFER))
    by_set = [_on_set(results, number, probe) for number in numbers]
    found: dict[str, Spread | None] = {}
    for name in results:
        spreads = [one[name] for one in by_set]
        found[name] = None
        if all(spreads):
            values = zip(*(s.values for s in spreads if s is not None), strict=True)
            found[name] = Spread(tuple(sum(v) / len(v) for v in values))
    return found


def _on_set(results: Results, number: int, probe: int) -> dict[str, Spread | None]:
    return {name: _top1(runs, number, probe) for name, runs in results.items()}


def _top1(runs: Sequence[Mapping[str, Any]], number: int, probe: int) -> Spread | None:
    scores = [run["transfer"][number] for run in runs if not run["stopped"]]
    if len(scores) < len(runs) or any(len(one) <= probe for one in scores):
        return None
    return Spread(tuple(one[probe]["top1"] for one in scores))


def _statistic(results: Results, names: Sequence[str]) -> dict[str, Spread | None]:
    """R² in the mean over some of the statistics."""
    numbers = [STATISTICS.index(name) for name in names]
    found: dict[str, Spread | None] = {}
    for name, runs in results.items():
        if any(run["stopped"] for run in runs):
            found[name] = None
            continue
        of_seed = [[run["transfer"][-1][i]["r2"] for i in numbers] for run in runs]
        found[name] = Spread(tuple(sum(one) / len(one) for one in of_seed))
    return found


def _by_set(own: Results, kind: str, probe: int) -> str:
    columns = [_on_set(own, number, probe) for number in range(len(shared.TRANSFER))]
    known: list[Known] = [accuracies(own)] if probe == 0 else []
    known += [*columns, _transfers(own, probe)]
    rows = [[name, *(percent(one[name]) for one in known)] for name in own]
    head = [*(["source"] if probe == 0 else []), *shared.TRANSFER, "mean of the transfers"]
    return table([f"{kind}, {PROBES[probe]} probe", *head], rows)


def _differences(own: Results, kind: str) -> str:
    """From plain, on each set: with its own interval, and without a verdict."""
    rows = []
    for row in ROWS:
        if row == PLAIN or row not in own:
            continue
        sets_known = [_on_set(own, number, 0) for number in range(len(shared.TRANSFER))]
        cells = [difference(better(known, row, PLAIN)) for known in sets_known]
        rows.append([f"{row} - {PLAIN}", *cells])
    return table(
        [kind, *shared.TRANSFER],
        rows,
        "Each set on its own, converged probe, 95 % interval of each; shown, and not judged.",
    )


def _probes(own: Results, kind: str) -> str:
    rows = []
    for name, runs in own.items():
        rms = [run["feature_rms"] for run in runs if run.get("feature_rms")]
        scale = "-" if not rms else f"{sum(rms) / len(rms):.2f}"
        found = [percent(_transfers(own, probe)[name]) for probe in range(len(PROBES))]
        rows.append([name, scale, *found])
    return table([f"{kind}: mean of the transfers", "scale of features", *PROBES], rows)


def _statistics(own: Results, kind: str) -> str:
    columns = [_statistic(own, (name,)) for name in STATISTICS]
    rows = [
        [name, *("-" if one[name] is None else str(one[name]) for one in columns)] for name in own
    ]
    return table([f"{kind}: R² of the source's images", *STATISTICS], rows)


run, judge = experiment(cells, report, claims, tables, first=3)
