"""``viewfinder compare``: what changed between two runs of the same images."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viewfinder.core.console import say
from viewfinder.core.errors import UserError
from viewfinder.core.files import write_atomically, writing
from viewfinder.core.outputs import check_folder, check_out
from viewfinder.evaluation.comparison import NEAR, Comparison
from viewfinder.evaluation.comparison import compare as compare_images
from viewfinder.evaluation.comparison_page import page_of
from viewfinder.evaluation.run_images import RunImages, run_images
from viewfinder.report.pictures import MARK, write_pictures
from viewfinder.runs.run import Run


def compare(
    first: Run,
    second: Run,
    data: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    k: int = NEAR,
    out: Path | None = None,
) -> Comparison:
    """Compare the neighbours of each image in two runs, on their own data or on ``data``.

    out  folder for compare.html, overlap.csv (a row per image) and compare.json; None: none

    Raises UserError for runs of different data, and for what cannot be read, opened or written.
    """
    if first.folder.resolve() == second.folder.resolve():
        raise UserError(f"{first.folder} is compared with itself", fix="two runs")
    if out is not None:
        check_folder(out)
        for name in ("compare.html", "overlap.csv", "compare.json"):
            check_out(out / name, (MARK,), of=out / "compare.html")
    images = [run_images(run, data, overrides) for run in (first, second)]
    found = compare_images(images[0], images[1], k)
    if out is not None:
        with writing(out):
            out.mkdir(parents=True, exist_ok=True)
        _write(found, images, out)
        write_pictures(page_of(found, images[0], images[1]), out / "compare.html")
    return found


def _write(found: Comparison, images: list[RunImages], out: Path) -> None:
    of = images[0].embeddings
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    named = of.paths is not None
    writer.writerow([*(["path"] if named else []), "split", "index", "overlap"])
    for i in found.changed.tolist():
        row = int(found.rows[0, i])
        path = [of.paths[row]] if of.paths is not None else []
        writer.writerow([*path, of.split[row], of.index[row], f"{found.overlap[i]:.6f}"])
    write_atomically(out / "overlap.csv", text.getvalue())
    facts = {
        "runs": [str(one.run.folder) for one in images],
        "data": images[0].source.spec,
        "images": len(found),
        "only_in_one": list(found.missing),
        "neighbours": found.near.shape[2],
        "mean_overlap": found.mean,
        "by_chance": found.chance,
        "cosine_aligned": found.cosine,
    }
    write_atomically(out / "compare.json", json.dumps(facts, indent=1) + "\n")


def show(found: Comparison, out: Path) -> None:
    """Print the number and where the rest is."""
    k = found.near.shape[2]
    say(
        f"mean overlap of the {k} nearest neighbours of {len(found):,} images: {found.mean:.3f} "
        f"(1: none changed; {found.chance:.3f} by chance)"
    )
    if any(found.missing):
        say(f"note: {sum(found.missing):,} images that only one of the runs has were left out")
    say(f"page: {out / 'compare.html'}; a row per image: {out / 'overlap.csv'}")
