"""``viewfinder measure``: bounds on the information that two sets of numbers share."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from viewfinder.core.console import console, say
from viewfinder.core.errors import UserError
from viewfinder.core.files import write_atomically
from viewfinder.information.discrete import Unit
from viewfinder.information.estimate import Estimate
from viewfinder.information.estimator import mutual_information


def arrays(
    x: Path, y: Path, *, unit: Unit = "nats", out: Path | None = None, **protocol: Any
) -> Estimate:
    """Measure the pairs of two .npy files, print what was found, and return it in ``unit``.

    out  JSON file that gets the estimate with its protocol

    Raises UserError for files that cannot be read or written, and as ``mutual_information``.
    """
    left, right = read(x), read(y)
    if len(left) != len(right):
        raise UserError(
            f"{x} has {len(left)} rows and {y} has {len(right)}; row i of both is a pair, so as "
            "many are expected"
        )
    found = mutual_information(left, right, **protocol)
    found = found.bits if unit == "bits" else found
    show(found)
    if out is not None:
        write_atomically(out, json.dumps(asdict(found), indent=1).encode())
    return found


def read(path: Path) -> np.ndarray:
    """The array of a .npy file, without pickles. Raises UserError for what is none."""
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path} is not an array of numbers as .npy: {error}", fix="np.save(path, array)"
        ) from error
    if not isinstance(found, np.ndarray) or found.ndim == 0:
        raise UserError(
            f"{path} holds no array (N, D) or (N,) but several, or one number",
            fix="np.save(path, array) of one array",
        )
    return found


def show(found: Estimate) -> None:
    """Print an estimate: value, interval, ceiling, control, by K, flags and protocol."""
    unit, how = found.unit, found.protocol
    say(
        f"I(x;y) is at least {found.value:.3f} {unit}, 95 % interval of the bound "
        f"{found.low:.3f} to {found.high:.3f} ({how['bound']} with {how['k']} candidates)"
    )
    seeds = ", ".join(f"{value:.3f}" for value in found.seeds)
    say(f"seeds: {seeds}; {how['held_out']:,} held-out of {how['pairs']:,} pairs each")
    if found.ceiling is not None:
        say(f"ceiling: {found.ceiling:.3f} {unit}, the most that {how['k']} candidates can show")
    if found.shuffled is not None:
        say(f"shuffled pairs give {found.shuffled:.3f} {unit}, where 0 is right")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("candidates")
    for k in found.by_k:
        table.add_column(str(k), justify="right")
    table.add_row(unit, *(f"{value:.3f}" for value in found.by_k.values()))
    console().print(table)
    for flag in found.flags:
        say(f"note: {flag}")
