"""The findings as a page of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from viewfinder.cleaning.findings import Findings
from viewfinder.evaluation.run_images import RunImages
from viewfinder.report.pictures import Picture, PicturePage, Section, thumbnails

ROWS = 30
"""Rows of a section, at most."""
FARTHEST = 8
"""Images that are shown as the farthest where none is an outlier."""
BESIDE = 6
"""Pictures beside the one that a row is about."""
Line = Callable[[int], Sequence[str]]


def page_of(images: RunImages, found: Findings) -> PicturePage:
    """One section for each finding; the tables beside the page have what is not shown."""
    lists = found.lists()
    shown = _Shown(found)
    sections = [
        _copies(shown, "Copies across train and test", _effects(found), across=True),
        _copies(shown, "Other copies", "Within one split; one of each group can go.", across=False),
        _alike(shown, lists["look-alikes"]),
        _doubtful(shown, lists.get("doubtful-labels")),
        _outliers(shown, lists["outliers"]),
        _plain(
            shown,
            "Dark",
            "99 of 100 pixels are darker than 15 % of white. A wholly black one is empty too.",
            lists["dark"],
            lambda i: [f"99th percentile {found.looks.brightest[i]:.2f}"],
        ),
        _plain(
            shown,
            "Blurred",
            "Nearly nothing is lost by a 3x3 mean, and far less than is usual for the images "
            f"here (median sharpness {_usual_sharpness(found):.3f}); the least sharp first. Where "
            "most are blurred, none stands out.",
            lists["blurred"],
            lambda i: [f"sharpness {found.looks.sharpness[i]:.3f}"],
        ),
        _plain(
            shown,
            "Empty",
            "Of one brightness, black among them.",
            lists["empty"],
            lambda i: [f"contrast {found.looks.contrast[i]:.3f}"],
        ),
    ]
    if "label-next" in lists:
        next_ones = _plain(
            shown,
            "Label these next",
            "Each the farthest from all before it and from what has a label: few that stand for "
            "many. Copies too many, outliers and empty images are not among them.",
            lists["label-next"],
            lambda i: [],
        )
        sections.append(next_ones)
    rows = np.array([*shown.tiles], np.int64)
    pictures = images.pictures(rows) if len(rows) else None
    return PicturePage(
        f"What is in {images.source.spec}",
        f"{len(found.of):,} images seen by the encoder of {images.run.folder}. Nothing was "
        "deleted: each list beside this page names the images of one section, and "
        "data.exclude=FILE leaves those of a list out of a run.",
        sections,
        None if pictures is None else thumbnails(pictures.numpy()),
        {name: f"{len(lists[name]):,}" for name in lists if name != "leave-out"},
    )


def _usual_sharpness(found: Findings) -> float:
    return float(found.looks.sharpness[~found.looks.empty].median()) if len(found.of) else 0.0


class _Shown:
    """Which images a page shows, numbered as they come."""

    def __init__(self, found: Findings) -> None:
        self.found, self.tiles = found, dict[int, int]()

    def picture(self, row: int, lines: Sequence[str] = (), mark: str = "") -> Picture:
        tile = self.tiles.setdefault(row, len(self.tiles))
        return Picture(tile, self.found.of.name(row), lines, mark)  # type: ignore[arg-type]


def _more(count: int, name: str, what: str = "images") -> str:
    return f"The first {ROWS} of {count:,} {what}; {name} has all." if count > ROWS else ""


def _effects(found: Findings) -> str:
    told = " ".join(f"{one.in_words()}." for one in found.effects)
    return f"A test image that was in train is no test. {told}"


def _copies(shown: _Shown, title: str, hint: str, *, across: bool) -> Section:
    found, of = shown.found, shown.found.of
    copies = found.copies
    inside = (copies.group >= 0) & (found.across == across)
    groups = np.unique(copies.group[inside])
    rows = []
    for group in groups[:ROWS].tolist():
        members = np.flatnonzero(copies.group == group)
        members = members[np.argsort(found.spare[members], kind="stable")][: BESIDE + 1]
        labels = {of.class_name(i) for i in members.tolist()} - {""}
        rows.append(
            [
                shown.picture(
                    i,
                    [
                        *([of.class_name(i)] if of.class_name(i) else []),
                        of.split[i],
                        "equal" if copies.identical[i] else f"{copies.similarity[i]:.3f}",
                    ],
                    ""
                    if found.spare[i] and len(labels) < 2
                    else "other"
                    if found.spare[i]
                    else "first",
                )
                for i in members.tolist()
            ]
        )
    name = "copies-across-splits.csv" if across else "copies.csv"
    return Section(title, hint, rows, _more(len(groups), name, "groups"))


def _alike(shown: _Shown, rows: np.ndarray) -> Section:
    pairs = {tuple(sorted((i, int(shown.found.copies.alike[i])))) for i in rows.tolist()}
    made = [
        [shown.picture(i, [n] if (n := shown.found.of.class_name(i)) else []) for i in pair]
        for pair in sorted(pairs)[:ROWS]
    ]
    hint = (
        "Outline and layout agree, the pixels do not quite: a copy that was cut or reduced much, "
        "or another product before the same background. None of them is left out; look."
    )
    return Section("Look-alikes", hint, made, _more(len(pairs), "look-alikes.csv", "pairs"))


def _doubtful(shown: _Shown, rows: np.ndarray | None) -> Section:
    title = "Doubtful labels"
    if rows is None:
        return Section(title, "", [], missing="There are no labels.")
    found, of = shown.found, shown.found.of
    assert found.doubts is not None
    names, made = of.names_of_labels(), []
    for i in rows[:ROWS].tolist():
        said = names.get(int(found.doubts.suggested[i]), "")
        first = shown.picture(i, [of.class_name(i), f"rather {said}?"], "first")
        made.append([first, *_beside(shown, i)])
    hint = (
        "The label, what the neighbours speak for, and the nearest of them; the least probable "
        "label first (confident learning, Northcutt et al. 2021, on their vote). In doubt, look."
    )
    return Section(title, hint, made, _more(len(rows), "doubtful-labels.csv"))


def _outliers(shown: _Shown, rows: np.ndarray) -> Section:
    score = shown.found.outlier_score
    flagged = len(rows) > 0
    if not flagged:
        rows = np.argsort(-score, kind="stable")[:FARTHEST]
    made = [
        [shown.picture(i, [f"{score[i]:.1f} times as far as usual"], "first"), *_beside(shown, i)]
        for i in rows[:ROWS].tolist()
    ]
    hint = "Far from all others in the embedding, the farthest first, with the nearest there are."
    if not flagged:
        hint = f"No image stands apart from all others; these {len(rows)} are the farthest."
    return Section("Outliers", hint, made, _more(len(rows), "outliers.csv"))


def _beside(shown: _Shown, row: int) -> list[Picture]:
    of, near = shown.found.of, shown.found.near[row, :BESIDE].tolist()
    own = of.class_name(row)
    return [
        shown.picture(
            j,
            [of.class_name(j)] if of.class_name(j) else [],
            "other" if own and of.class_name(j) not in (own, "") else "",
        )
        for j in near
    ]


def _plain(shown: _Shown, title: str, hint: str, rows: np.ndarray, line: Line) -> Section:
    made = [[shown.picture(i, line(i))] for i in rows[:ROWS].tolist()]
    name = f"{title.lower() if 'next' not in title else 'label-next'}.csv"
    return Section(title, hint, made, _more(len(rows), name))
