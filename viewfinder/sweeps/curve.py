"""What a sweep found: accuracy and information at each value, the sweet spot, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from viewfinder.papers.claims import Claim, judge, reverse_u
from viewfinder.papers.curve_plot import CurvePoint, draw
from viewfinder.papers.judgement import fixing
from viewfinder.papers.result import Finding, Spread, percent, table
from viewfinder.sweeps.plan import Plan, Point, enough
from viewfinder.sweeps.vary import coordinates, told

INFORMATION = {"shared": "I_NCE of the two views, nats", "clusters": "H(Z) of the positives, bits"}
"""What information is, by what was measured."""


@dataclass(frozen=True)
class Curve:
    """The finished values of a sweep.

    path         the key that was varied; values: those with all seeds
    at           where they lie on an axis; None: they are no numbers
    accuracy     top-1 (values, seeds), of the first probe
    information  (values, seeds), None where not measured; ``kind`` is a key of ``INFORMATION``
    task         of clusters I(Z;T), what they say of the labels, bits (values, seeds)
    findings     whether each curve is a reverse U
    notes        sentences: what is missing, and why
    """

    path: str
    values: tuple[Any, ...]
    at: tuple[float, ...] | None
    accuracy: np.ndarray
    information: np.ndarray | None
    kind: str
    task: np.ndarray | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def best(self) -> Any:
        """The value of the highest mean accuracy; None where no value is finished. Only a verdict
        says whether it is more than the luck of these seeds."""
        return self.values[int(self.accuracy.mean(1).argmax())] if self.values else None

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        arrays = {"accuracy": self.accuracy, "information": self.information, "task": self.task}
        return {
            "path": self.path,
            "values": list(self.values),
            "best": self.best,
            "kind": INFORMATION[self.kind],
            **{k: None if v is None else v.tolist() for k, v in arrays.items()},
            "findings": [
                {"claim": f.claim, "found": f.found, "holds": f.holds, "verdict": f.verdict,
                 "detectable": f.detectable}
                for f in self.findings
            ],
            "notes": list(self.notes),
        }  # fmt: skip


def curve_of(plan: Plan, points: Sequence[Point], failed: Mapping[str, str]) -> Curve:
    """The curve of the points that are finished."""
    by_value: dict[str, list[Mapping[str, Any]]] = {}
    notes = [f"{name} failed: {why}" for name, why in failed.items()]
    for point in points:
        found = point.result()
        if found is None:
            notes += [] if point.name in failed else [f"{point.name} is not finished"]
        elif found["stopped"] is not None:
            notes.append(f"{point.name} was stopped: {found['stopped']}")
        else:
            by_value.setdefault(told(point.value), []).append(found)
    whole = [v for v in plan.values if len(by_value.get(told(v), ())) == plan.seeds]
    rows = [by_value[told(value)] for value in whole]
    clusters = bool(rows) and all(one["clusters"] is not None for own in rows for one in own)
    kind = "clusters" if clusters else "shared"
    at = coordinates(whole) if whole else None
    accuracy = np.array([[one["top1"] for one in own] for own in rows])
    accuracy = accuracy.reshape(len(rows), plan.seeds)
    information = _matrix(rows, kind, "h_z" if clusters else "value")
    if clusters and information is not None and not information.std() > 0:  # Z is not what varies
        clusters, kind = False, "shared"
        information = _matrix(rows, kind, "value")
    few = enough(plan)
    judged = plan.seeds >= 3 and len(whole) >= 3
    findings = _findings(plan.path, whole, at, accuracy, information, kind) if judged else []
    return Curve(
        path=plan.path,
        values=tuple(whole),
        at=None if at is None else tuple(at),
        accuracy=accuracy,
        information=information,
        kind=kind,
        task=_matrix(rows, "clusters", "i") if clusters else None,
        findings=tuple(findings),
        notes=(*([few] if few else []), *notes),
    )


def _matrix(rows: Sequence[Sequence[Mapping[str, Any]]], kind: str, key: str) -> np.ndarray | None:
    found = [[(one[kind] or {}).get(key) for one in own] for own in rows]
    if not found or any(value is None for own in found for value in own):
        return None
    return np.array(found, float)


def _findings(
    path: str,
    values: Sequence[Any],
    at: Sequence[float] | None,
    accuracy: np.ndarray,
    information: np.ndarray | None,
    kind: str,
) -> list[Finding]:
    """Of each order that the values have, whether accuracy is a reverse U in it."""
    spreads = [Spread(tuple(own)) for own in accuracy.tolist()]
    names = [told(value) for value in values]
    claims = []

    def claim(words: str, xs: Sequence[float]) -> Claim:
        return Claim(words, reverse_u(list(zip(xs, names, spreads, strict=True))))

    if at is not None:
        claims.append(claim(f"accuracy is a reverse U over {path}", at))
    if information is not None:
        # in the order that the seeds show which fix the peak: the others test it
        order = information[:, : fixing(information.shape[1])].mean(1)
        words = INFORMATION[kind].partition(",")[0]
        claims.append(claim(f"accuracy is a reverse U over {words}", order.tolist()))
    return judge(claims)


def write(curve: Curve, plan: Plan, folder: Path) -> None:
    """Write results.json, table.md and sweep.png into the folder."""
    from viewfinder.core.files import write_atomically
    from viewfinder.papers.result import to_json

    content = {**curve.plain(), "recipe": plan.recipes[0].plain(), "seeds": plan.seeds}
    write_atomically(folder / "results.json", to_json(content))
    write_atomically(folder / "table.md", markdown(curve, plan))
    if curve.values:
        axis = curve.at is not None
        xs = curve.at if curve.at is not None else tuple(map(float, range(len(curve.values))))
        drawn = [
            CurvePoint(told(value), x, Spread(tuple(own)), informed)
            for value, x, own, informed in zip(
                curve.values, xs, curve.accuracy.tolist(), _spreads(curve), strict=True
            )
        ]
        draw(
            {plan.recipes[0].method: drawn},
            folder / "sweep.png",
            parameter=curve.path,
            information=INFORMATION[curve.kind],
            axis=axis,
        )


def _spreads(curve: Curve) -> list[Spread | None]:
    if curve.information is None:
        return [None] * len(curve.values)
    return [Spread(tuple(own)) for own in curve.information.tolist()]


def markdown(curve: Curve, plan: Plan) -> str:
    """The page of a sweep: the table, the verdicts, what is missing, the picture."""
    head = [curve.path, "top-1, %", INFORMATION[curve.kind]]
    head += ["I(Z;T), bits"] if curve.task is not None else []
    rows = []
    for i, (value, informed) in enumerate(zip(curve.values, _spreads(curve), strict=True)):
        star = " *" if value == curve.best else ""
        row = [f"{told(value)}{star}", percent(Spread(tuple(curve.accuracy[i].tolist())))]
        row.append("-" if informed is None else str(informed))
        rows.append(row + ([f"{curve.task[i].mean():.3f}"] if curve.task is not None else []))
    seeds = fixing(plan.seeds)
    verdicts = [[f.claim, f.found, f.detectable or "-", f.verdict] for f in curve.findings]
    parts = [
        f"# {plan.recipes[0].method} along {curve.path}",
        table(head, rows) if rows else "No value is finished.",
        "The star is the highest mean." if rows else "",
        table(["claim", "difference [95 %]", "detectable", "so"], verdicts) if verdicts else "",
        f"The peak is fixed by {seeds} of {plan.seeds} seeds and tested by the others, against the "
        "values at both ends: a peak within is often there by chance. Differences are paired by "
        "seed (Student's t, Holm's correction for the claims above)."
        if verdicts and plan.seeds >= 3
        else "",
        "\n".join(f"- {note}" for note in curve.notes),
        "![accuracy over the parameter and over information](sweep.png)" if rows else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
