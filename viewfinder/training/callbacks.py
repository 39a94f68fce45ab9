"""What happens around the steps: measures, history, checkpoints, progress."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import lightning as L
import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from viewfinder.core.console import say
from viewfinder.core.errors import RunStopped, UserError
from viewfinder.core.files import write_atomically
from viewfinder.core.randomness import numpy_generator
from viewfinder.data.stored import Subset
from viewfinder.information.collapse import COLLAPSED_STD, diagnose, feature_std, rankme
from viewfinder.networks.frozen_features import extract
from viewfinder.runs.checkpoint import in_order
from viewfinder.runs.run import Run
from viewfinder.training.assignment import Clustering
from viewfinder.training.embedding import Embedding

MEASURED_IMAGES = 1024


class Measured(Protocol):
    """What was measured after the last epoch: values for metrics.csv, and words for its line."""

    latest: dict[str, float]

    def said(self) -> str: ...


class Measures(L.Callback):
    """Collapse measures of the frozen encoder after each epoch, and the alarm.

    A NaN loss stops the run at once; collapsed features stop it before that epoch's checkpoint is
    written, so the newest checkpoint is the last good one. Measured on the same images every time.
    With several processes all stop where one sees cause to. Without ``alarms`` collapsed features
    are measured all the same and stop nothing.
    """

    def __init__(
        self,
        embedding: Embedding,
        seed: int,
        clustering: Sequence[Clustering],
        *,
        alarms: bool = True,
    ) -> None:
        n = min(MEASURED_IMAGES, len(embedding.data))
        chosen = numpy_generator(seed, "measures").choice(len(embedding.data), n, replace=False)
        self.rows = np.sort(chosen)
        self.embedding, self.clustering, self.alarms = embedding, clustering, alarms
        self.latest: dict[str, float] = {}

    def _features(self, trainer: L.Trainer, module: Any) -> Tensor:
        """Features of the measured images, (n, D): out of the embedding of all, where the clusters
        of the next epoch need that anyhow."""
        whole = self.embedding
        coming = trainer.current_epoch + 1
        if module.steady()[0] is module.encoder and any(c.due(coming) for c in self.clustering):
            return whole(module.encoder, trainer.global_step, module.device)[self.rows]
        images = Subset(whole.data, self.rows)
        how: Any = {"device": module.device, "precision": whole.precision}
        return extract(module.encoder, images, whole.view, **how)

    def _told_of_copies(self) -> str:
        """What to say where most of the measured images are copies of each other."""
        seen = Subset(self.embedding.data, self.rows).read(np.arange(len(self.rows)))
        different = len({one.tobytes() for one in seen.numpy()})
        if 2 * different > len(seen):
            return ""
        many = "all are the same" if different == 1 else f"only {different} are different"
        return (
            f" The probable cause are the data: of {len(seen)} images looked at, {many}; "
            "`viewfinder data` says what was read."
        )

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, step: int
    ) -> None:
        check_finite(
            trainer,
            outputs["loss"],
            step,
            "a lower optimizer.lr, optimizer.warmup_epochs=1, a higher objective.temperature, "
            "precision=32",
        )

    def said(self) -> str:
        """What was measured last, for the line of an epoch."""
        return "feature std {feature_std:.2f}  rank {rankme:.1f}".format(**self.latest)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        module: Any = pl_module
        problem: str | None
        try:
            z = self._features(trainer, module)
        except UserError as error:
            problem = str(error)
        else:
            std, rank = float(feature_std(z)), float(rankme(z))
            self.latest = {"feature_std": std, "rankme": rank}
            pl_module.log_dict(self.latest)
            problem = diagnose(std, rank, z.shape[1]) if self.alarms else None
            if problem is not None:
                problem += self._told_of_copies()
            # Trained to tell a few classes, features rightly span few directions.
            if module.objective.outputs == "classes" and std > COLLAPSED_STD:
                problem = None
        if any_rank(trainer, problem is not None):
            seen = problem or "another process raised the alarm"
            raise RunStopped(f"epoch {trainer.current_epoch + 1}: {seen}")


def check_finite(trainer: L.Trainer, loss: Tensor, step: int, helps: str) -> None:
    """Raise RunStopped, on all processes, where the loss of a step is no finite number on one."""
    # On an accelerator reading the loss waits for it, so it is read only now and then.
    if loss.device.type != "cpu" and step % 50:
        return
    if any_rank(trainer, not bool(torch.isfinite(loss))):
        raise RunStopped(
            f"the loss became {loss.item()} in epoch {trainer.current_epoch + 1}, step {step + 1}. "
            f"What usually helps: {helps}"
        )


def any_rank(trainer: L.Trainer, stop: bool) -> bool:
    """Whether any process says so: all of them stop, or none."""
    if trainer.world_size == 1:
        return stop
    return bool(trainer.strategy.reduce_boolean_decision(stop, all=False))


class History(L.Callback):
    """One row per epoch in metrics.csv.

    Not Lightning's CSV logger: the rows travel in the checkpoint, so a run that is continued
    writes the file again without a gap, and without the rows of an epoch that was cut short.
    """

    def __init__(self, path: Path, measures: Measured, console: Console) -> None:
        self.path, self.measures, self.console = path, measures, console
        self.rows: list[dict[str, float]] = []
        self._started, self._noted = 0.0, set[str]()

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.perf_counter()
        self._terms: dict[str, list[Tensor]] = {}

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, step: int
    ) -> None:
        self._rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, step: int
    ) -> None:
        scalars = {"loss": outputs["loss"], **outputs["terms"]}
        for name, value in scalars.items():
            if value.ndim == 0:  # the prototypes' usage is another callback's
                self._terms.setdefault(name, []).append(value.detach())

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        seconds = time.perf_counter() - self._started
        recipe: Any = pl_module.recipe
        row = {
            "epoch": trainer.current_epoch + 1,
            **self._means(trainer),
            "learning_rate": self._rate,
            **self.measures.latest,
            "images_per_second": len(self._terms["loss"]) * recipe.batch_size / seconds,
            "seconds": seconds,
        }
        self.rows = [*self.rows, row]
        module: Any = pl_module
        module.observe(row["loss"])
        if trainer.is_global_zero:
            write_atomically(self.path, _csv(self.rows))
            self.console.print(
                f"epoch {row['epoch']}/{recipe.epochs}  loss {row['loss']:.4f}  "
                f"{self.measures.said()}  "
                f"{row['images_per_second']:,.0f} images/s",
                highlight=False,
            )
            self._note(row, recipe)

    def _note(self, row: dict[str, float], recipe: Any) -> None:
        """Say once what the negatives declare to be worth saying."""
        anchors = len(self._terms["loss"]) * recipe.batch_size
        negatives = getattr(recipe, "negatives", None)  # a training of views has none
        for name, told in negatives.row.notes.items() if negatives else ():
            if row.get(name, 0) > 0 and name not in self._noted:
                self._noted.add(name)
                many = f"{row[name]:.1%} of the anchors ({round(row[name] * anchors):,})"
                say(f"note: for {many} {told}", self.console)

    def _means(self, trainer: L.Trainer) -> dict[str, float]:
        """The mean of the loss and its terms over the epoch's steps, and over the processes."""
        means = {name: torch.stack(values).double().mean() for name, values in self._terms.items()}
        if trainer.world_size > 1:
            reduce = trainer.strategy.reduce
            means = {name: reduce(mean, reduce_op="mean") for name, mean in means.items()}
        return {name: float(mean) for name, mean in means.items()}


