"""The run folder: what lies where, and how a trained encoder is read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from viewfinder.core.errors import UserError
from viewfinder.core.randomness import derive
from viewfinder.data.domain import Domain
from viewfinder.networks.channels_last import fast_layout
from viewfinder.networks.encoders import ENCODERS, build_encoder
from viewfinder.recipes.recipe import Recipe, build
from viewfinder.runs.checkpoint import find_last, load_into, load_weights


@dataclass(frozen=True)
class Run:
    """recipe.yaml, metrics.csv, checkpoints/, results.json, artifacts/, report.html in a folder;
    usage.csv, where there are prototypes."""

    folder: Path

    @property
    def recipe_file(self) -> Path:
        return self.folder / "recipe.yaml"

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
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    def recipe(self) -> Recipe:
        """The complete recipe the run was started with.

        Nothing it names is imported. Raises UserError where the folder is no run, and where the
        run needs plug-ins that are not loaded.
        """
        if not self.recipe_file.exists():
            raise UserError(
                f"{self.folder} is not a run: it has no recipe.yaml",
                fix="the folder that viewfinder pretrain --out wrote",
            )
        return build(file=self.recipe_file, trusted=False)

    def plain_recipe(self) -> dict[str, Any]:
        """``recipe`` as plain data, {} where it is none. Nothing it names is looked up, so it needs
        no plug-ins.

        Raises FileNotFoundError, and UserError where the file cannot be read as YAML.
        """
        try:
            recipe = yaml.safe_load(self.recipe_file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{self.recipe_file} is not YAML: {error}") from error
        return recipe if isinstance(recipe, dict) else {}

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
    for name, domain in recipe.view_maker().encoders.items():
        with initial_weights(recipe.seed, name if found else ""):
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
    weights = load_weights(path)
    for name, encoder in encoders.items():
        prefix = f"networks.{name}.encoder."
        own = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        load_into(encoder, own, f"the checkpoint {path}")
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
