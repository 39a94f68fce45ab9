"""The run folder: what lies where, and how a trained encoder is read back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from viewfinder.core.console import say
from viewfinder.core.errors import RunStopped, UserError
from viewfinder.core.files import write_atomically
from viewfinder.core.plain_yaml import read_mapping
from viewfinder.core.randomness import derive
from viewfinder.data.domain import Domain
from viewfinder.networks.channels_last import fast_layout
from viewfinder.networks.encoders import ENCODERS, build_encoder
from viewfinder.recipes.recipe import Recipe, build
from viewfinder.runs.belonging import own_weights
from viewfinder.runs.checkpoint import DIGESTS, WEIGHTS, damage, find_last, load_into


@dataclass(frozen=True)
class Run:
    """recipe.yaml, data.json, metrics.csv, checkpoints/, results.json, artifacts/, report.html in a
    folder; files/, copies of what the views need; usage.csv, where there are prototypes;
    held_out.json, where the test images are part of train, held out; origin.json and start/, where
    it began with the weights of another.

    ``role`` says which of the trainings in a run's folder it is."""

    folder: Path
    role: str = "run"

    @property
    def recipe_file(self) -> Path:
        return self.folder / "recipe.yaml"

    @property
    def data_file(self) -> Path:
        return self.folder / "data.json"

    @property
    def metrics_file(self) -> Path:
        return self.folder / "metrics.csv"

    @property
    def usage_file(self) -> Path:
        return self.folder / "usage.csv"

    @property
    def results_file(self) -> Path:
        return self.folder / "results.json"

    @property
    def held_out_file(self) -> Path:
        return self.folder / "held_out.json"

    @property
    def origin_file(self) -> Path:
        return self.folder / "origin.json"

    @property
    def start(self) -> Path:
        """The weights that it began with, where they are another run's."""
        return self.folder / "start"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def files(self) -> Path:
        """Copies of the files that the recipe names."""
        return self.folder / "files"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    def check_present(self) -> None:
        """Raise RunStopped where the folder was removed or moved away while the run went on."""
        if not self.recipe_file.exists():
            raise RunStopped(
                f"{self.folder} is gone: it was removed or moved while the run went on, or its "
                "recipe.yaml was; what was computed since is not kept"
            )

    def recipe(self) -> Recipe:
        """The complete recipe the run was started with.

        Nothing it names is imported. That it was changed since is printed. Raises UserError where
        the folder is no run, and where the run needs plug-ins that are not loaded.
        """
        if not self.recipe_file.exists():
            raise UserError(
                f"{self.folder} is not a run: it has no recipe.yaml",
                fix="the folder that viewfinder pretrain --out wrote",
            )
        listed = (self.folder / DIGESTS).is_file()
        if listed and damage(self.folder, [self.recipe_file.name]) is not None:
            say(f"note: {self.recipe_file} is not as the run was started; it is taken as it is now")
        try:
            return build(file=self.recipe_file, trusted=False)
        except UserError as error:
            if str(self.folder) in error.message:
                raise
            raise UserError(f"{self.recipe_file}: {error.message}", fix=error.fix) from error

    def plain_recipe(self) -> dict[str, Any]:
        """``recipe`` as plain data. Nothing it names is looked up, so it needs no plug-ins.

        Raises FileNotFoundError, and UserError where the file cannot be read as YAML.
        """
        if not self.recipe_file.exists():
            raise FileNotFoundError(self.recipe_file)
        return read_mapping(self.recipe_file)

    def held_out(self) -> np.ndarray | None:
        """The paths or rows of the images that were held out of training; None: no such part.

        Raises UserError where the file is damaged.
        """
        if not self.held_out_file.exists():
            return None
        try:
            images = np.array(json.loads(self.held_out_file.read_bytes()))
        except (OSError, ValueError) as error:
            raise UserError(f"{self.held_out_file} cannot be read: {error}") from error
        if images.ndim != 1 or images.dtype.kind not in "iU":
            raise UserError(f"{self.held_out_file} is not a list of paths or rows")
        return images

    def keep_held_out(self, images: np.ndarray) -> None:
        """Write the paths or rows of the images that are held out of training."""
        write_atomically(self.held_out_file, json.dumps(images.tolist()))

    def last_checkpoint(self) -> Path | None:
        """The newest whole checkpoint, or None."""
        return find_last(self.checkpoints)


@contextmanager
def initial_weights(seed: int, network: str = "") -> Iterator[None]:
    """Inside, weights are drawn from the seed (and a network's name) alone; outside, the global
    stream is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, f"weights/{network}" if network else "weights"))
        yield


def new_encoder(
    recipe: Recipe, domain: Domain, *, pretrained: bool = True
) -> tuple[nn.Module, int]:
    """An encoder of a complete recipe for views of ``domain``, and its feature dimension; see
    ``initial_weights``.

    ``pretrained`` False: without the public weights that the recipe may start from.
    """
    row, options = ENCODERS[recipe.encoder.name], recipe.encoder.options().model_dump()
    if row.pretrained and not pretrained:
        options["pretrained"] = False
    encoder, dim = build_encoder(row.name, domain, options)
    return fast_layout(encoder), dim


def new_encoders(recipe: Recipe, *, pretrained: bool = True) -> dict[str, nn.Module]:
    """The encoders of a complete recipe by the name of their network, before training."""
    found: dict[str, nn.Module] = {}
    maker = recipe.view_maker()
    first = next(iter(maker.networks))
    for name, domain in maker.encoders.items():
        with initial_weights(recipe.seed, "" if name == first else name):
            found[name] = new_encoder(recipe, domain, pretrained=pretrained)[0]
    return found


def one_encoder(encoders: Mapping[str, nn.Module]) -> nn.Module:
    """The only encoder, or several by name as one module: see ``frozen_features.extract``."""
    only = next(iter(encoders.values()))
    return only if len(encoders) == 1 else nn.ModuleDict(encoders)


def load_encoder(run: Run, checkpoint: Path | None = None) -> tuple[nn.Module, Recipe, Path]:
    """The trained encoder of a run in eval mode, its recipe, and the checkpoint it came from.

    The encoder maps float (N, ...) views of its domain to features (N, D); where the views need
    several networks it is a ModuleDict of theirs. Raises UserError where the folder is no run, has
    no checkpoint yet, or where the weights do not fit the recipe exactly.
    """
    recipe = run.recipe()
    path = checkpoint or run.last_checkpoint()
    if path is None:
        raise UserError(
            f"{run.folder} has no checkpoint yet", fix=f"viewfinder pretrain --resume {run.folder}"
        )
    encoders = new_encoders(recipe, pretrained=False)  # the checkpoint has all weights
    weights = own_weights(path, recipe, run.role)
    for name, encoder in encoders.items():
        prefix = f"networks.{name}.encoder."
        own = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        load_into(encoder, own, f"the checkpoint {path / WEIGHTS}")
    return one_encoder(encoders).eval().requires_grad_(False), recipe, path


def pick_device(accelerator: str) -> torch.device:
    """The device of one process for Lightning's names: auto, cpu, gpu, cuda, mps."""
    if accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator in ("mps", "auto") and torch.backends.mps.is_available():
        return torch.device("mps")
    if accelerator in ("gpu", "cuda", "mps"):
        raise UserError(f"accelerator={accelerator} is not available here", fix="accelerator=cpu")
    return torch.device("cpu")
