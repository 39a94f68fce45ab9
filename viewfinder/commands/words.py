"""The words of a command line as the typed things that the commands take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viewfinder.core import plugins
from viewfinder.core.counted import counted
from viewfinder.core.errors import UserError, in_words, nearest_keys
from viewfinder.core.files import path_of
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.recipe import Recipe, build, keys, named_plugins, parse_overrides
from viewfinder.recipes.view_learning import ViewLearning, build_view_learning
from viewfinder.runs.origin import based_on
from viewfinder.runs.run import Run


def method_and_overrides(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The method (a first word without "=") and the other words."""
    if words and "=" not in words[0]:
        return words[0], list(words[1:])
    return None, list(words)


def recipe_of(words: Sequence[str], file: Path | None = None, *, trusted: bool = True) -> Recipe:
    """The recipe of ``[METHOD] [KEY=VALUE ...]`` over a file; ``trusted`` as in ``build``."""
    method, overrides = _method_once(words)
    try:
        return build(method, overrides, file, trusted=trusted)
    except UserError:
        if method is None or method in METHODS or not path_of(method).exists():
            raise
    raise UserError(
        f"{method} is a file or folder, and the name of a method is expected first",
        fix=f"simclr data={method}",
    )


def base_of(folder: Path, words: Sequence[str]) -> tuple[Run, Recipe]:
    """The run of ``--from`` and the recipe of the words over its own, see ``based_on``."""
    method, overrides = _method_once(words)
    start = Run(folder)
    return start, based_on(start, method, overrides)


def _method_once(words: Sequence[str]) -> tuple[str | None, dict[str, Any]]:
    method, rest = method_and_overrides(words)
    overrides = parse_overrides(rest)
    if method is not None and "method" in overrides:
        raise UserError(
            f"the method is {method}, and method={in_words(overrides['method'])} is another",
            fix=f"{method} alone",
        )
    return method, overrides


def view_recipe_of(words: Sequence[str], file: Path | None = None) -> ViewLearning:
    """The recipe of views of ``[METHOD] [KEY=VALUE ...]`` over a file."""
    method, rest = method_and_overrides(words)
    overrides = parse_overrides(rest, ViewLearning)
    if method is not None and "method" in overrides:
        raise UserError(f"the method is {method}, and method= is another", fix=f"{method} alone")
    return build_view_learning(method, overrides, file)


def as_key(option: str, words: Sequence[str], *, guess: bool) -> str | None:
    """What to say to ``--epochs 3``: keys of a recipe are no options, but words with "=".

    None where it is no key; ``guess``: a key that is near is meant where there is none.
    """
    name = option.lstrip("-").replace("-", "_")
    at = next((i for i, word in enumerate(words) if word.partition("=")[0] == option), None)
    value = "" if at is None else words[at].partition("=")[2]
    if not value and at is not None and at + 1 < len(words) and "=" not in words[at + 1]:
        value = words[at + 1]
    plugins.load_installed()
    known = keys()
    found = [name] if name in known else nearest_keys(name, known)
    if not guess and not any(key.rpartition(".")[2] == name.rpartition(".")[2] for key in found):
        return None
    if not found:
        return f"there is no option {option}; --help lists them, docs/recipe.md the keys"
    told = " or ".join(f"{key}={value or '...'}" for key in found)
    return f"there is no option {option}; keys of a recipe are written key=value. Try: {told}"


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
    unless they are runs or spelled as a path."""
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


def views_and_overrides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """View makers and overrides of ``measure --views``: what sets keys of views alone is a maker.

    >>> views_and_overrides(["byol", "data.limit=9", "simclr views.grey=0", "views.grey=0"])
    (['byol', 'simclr views.grey=0', 'views.grey=0'], ['data.limit=9'])
    """
    makers = [word for word in words if re.match(r"[^=]*\bviews[.=]|[^=]*$", word)]
    return makers, [word for word in words if word not in makers]


def check_one(runs: Sequence[Path], sets: Sequence[str]) -> None:
    """Refuse what only a transfer takes: several runs, several sets, a factor of one."""
    if len(runs) > 1 or len(sets) > 1:
        what = counted(len(runs), "run") if len(runs) > 1 else counted(len(sets), "set")
        raise UserError(f"{what} are measured together by transfer", fix="--protocol transfer")
    if sets and "#" in sets[0]:
        raise UserError(f"{sets[0]} names a factor", fix="--protocol transfer")