class Checkpoints(L.Callback):
    """A checkpoint folder every so many epochs and at the end; the last two are kept."""

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every and epoch != trainer.max_epochs:
            return
        trainer.save_checkpoint(self.folder / f"epoch-{epoch:05d}")
        if trainer.is_global_zero:
            for old in in_order(self.folder)[:-2]:
                trainer.strategy.remove_checkpoint(old)


class Present(L.Callback):
    """Stops a run whose folder is gone, before anything is written there anew."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.kept = run.recipe_file.exists()  # a run within another has none

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if any_rank(trainer, self.kept and not self.run.recipe_file.exists()):
            self.run.check_present()
            raise RunStopped("another process found that the run folder is gone")


class ProgressBar(L.Callback):
    """Images a second, the loss and the time left, live; silent where the output is no terminal."""

    def __init__(self, console: Console, label: str) -> None:
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[rate]}  {task.fields[loss]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal or bool(int(os.environ.get("LOCAL_RANK", 0))),
        )
        self.label = label

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.bar.start()
        total = int(trainer.estimated_stepping_batches)
        self.task = self.bar.add_task(
            self.label, total=total, completed=trainer.global_step, rate="", loss=""
        )
        self._first, self._began = trainer.global_step, time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, step: int
    ) -> None:
        if self.bar.disable:
            return
        loss = outputs["loss"]
        done = trainer.global_step - self._first
        recipe: Any = pl_module.recipe
        rate = done * recipe.batch_size / max(time.perf_counter() - self._began, 1e-9)
        value = loss.item() if pl_module.device.type == "cpu" else math.nan
        self.bar.update(
            self.task,
            completed=trainer.global_step,
            rate=f"{rate:,.0f} images/s",
            loss="" if math.isnan(value) else f"loss {value:.3f}",
        )

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.bar.stop()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        self.bar.stop()


def _csv(rows: list[dict[str, float]]) -> str:
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
