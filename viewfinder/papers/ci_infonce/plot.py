"""The figures of CI-InfoNCE at desk scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from viewfinder.core.files import write_figure
from viewfinder.papers.result import Spread

Known = Mapping[str, Spread | None]


def bars(sets: Mapping[str, Known], path: Path) -> None:
    """Table 1: top-1 of each row, one panel a data set."""
    figure = _figure(6.2 * len(sets), 3.4)
    axes = figure.subplots(1, len(sets), squeeze=False)[0]
    for one, (name, known) in zip(axes, sets.items(), strict=True):
        _bars(one, known)
        one.set(title=name)
    write_figure(figure, path)


def plane(points: Mapping[str, tuple[float, float, Spread | None]], path: Path) -> None:
    """Figure 3: top-1 as colour and number over H(Z|T) and I(Z;T)."""
    figure = _figure(6.4, 4.8)
    axes = figure.subplots()
    known = [(h, i, a) for h, i, a in points.values() if a is not None]
    if known:
        drawn = axes.scatter(
            [h for h, _, _ in known],
            [i for _, i, _ in known],
            c=[100 * a.mean for _, _, a in known],
            s=140,
            cmap="viridis",
            zorder=2,
        )
        figure.colorbar(drawn, ax=axes, label="top-1, %")
    for h, i, a in known:
        axes.annotate(f"{100 * a.mean:.1f}", (h, i), (7, 6), textcoords="offset points")
    axes.set(xlabel="H(Z|T), bits", ylabel="I(Z;T), bits", title="synthetic clusters")
    axes.grid(alpha=0.3)
    write_figure(figure, path)


def methods_and_curves(
    known: Known, curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], path: Path
) -> None:
    """Figure 4: top-1 of the methods; I(Z;T) and H(Z|T) by epoch, one line per seed."""
    figure = _figure(13, 3.6)
    left, middle, right = figure.subplots(1, 3)
    _bars(left, known)
    words = (("i", "I(Z;T), bits"), ("h_z_given_t", "H(Z|T), bits"))
    for axes, (key, word) in zip((middle, right), words, strict=True):
        for number, (name, both) in enumerate(curves.items()):
            for seed, curve in enumerate(both[key]):
                axes.plot(
                    range(1, len(curve) + 1),
                    curve,
                    color=f"C{number}",
                    label=name if seed == 0 else None,
                )
        axes.set(xlabel="epoch", title=word)
        if curves:
            axes.legend(fontsize="small")
    write_figure(figure, path)


def against_k(
    sets: Mapping[str, tuple[Mapping[int, tuple[Spread | None, float, float]], Spread | None]],
    path: Path,
) -> None:
    """Figure 5: top-1 against k above, I(Z;T) and -H(Z|T) below, one column per data set."""
    figure = _figure(5.2 * len(sets), 5.6)
    axes = figure.subplots(2, len(sets), squeeze=False)
    for column, (name, (points, instances)) in enumerate(sets.items()):
        above, below = axes[0, column], axes[1, column]
        ticks = [str(k) for k in points]
        _curve(above, ticks, [a for a, _, _ in points.values()], "CI-InfoNCE")
        _level(above, instances, "instances")
        above.set(title=f"{name}: top-1, %", xlabel="k")
        above.legend(fontsize="small")
        below.plot(ticks, [i for _, i, _ in points.values()], marker="o", label="I(Z;T)")
        below.plot(ticks, [-h for _, _, h in points.values()], marker="s", label="-H(Z|T)")
        below.set(title="bits", xlabel="k")
        below.legend(fontsize="small")
    write_figure(figure, path)


def against_level(
    known: Mapping[str, Mapping[int, Spread | None]],
    measures: Mapping[int, tuple[float, float]],
    instances: tuple[Spread | None, float, float],
    path: Path,
) -> None:
    """Figure 6: top-1, I(Z;T) and H(Z|T) against the level; instances as a line."""
    figure = _figure(12.5, 3.6)
    left, middle, right = figure.subplots(1, 3)
    for name, points in known.items():
        _curve(left, [str(x) for x in points], list(points.values()), name)
    _level(left, instances[0], "instances")
    left.set(title="top-1, %", xlabel="level")
    left.legend(fontsize="small")
    ticks = [str(x) for x in measures]
    for axes, number, word in ((middle, 0, "I(Z;T), bits"), (right, 1, "H(Z|T), bits")):
        axes.plot(ticks, [m[number] for m in measures.values()], marker="o", label="tree")
        axes.axhline(instances[1 + number], color="gray", linestyle=":", label="instances")
        axes.set(title=word, xlabel="level")
        axes.legend(fontsize="small")
    write_figure(figure, path)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def _bars(axes: Axes, known: Known) -> None:
    names = [name for name, a in known.items() if a is not None]
    means = [100 * a.mean for a in known.values() if a is not None]
    spread = [100 * (a.deviation or 0.0) for a in known.values() if a is not None]
    axes.barh(names[::-1], means[::-1], xerr=spread[::-1], color="tab:blue", alpha=0.8)
    for place, value in enumerate(means[::-1]):
        axes.text(1, place, f"{value:.1f}", va="center", color="white", fontsize="small")
    axes.set(xlabel="top-1, % (mean ± deviation over seeds)")


def _curve(axes: Axes, ticks: Sequence[str], values: Sequence[Spread | None], name: str) -> None:
    nan = float("nan")
    means = [nan if a is None else 100 * a.mean for a in values]
    spread = [0.0 if a is None else 100 * (a.deviation or 0.0) for a in values]
    axes.errorbar(ticks, means, yerr=spread, marker="o", capsize=3, label=name)


def _level(axes: Axes, value: Spread | None, name: str) -> None:
    if value is not None:
        axes.axhline(100 * value.mean, color="gray", linestyle=":", label=name)
