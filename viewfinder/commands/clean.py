"""``viewfinder clean``: what is wrong with the images of a run, as a table, lists and a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viewfinder.cleaning.findings import (
    FILES,
    LABEL_NEXT,
    MARK,
    Findings,
    findings,
    write_findings,
)
from viewfinder.cleaning.page import page_of
from viewfinder.core.console import say
from viewfinder.core.outputs import check_folder, check_out
from viewfinder.evaluation.run_images import run_images
from viewfinder.report.pictures import write_pictures
from viewfinder.runs.run import Run

WORDS = {
    "copies-across-splits": "images that have a copy in another split",
    "copies": "copies too many, of all groups one kept",
    "look-alikes": "images that look like another and are hardly its copy",
    "doubtful-labels": "labels that the neighbours doubt",
    "outliers": "images far from all others",
    "dark": "dark images",
    "blurred": "blurred images",
    "empty": "empty images",
    "label-next": "images to label next",
    "leave-out": "copies too many and empty images, to leave out",
}


def clean(
    run: Run,
    data: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    out: Path,
    label_next: int = LABEL_NEXT,
) -> Findings:
    """Look for copies, outliers, doubtful labels and pictures of nothing among all images of a run,
    or of the source ``data``; the table, the lists and the page go to the folder ``out``.

    Raises UserError for what cannot be read, opened or written.
    """
    check_folder(out)
    for name in (*FILES, "clean.html", *(f"{name}.csv" for name in WORDS)):
        check_out(out / name, (MARK,), of=out / FILES[0])  # which is written first
    images = run_images(run, data, overrides)
    found = findings(images, label_next=label_next)
    about = {"data": images.source.spec, "run": str(run.folder), **images.facts}
    write_findings(found, out, about)
    write_pictures(page_of(images, found), out / "clean.html")
    return found


def show(found: Findings, out: Path) -> None:
    """Print how many there are of what, and where they stand."""
    lists = found.lists()
    for name in (name for name in WORDS if name in lists):
        say(f"{len(lists[name]):7,} {WORDS[name]}: {out / f'{name}.csv'}")
    for effect in found.effects:
        say(effect.in_words())
    say(f"table: {out / 'findings.parquet'} and .csv; page: {out / 'clean.html'}")
    if len(lists["leave-out"]):
        say(
            f"nothing was deleted; a run without these: viewfinder pretrain ... "
            f"data.exclude={out / 'leave-out.csv'}"
        )
