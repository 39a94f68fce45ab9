"""``viewfinder report``: the page of a run made anew, or one page of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from viewfinder.core.console import say
from viewfinder.core.errors import UserError
from viewfinder.core.outputs import check_out
from viewfinder.evaluation.pictured import save_map
from viewfinder.evaluation.run_images import run_images
from viewfinder.evaluation.several_runs import KNN, TEMPERATURE, Paired, Several, several
from viewfinder.report.gather import gather
from viewfinder.report.page import write_report
from viewfinder.report.pictures import Picture, PicturePage, Section, thumbnails, write_pictures
from viewfinder.runs.opening import reopened, say_unfinished
from viewfinder.runs.own_data import check_there
from viewfinder.runs.run import Run, load_encoder

SHOWN = 24


def report(runs: Sequence[Run], out: Path | None = None) -> Path:
    """Write the report of a run anew, or a page of several runs on the same images; returns it.

    Of one run, all its images are embedded again for the map. Where its data or its checkpoint are
    not there any more, the page is made of what the run keeps, and a note says so.

    Raises UserError for what is no run, and for runs of other images or other held-out parts.
    """
    if out is not None:
        check_out(out, (b"viewfinder",), endings=(".html", ".htm"))
    if len(runs) > 1:
        return _several(runs, out or Path("report.html"))
    run = runs[0]
    content = gather(run.folder)  # refuses what is no folder before anything is embedded
    try:
        encoder, recipe, checkpoint = load_encoder(run)
        say_unfinished(recipe, checkpoint)
        check_there(run, recipe)
        save_map(recipe, reopened(run, recipe.data, recipe.seed, recipe), run, encoder)
        content = gather(run.folder)
    except UserError as error:
        say(f"note: the map stays as it was kept: {error}")
    path = out or run.report
    write_report(content, path)
    return path


def _several(runs: Sequence[Run], out: Path) -> Path:
    folders = [run.folder.resolve() for run in runs]
    if len(set(folders)) < len(folders):
        raise UserError("a run is given twice", fix="each run once")
    found = several([run_images(run) for run in runs])
    for line in in_words(found):
        say(line)
    write_pictures(page_of(found), out)
    return out


def in_words(found: Several) -> list[str]:
    """What the comparison says, a line a run."""
    names = [str(one.run.folder) for one in found.runs]
    lines = [
        f"{name}: kNN {100 * top1:.1f} % of {found.images:,} test images"
        for name, top1 in zip(names, found.top1, strict=True)
        if top1 is not None
    ]
    return lines + [
        _difference(name, names[0], paired)
        for name, paired in zip(names[1:], found.paired, strict=True)
    ]


def _difference(name: str, first: str, paired: Paired) -> str:
    overlap = f"{100 * paired.overlap:.0f} % of the 10 nearest neighbours are the same"
    if paired.difference is None:
        return f"{name} against {first}: {overlap}"
    sign = "beyond" if paired.low > 0 or paired.high < 0 else "within"
    return (
        f"{name} less {first}: {100 * paired.difference:+.1f} points, 95 % interval over images "
        f"{100 * paired.low:+.1f} to {100 * paired.high:+.1f}, {sign} what the choice of test "
        f"images explains; {overlap}"
    )


def page_of(found: Several) -> PicturePage:
    """The page: what was measured, and the images whose neighbours came right or went wrong."""
    first = found.runs[0]
    sections: list[Section] = []
    rows: list[np.ndarray] = []
    for one, paired in zip(found.runs[1:], found.paired, strict=True):
        for title, which in (("right only in", paired.gained), ("wrong only in", paired.lost)):
            shown = which[:SHOWN]
            start = sum(map(len, rows))
            rows.append(shown)
            pictures = [
                Picture(start + i, first.embeddings.name(row), [first.embeddings.class_name(row)])
                for i, row in enumerate(shown.tolist())
            ]
            sections.append(
                Section(
                    f"{title} {one.run.folder}",
                    f"Test images that the vote of neighbours names {title.split()[0]} there and "
                    f"not in {first.run.folder}.",
                    [pictures] if pictures else [],
                    f"{len(which) - len(shown):,} more." if len(which) > len(shown) else "",
                )
            )
    chosen = np.concatenate(rows) if rows else np.empty(0, np.int64)
    pictures_of = first.pictures(chosen) if len(chosen) else None
    facts = {
        str(one.run.folder): "no labels" if top1 is None else f"kNN {100 * top1:.1f} %"
        for one, top1 in zip(found.runs, found.top1, strict=True)
    }
    lines = in_words(found)[-len(found.paired) :]
    return PicturePage(
        title=f"{len(found.runs)} runs on {first.source.spec}",
        lead=". ".join(lines) + ".",
        sections=sections if found.images else [],
        thumbnails=None if pictures_of is None else thumbnails(pictures_of),
        facts=facts,
        notes=[
            f"kNN: k {KNN}, temperature {TEMPERATURE}, cosine similarity, train is the bank, the "
            "same test images for all. Intervals are over the test images, paired; another seed of "
            "the training moves scores as well, which a single run of each cannot show."
        ],
    )
