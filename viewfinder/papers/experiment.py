"""What is known of an experiment without running it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RECIPES = Path(__file__).parent / "recipes"
"""Where the recipes at the papers' scale lie."""


@dataclass(frozen=True)
class Experiment:
    """One table or figure of a paper.

    name           "paper/item", as typed on the command line
    paper          authors, year, title
    item           the table or figure, as the paper calls it
    claim          what it shows, in one sentence
    run            "module:function", called as run(out, seeds=, quick=, device=, workers=,
                   progress=); it returns a Result, having written its figures into ``out``. Beside
                   it "module:judge" is called with what results.json holds, and returns the Result
                   with tables and verdicts made anew
    minutes        about how long it takes on two cores; quick_minutes: with ``quick``
    recipes        the same at the paper's scale: names in ``RECIPES``, without .yaml
    on_gpu         whether it gains by a GPU, and so takes one where there is one
    seeds          how many, where the user does not say
    """

    name: str
    paper: str
    item: str
    claim: str
    run: str
    minutes: float
    quick_minutes: float
    recipes: tuple[str, ...] = ()
    on_gpu: bool = False
    seeds: int = 3

    def recipe_files(self) -> list[Path]:
        """The files of ``recipes``."""
        return [RECIPES / f"{name}.yaml" for name in self.recipes]
