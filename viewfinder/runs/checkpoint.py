"""Checkpoints that load without executing anything and are never half written.

A checkpoint is a folder of two safetensors files: ``weights.safetensors`` (the module's tensors, by
name) and ``state.safetensors`` (all else that resuming needs: optimiser tensors, with schedules and
counters as JSON in the header). It is written beside its place and renamed into it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from viewfinder.core.errors import UserError

WEIGHTS = "weights.safetensors"
STATE = "state.safetensors"


def save(path: Path, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write a checkpoint folder at ``path``, replacing the one there, atomically.

    Raises UserError where the disk refuses (full, read-only); what was there before stays.
    """
    partial = path.with_name(f".{path.name}.partial")
    tensors: dict[str, Tensor] = {}
    tree = _pack(state, tensors)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_file({k: v.detach().contiguous().cpu() for k, v in weights.items()}, partial / WEIGHTS)
        save_file(tensors, partial / STATE, metadata={"tree": json.dumps(tree)})
        for file in (partial / WEIGHTS, partial / STATE):
            _flush(file)
        if path.exists():
            old = path.with_name(f".{path.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            path.rename(old)
            partial.rename(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            partial.rename(path)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UserError(
            f"the checkpoint {path} could not be written: {error}; earlier checkpoints are kept",
            fix="free some space, then run viewfinder pretrain --resume DIR",
        ) from error


def load_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint's weights by name. Raises UserError if missing or damaged."""
    return _read(path / WEIGHTS)


def load_state(path: Path) -> dict[str, Any]:
    """Everything else of a checkpoint. Raises UserError if missing or damaged."""
    tensors = _read(path / STATE)
    with safe_open(path / STATE, framework="pt") as file:
        metadata = file.metadata() or {}
    try:
        state = _unpack(json.loads(metadata["tree"]), tensors)
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path / STATE} is not a Viewfinder checkpoint: {error}") from error
    return state


def find_last(folder: Path) -> Path | None:
    """The newest whole checkpoint of a ``checkpoints`` folder, or None.

    Folders are named epoch-NNNN; a folder that was being replaced when the run died counts under
    its own name, and a half-written one (.partial) never does.
    """
    found = {p.name: p for p in folder.glob("epoch-*") if (p / STATE).exists()}
    for old in folder.glob(".epoch-*.old"):
        found.setdefault(old.name[1:-4], old)
    return found[max(found)] if found else None


def epoch_of(path: Path) -> int | None:
    """The epochs after which a checkpoint was written, by its name; None where that says none."""
    found = re.search(r"epoch-(\d+)", path.name)
    return int(found[1]) if found else None


class SafeCheckpointIO(CheckpointIO):
    """Lightning's reading and writing of checkpoints, in the format above."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        rest = {k: v for k, v in checkpoint.items() if k != "state_dict"}
        save(Path(path), checkpoint["state_dict"], rest)

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        return {**load_state(Path(path)), "state_dict": load_weights(Path(path))}

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        shutil.rmtree(path, ignore_errors=True)


def _flush(file: Path) -> None:
    """Force the bytes to disk, so that a rename never outlives a power cut without them."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def _read(file: Path) -> dict[str, Tensor]:
    if not file.exists():
        raise UserError(f"{file} does not exist; a checkpoint holds {WEIGHTS} and {STATE}")
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"{file} is damaged or not a safetensors file: {error}",
            fix=f"remove the folder {file.parent}: the checkpoint before it is then used",
        ) from error


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON for a tree of plain values; tensors go to ``tensors`` and leave their key behind."""
    if isinstance(value, Tensor):
        key = f"t{len(tensors)}"
        tensors[key] = value.detach().contiguous().cpu()
        return {"tensor": key}
    if isinstance(value, dict):
        return {"dict": [[_pack(k, tensors), _pack(v, tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_pack(v, tensors) for v in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _unpack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_unpack(k, tensors): _unpack(v, tensors) for k, v in content}
    parts = [_unpack(v, tensors) for v in content]
    return tuple(parts) if kind == "tuple" else parts


def load_into(module: torch.nn.Module, weights: dict[str, Tensor], what: str) -> None:
    """Put weights into a module, refusing anything missing, left over or of another shape.

    A silent partial load is how evaluations lie; here every difference is an error.
    """
    own = module.state_dict()
    missing = sorted(own.keys() - weights.keys())
    extra = sorted(weights.keys() - own.keys())
    wrong = [k for k in own.keys() & weights.keys() if own[k].shape != weights[k].shape]
    if missing or extra or wrong:
        details = []
        if missing:
            details.append(f"missing {missing[:3]}")
        if extra:
            details.append(f"left over {extra[:3]}")
        for key in sorted(wrong)[:3]:
            here, there = tuple(weights[key].shape), tuple(own[key].shape)
            details.append(f"{key} is {here}, expected {there}")
        raise UserError(f"{what} does not fit the recipe: {'; '.join(details)}")
    module.load_state_dict(weights)
