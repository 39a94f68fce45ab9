"""The words of a command line as the typed things that the commands take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viewfinder.core import plugins
from viewfinder.core.errors import UserError
from viewfinder.recipes.recipe import Recipe, build, named_plugins, parse_overrides


def method_and_overrides(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The method (a first word without "=") and the other words."""
    if words and "=" not in words[0]:
        return words[0], list(words[1:])
    return None, list(words)


def recipe_of(words: Sequence[str], file: Path | None = None, *, trusted: bool = True) -> Recipe:
    """The recipe of ``[METHOD] [KEY=VALUE ...]`` over a file; ``trusted`` as in ``build``."""
    method, overrides = method_and_overrides(words)
    return build(method, parse_overrides(overrides), file, trusted=trusted)


def overrides_of(words: Sequence[str]) -> dict[str, Any]:
    """The nested overrides of ``KEY=VALUE`` words; the modules of ``plugins=...`` are imported and
    left out."""
    found = parse_overrides(words)
    plugins.load(named_plugins(found))
    found.pop("plugins", None)
    return found


def places_of(words: Sequence[str], recipe: Path | None, out: Path | None) -> dict[str, Any]:
    """Where the data of a run to be continued lie now, nested as in ``build``; the plug-ins that it
    needs are loaded. All else is refused, what is no place when the run is read."""
    if recipe or out:
        raise UserError(
            "--resume continues a run exactly as it was started, so it takes neither --recipe nor "
            "--out",
            fix="a new run for another recipe",
        )
    method, overrides = method_and_overrides(words)
    if method is not None:
        raise UserError(
            "--resume continues a run exactly as it was started, so it takes no method",
            fix="a new run for another recipe",
        )
    return overrides_of(overrides)


def runs_sets_overrides(
    words: Sequence[str], data: Sequence[str]
) -> tuple[list[Path], list[str], list[str]]:
    """Run folders, sets and overrides of ``evaluate``. With --data A, further words are sets too,
    but for runs and what is spelled as a path."""
    runs, sets, overrides = [], list(data), []
    for word in words:
        path = Path(word)
        spelled_as_path = len(path.parts) > 1 and ":" not in word
        if "=" in word and not path.is_dir():
            overrides.append(word)
        elif data and not (path / "recipe.yaml").exists() and not spelled_as_path:
            sets.append(word)
        else:
            runs.append(path)
    if not runs:
        raise UserError(
            f"no run is named: {', '.join(words)} is not a run, for it has no recipe.yaml",
            fix="viewfinder evaluate RUN --data SET, RUN a folder that pretrain --out wrote",
        )
    return runs, sets, overrides


def check_one(runs: Sequence[Path], sets: Sequence[str]) -> None:
    """Refuse what only a transfer takes: several runs, several sets, a factor of one."""
    if len(runs) > 1 or len(sets) > 1:
        what = f"{len(runs)} runs" if len(runs) > 1 else f"{len(sets)} sets"
        raise UserError(f"{what} are measured together by transfer", fix="--protocol transfer")
    if sets and "#" in sets[0]:
        raise UserError(f"{sets[0]} names a factor", fix="--protocol transfer")
