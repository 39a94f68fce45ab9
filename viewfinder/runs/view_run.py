"""The folder of a training of views."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from viewfinder.core.console import say
from viewfinder.core.errors import UserError
from viewfinder.recipes.view_learning import ViewLearning, build_view_learning
from viewfinder.runs.checkpoint import DIGESTS, damage
from viewfinder.runs.run import Run


@dataclass(frozen=True)
class ViewRun(Run):
    """views.yaml, data.json, metrics.csv, checkpoints/, generator.safetensors, report.html in a
    folder.

    ``generator`` is what a recipe's views name: ``{learned: runs/views-1/generator.safetensors}``.
    """

    role: str = "views"

    @property
    def recipe_file(self) -> Path:
        return self.folder / "views.yaml"

    @property
    def generator(self) -> Path:
        """The trained generator; there when the training has ended."""
        return self.folder / "generator.safetensors"

    def recipe(self) -> ViewLearning:  # type: ignore[override]
        """The complete recipe the training was started with. Nothing it names is imported.

        Raises UserError where the folder is none of such a training.
        """
        if not self.recipe_file.exists():
            raise UserError(
                f"{self.folder} is no training of views: it has no {self.recipe_file.name}",
                fix="the folder that viewfinder learn-views --out wrote",
            )
        listed = (self.folder / DIGESTS).is_file()
        if listed and damage(self.folder, [self.recipe_file.name]) is not None:
            say(f"note: {self.recipe_file} is not as the run was started; it is taken as it is now")
        return build_view_learning(file=self.recipe_file, trusted=False)
