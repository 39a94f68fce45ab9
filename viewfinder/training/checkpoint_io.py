"""Lightning's reading and writing of checkpoints, in the format of ``viewfinder.runs.checkpoint``.

Apart from it, because whoever only reads a run does without Lightning, which takes seconds to
import.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO

from viewfinder.runs.checkpoint import ABOUT, load, save


class SafeCheckpointIO(CheckpointIO):
    """``about`` as in ``save``, to which the epochs that were done are added."""

    def __init__(self, about: Mapping[str, str]) -> None:
        self.about = about

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        rest = {k: v for k, v in checkpoint.items() if k != "state_dict"}
        about = {**self.about, "epochs": str(checkpoint["epoch"] + 1)}
        save(Path(path), checkpoint["state_dict"], {**rest, ABOUT: about}, about)

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        return load(Path(path))

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        shutil.rmtree(path, ignore_errors=True)
