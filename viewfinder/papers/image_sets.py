"""The real image sets of experiments: where they lie on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viewfinder.core.errors import UserError

VARIABLE = "VIEWFINDER_DATA"
ROOT = "$" + VARIABLE
"""Stands for the folder of real image sets in a cell, so that a stored run is valid wherever the
folder lies."""


def expand(value: Any) -> Any:
    """The same with ``ROOT`` replaced in all texts by the folder the environment variable names.

    Raises UserError where the variable is not set, and for a set the folder does not have.
    """
    if isinstance(value, str):
        return _with_folder(value) if ROOT in value else value
    if isinstance(value, Mapping):
        return {key: expand(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [expand(inner) for inner in value]
    return value


def _with_folder(text: str) -> str:
    folder = os.environ.get(VARIABLE)
    sets = [part.partition(",")[0].strip("/") for part in text.split(ROOT)[1:]]  # key=value,...
    wanted = sets[0]
    if not folder:
        raise UserError(
            f"the image set {wanted} is needed, and {VARIABLE} is not set",
            fix=f"{VARIABLE}=DIR, a folder of image sets as npz: DIR/{wanted.split('/')[0]}"
            "/train.npz with test.npz or val.npz",
        )
    for path in (Path(folder) / one for one in sets):
        if not path.exists():
            raise UserError(
                f"{VARIABLE} is {folder}, but there is no {path}",
                fix=f"{VARIABLE}=DIR, a folder with {', '.join(sets)}",
            )
    return text.replace(ROOT, folder)
