"""Which run a checkpoint is of: written in its files, compared whenever one is read.

Weights of another run fit the same architecture, so their shapes do not tell; nor does a digest of
the file, which moves with it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from torch import Tensor

from viewfinder.core.console import say
from viewfinder.core.errors import UserError, in_words
from viewfinder.recipes.training import Training
from viewfinder.runs.checkpoint import ABOUT, NAME, WEIGHTS, about_weights, load_state, load_weights


def belonging(recipe: Training, role: str) -> dict[str, str]:
    """What the files of a checkpoint say of the run they are of: the digest of what made it, and
    which of the trainings in its folder (``Run.role``)."""
    plain = recipe.plain()
    parts = json.dumps([plain.get(name) for name in recipe.made_by], sort_keys=True)
    return {"run": hashlib.sha256(parts.encode()).hexdigest(), "role": role}


def own_weights(path: Path, recipe: Training, role: str) -> dict[str, Tensor]:
    """The weights of a checkpoint of the run of ``recipe``; as ``load_weights``.

    Raises UserError for those of another run, of another training of the same run, and of another
    epoch than the name of the folder says; and for a file that no longer says what it is of, as
    the state beside it does. Where neither ever did, that is printed.
    """
    weights = load_weights(path)
    file = path / WEIGHTS
    said = about_weights(path)
    expected = belonging(recipe, role)
    if not said and not load_state(path).get(ABOUT):
        say(f"note: {file} does not say which run it is of; it is taken as this one's")
        return weights
    if lost := {*expected, "epochs"} - said.keys():
        raise UserError(
            f"{file} has lost what it said of itself, its {', '.join(sorted(lost))}: whose it is "
            "cannot be told",
            fix=f"remove the folder {path}: the checkpoint before it is then used",
        )
    fix = "the run's own checkpoint, or the recipe.yaml that it was trained with"
    if said["role"] != role:
        raise UserError(f"{file} is of a {in_words(said['role'])}, not of a {role!r}", fix=fix)
    if said["run"] != expected["run"]:
        raise UserError(
            f"{file} is of another run: its {', '.join(recipe.made_by[:-1])} or "
            f"{recipe.made_by[-1]} are not those of this recipe",
            fix=fix,
        )
    named = NAME.fullmatch(path.name)
    if named and said.get("epochs") != str(int(named[1])):
        raise UserError(
            f"{file} was written after epoch {in_words(said.get('epochs'))}, and the folder's "
            f"name says {int(named[1])}",
            fix="the folder under its own name",
        )
    return weights
