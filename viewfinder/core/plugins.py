"""Modules with rows of somebody's own, imported only where the user asked for them.

A name reaches ``load`` from the command line, from a recipe file that the user names, or from the
user's own Python. A recipe found in a run folder never does: whoever reads one asks ``is_loaded``.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from viewfinder.core.errors import UserError, in_words

GROUP = "viewfinder.rows"
"""The entry points by which an installed package says which of its modules adds rows."""

_loaded: dict[str, ModuleType] = {}


def load(names: Iterable[str]) -> None:
    """Import modules, from the current folder too; what they register is then known.

    A module that is loaded already is left as it is. Raises UserError for what is no module's
    name, cannot be found, or raises while it is imported.

    >>> load(["json"])
    >>> is_loaded("json"), is_loaded("os")
    (True, False)
    """
    for name in names:
        if name not in _loaded:
            _loaded[name] = _imported(name)


@cache
def load_installed() -> None:
    """Load what installed packages offer as entry points of ``GROUP``, once per process.

    One that cannot be imported is left out with a warning: it must not stop those who do not use
    it.
    """
    for entry in entry_points(group=GROUP):
        try:
            load([entry.module])
        except UserError as error:
            warnings.warn(f"the rows of an installed package are left out: {error}", stacklevel=2)


def is_loaded(name: str) -> bool:
    """Whether a module was loaded as a plugin; having been imported otherwise does not count."""
    return name in _loaded


def is_name(name: str) -> bool:
    """Whether a module could be called so.

    >>> is_name("my_package.rows"), is_name("my-rows")
    (True, False)
    """
    return len(name) < 1_000 and all(part.isidentifier() for part in name.split("."))


def module(name: str) -> ModuleType:
    """A module that was loaded. Raises UserError for any other: nothing is imported here."""
    if name not in _loaded:
        raise UserError(f"the module {name} is not loaded as a plugin", fix=f"plugins={name}")
    return _loaded[name]


def _imported(name: str) -> ModuleType:
    if not is_name(name):
        raise UserError(
            f"plugins: {in_words(name)} is not the name of a module",
            fix="plugins=my_rows for my_rows.py in the current folder",
        )
    here = str(Path.cwd())
    if here not in sys.path:  # a script's folder is importable, a console command's is not
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name + ".").startswith(error.name + "."):
            raise UserError(
                f"plugins: there is no module {name} in {here} or among the installed packages",
                fix="a module's name as Python imports it, such as my_package.my_rows",
            ) from error
        raise UserError(f"plugins: {name} cannot be imported: {error}") from error
    except UserError as error:
        raise UserError(f"plugins: {name}: {error.message}", fix=error.fix) from error
    except (Exception, SystemExit) as error:
        # whatever somebody's module does wrong is told as theirs
        raise UserError(
            f"plugins: {name} cannot be imported: {type(error).__name__}: {error}"
        ) from error
