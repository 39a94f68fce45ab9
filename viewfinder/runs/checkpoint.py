"""Checkpoints that load without executing anything and are never half written.

A checkpoint is a folder of two safetensors files: ``weights.safetensors`` (the module's tensors, by
name) and ``state.safetensors`` (all else that resuming needs: optimiser tensors, with schedules and
counters as JSON in the header). ``SHA256SUMS`` has their digests, which are checked whenever one is
read (``sha256sum -c SHA256SUMS`` does the same). The folder is written beside its place and renamed
into it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from viewfinder.core.console import say
from viewfinder.core.errors import UserError, brief
from viewfinder.core.files import write_atomically

WEIGHTS = "weights.safetensors"
STATE = "state.safetensors"
DIGESTS = "SHA256SUMS"
ABOUT = "about"
"""The key under which either file says what it is of, such as the run."""
NAME = re.compile(r"\.?epoch-(\d+)(?:\.old)?")
"""A checkpoint's folder by the epochs that were done, as it is or while it is replaced."""


def save(
    path: Path,
    weights: dict[str, Tensor],
    state: dict[str, Any],
    about: Mapping[str, str] | None = None,
) -> None:
    """Write a checkpoint folder at ``path``, replacing the one there, atomically.

    about  what the weights say of themselves in their header, such as the run they are of

    Raises UserError where the disk refuses (full, read-only); what was there before stays.
    """
    partial = path.with_name(f".{path.name}.partial")
    tensors: dict[str, Tensor] = {}
    tree = _pack(state, tensors)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        whole = {k: v.detach().contiguous().cpu() for k, v in weights.items()}
        save_file(whole, partial / WEIGHTS, metadata=_header(about or {}))
        save_file(tensors, partial / STATE, metadata={"tree": json.dumps(tree)})
        write_digests(partial)
        for name in (WEIGHTS, STATE, DIGESTS):
            _flush(partial / name)
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
            fix=f"free some space, then run viewfinder pretrain --resume {path.parent.parent}",
        ) from error


def write_digests(path: Path, names: Sequence[str] = (WEIGHTS, STATE)) -> None:
    """Make the list of digests of a checkpoint's, or another folder's, files as they are."""
    sums = [f"{_digest(path / name)}  {name}\n" for name in names]
    write_atomically(path / DIGESTS, "".join(sums))


def load_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint's weights by name. Raises UserError if missing or damaged."""
    return _read(path / WEIGHTS)


def load_state(path: Path) -> dict[str, Any]:
    """Everything else of a checkpoint. Raises UserError if missing or damaged."""
    tensors = _read(path / STATE)
    try:
        with safe_open(path / STATE, framework="pt") as file:
            metadata = file.metadata() or {}
        state = _unpack(json.loads(metadata["tree"]), tensors)
        if not isinstance(state, dict):
            raise TypeError(f"it holds a {type(state).__name__}")
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path / STATE} is not a Viewfinder checkpoint: {brief(error)}",
            fix=_without(path),
        ) from error
    return state


def load(path: Path) -> dict[str, Any]:
    """State and weights ("state_dict") of a checkpoint. Raises UserError if missing or damaged, and
    where the two files are not of the same run and epoch."""
    state, weights = load_state(path), load_weights(path)
    if state.get(ABOUT, {}) != about_weights(path):
        raise UserError(
            f"{path / STATE} and {WEIGHTS} beside it are not of the same run and epoch",
            fix=_without(path),
        )
    return {**state, "state_dict": weights}


def epochs_done(path: Path) -> int:
    """The epochs after which a checkpoint was written. Raises UserError where it does not say."""
    epoch = load_state(path).get("epoch")
    if not isinstance(epoch, int) or epoch < 0:
        raise UserError(f"{path / STATE} does not say its epoch", fix=_without(path))
    return epoch + 1


def damage(path: Path, names: Sequence[str] = (WEIGHTS, STATE)) -> str | None:
    """What is wrong with files of a checkpoint, in words that name them; None: they are whole."""
    for name in (DIGESTS, *names):
        if not (path / name).is_file():
            return f"{path / name} does not exist; there should be {', '.join(names)}, {DIGESTS}"
    for name in names:
        try:
            differs = _written_digest(path / name) != _digest(path / name)
        except OSError as error:
            return f"{path / name} cannot be read: {brief(error)}"
        if differs:
            return f"{path / name} is damaged: it is not what was written (see {DIGESTS})"
    return None


