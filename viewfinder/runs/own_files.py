"""The files that the views of a run are made with: copied into its folder, so that it is whole."""

from __future__ import annotations

from pathlib import Path

from viewfinder.core.files import content_of, file_of, write_atomically
from viewfinder.recipes.recipe import Recipe
from viewfinder.runs.run import Run


def write_recipe(run: Run, recipe: Recipe) -> None:
    """Write the recipe of a run, and beside it a copy of each file that a step of its views is
    given: the recipe names the copy, by its place in the folder.

    ``build`` finds what lies beside a recipe, so the folder may be moved. Raises UserError where a
    file is not there, or where the disk refuses.
    """
    views = recipe.views.with_files(lambda path: _copied(path, run))
    write_atomically(run.recipe_file, recipe.model_copy(update={"views": views}).to_yaml())


def _copied(path: str, run: Run) -> str:
    """The place in the run folder of a copy of a file, which is made where there is none."""
    file = file_of(path)
    if file.resolve().is_relative_to(run.files.resolve()):
        return str(Path(run.files.name) / file.name)
    copy = run.files / f"{file.stem}-{content_of(file)}{file.suffix}"
    if not copy.exists():
        write_atomically(copy, file.read_bytes())
    return str(Path(run.files.name) / copy.name)
