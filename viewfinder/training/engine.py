"""Lightning's trainer, set up as a recipe says: devices, precision, strategy, logger."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger

from viewfinder.core.errors import UserError
from viewfinder.recipes.training import Training
from viewfinder.runs.belonging import belonging
from viewfinder.runs.run import Run, pick_device
from viewfinder.training.checkpoint_io import SafeCheckpointIO


def engine(recipe: Training, run: Run, callbacks: Sequence[L.Callback]) -> L.Trainer:
    """The trainer of a run. Raises UserError for devices, a precision or a strategy that this
    machine does not have."""
    _quiet()
    device = pick_device(recipe.accelerator)
    if device.type != "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        return L.Trainer(
            max_epochs=recipe.epochs,
            accelerator=recipe.accelerator,
            devices=recipe.devices,
            num_nodes=recipe.nodes,
            strategy=recipe.strategy,
            precision=recipe.precision,
            # torch has it on CUDA alone
            gradient_clip_val=recipe.clip,
            # on other devices the module joins its batch norms itself
            sync_batchnorm=recipe.processes > 1 and device.type == "cuda",
            callbacks=[*callbacks],
            plugins=[SafeCheckpointIO(belonging(recipe, run.role))],
            logger=_logger(recipe, run),
            log_every_n_steps=10,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=run.folder,
        )
    except UserError:
        raise
    except (MisconfigurationException, ImportError, ValueError) as error:
        raise UserError(
            f"accelerator={recipe.accelerator} devices={recipe.devices} nodes={recipe.nodes} "
            f"strategy={recipe.strategy} precision={recipe.precision} is not available here: "
            f"{error}",
            fix="accelerator=auto devices=1 nodes=1 strategy=auto",
        ) from error


def _logger(recipe: Training, run: Run) -> Logger | bool:
    if recipe.logger == "tensorboard":
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(save_dir=run.folder, name="tensorboard", version="")
    if recipe.logger == "wandb":
        try:
            import wandb  # noqa: F401
        except ImportError as error:
            raise UserError(
                "logger=wandb, but wandb is not installed", fix='pip install "viewfinder[wandb]"'
            ) from error
        from lightning.pytorch.loggers import WandbLogger

        return WandbLogger(save_dir=run.folder, project="viewfinder", name=run.folder.name)
    return False


def _quiet() -> None:
    """The engine's banners and tips say nothing about the user's run."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