def find_last(folder: Path) -> Path | None:
    """The newest whole checkpoint of a ``checkpoints`` folder, or None where there is none at all.

    Folders are named epoch-NNNNN and compared as numbers; a folder that was being replaced when the
    run died counts under its own name, and a half-written one (.partial) never does. A damaged one
    is passed over, and what is wrong with it is printed.

    Raises UserError where all are damaged.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.glob("*epoch-*")):  # .epoch-00001.old comes before epoch-00001
        if (match := NAME.fullmatch(path.name)) and path.is_dir():
            found[int(match[1])] = path
    problems: list[str] = []
    for _, path in sorted(found.items(), reverse=True):
        problem = damage(path)
        if problem is None:
            for passed_over in problems:
                say(f"note: {passed_over}; the checkpoint before it, {path.name}, is used")
            return path
        problems.append(problem)
    if problems:
        raise UserError(
            f"no checkpoint in {folder} is whole: {'; '.join(problems[:3])}",
            fix=f"a copy of them, or remove {folder}: --resume then starts from the beginning",
        )
    return None


def remove_unfinished(folder: Path) -> None:
    """Remove what a process that is gone has left of writing a checkpoint."""
    for path in folder.glob(".epoch-*"):
        replaced = path.suffix == ".old" and not (folder / path.stem.removeprefix(".")).exists()
        if not replaced:  # else it is the only one of its epoch
            shutil.rmtree(path, ignore_errors=True)


def in_order(folder: Path) -> list[Path]:
    """The checkpoints in a folder, by epoch."""
    found = [path for path in folder.glob("epoch-*") if NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name.partition("-")[2]))


def epoch_of(path: Path) -> int | None:
    """The epochs after which a checkpoint was written, by its name; None where that says none."""
    found = re.search(r"epoch-(\d+)", path.name)
    return int(found[1]) if found else None


def _flush(file: Path) -> None:
    """Force the bytes to disk, so that a rename never outlives a power cut without them."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def _digest(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _written_digest(file: Path) -> str | None:
    """What the list beside a file says of it."""
    with (file.parent / DIGESTS).open("rb") as handle:
        lines = handle.read(4096).decode("utf-8", "replace").splitlines()
    return next((one.partition(" ")[0] for one in lines if one.endswith(f"  {file.name}")), None)


def _without(path: Path) -> str:
    return f"remove the folder {path}: the checkpoint before it is then used"


def _read(file: Path) -> dict[str, Tensor]:
    problem = damage(file.parent, [file.name])
    if problem is not None:
        raise UserError(problem, fix=_without(file.parent))
    try:
        return load_file(file)
    except Exception as error:  # whatever the reader makes of what is no safetensors file
        raise UserError(
            f"{file} is damaged or not a safetensors file: {brief(error)}",
            fix=_without(file.parent),
        ) from error


def about_weights(path: Path) -> dict[str, str]:
    """What the weights of a checkpoint say of themselves; empty where they say nothing.

    Raises UserError where that is no text by name.
    """
    try:
        with safe_open(path / WEIGHTS, framework="pt") as file:
            found = json.loads((file.metadata() or {}).get(ABOUT, "{}"))
        return {str(key): str(text) for key, text in found.items()}
    except (SafetensorError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(
            f"the header of {path / WEIGHTS} cannot be read: {brief(error)}",
            fix=_without(path),
        ) from error


def _header(about: Mapping[str, str]) -> dict[str, str]:
    """One key: the writer puts several in any order, and equal runs have equal files."""
    return {ABOUT: json.dumps(about, sort_keys=True)} if about else {}


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
    """Put weights into a module, refusing anything missing, left over, of another shape or dtype,
    and parameters that are not finite.

    A silent partial load is how evaluations lie; here every difference is an error.
    """
    own = module.state_dict()
    missing = sorted(own.keys() - weights.keys())
    extra = sorted(weights.keys() - own.keys())
    details = []
    if missing:
        details.append(f"missing {missing[:3]}")
    if extra:
        details.append(f"left over {extra[:3]}")
    wrong = [
        f"{key} is {_kind(weights[key])}, expected {_kind(own[key])}"
        for key in sorted(own.keys() & weights.keys())
        if _kind(weights[key]) != _kind(own[key])
    ]
    details += wrong[:3]
    if details:
        raise UserError(f"{what} does not fit the recipe: {brief('; '.join(details))}")
    diverged = [k for k, _ in module.named_parameters() if not weights[k].isfinite().all()]
    if diverged:
        raise UserError(
            f"{what} holds values that are not finite in {brief(str(diverged[:3]))}",
            fix="an earlier checkpoint: the training has diverged, or the file was changed",
        )
    module.load_state_dict(weights)


def _kind(tensor: Tensor) -> str:
    """Shape and dtype in words: (3, 2) float32."""
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
