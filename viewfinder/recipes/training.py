"""What every training has, whatever it trains: how long, on what, with which seed and devices."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from viewfinder.core import plain_yaml
from viewfinder.core.ranges import Count
from viewfinder.recipes.parts import Choice, Data, Part


class Training(Part):
    """The part of a recipe that the engine, the loader and the checkpoints read.

    made_by  the keys that are the same as long as a run is: its data may move, its epochs be more,
             its machine another
    """

    made_by: ClassVar[tuple[str, ...]] = ("method", "seed")

    method: str
    seed: int = Field(0, ge=0, le=2**63 - 1, description="all randomness is derived from it")
    plugins: list[str] = Field(
        [], description="modules with rows of your own, imported first: plugins=my_rows"
    )
    epochs: Count = Field(10, description="passes over the training images")
    batch_size: int = Field(
        256, ge=2, le=1_000_000, description="images of a step, over all devices"
    )
    precision: Literal["32", "bf16-mixed", "16-mixed"] = Field(
        "32", description="32, bf16-mixed or 16-mixed"
    )
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = Field(
        "auto", description="auto, cpu, gpu, mps"
    )
    devices: int = Field(
        1, ge=1, le=1_000, description="devices (processes) of each machine to train on"
    )
    nodes: int = Field(
        1, ge=1, le=100_000, description="machines to train on (Lightning's num_nodes)"
    )
    strategy: str = Field("auto", description="how processes work together: a name of Lightning's")
    workers: int = Field(
        0, ge=0, le=1_000, description="processes that decode images; 0: the main process"
    )
    checkpoint_every: Count = Field(1, description="epochs between checkpoints")
    logger: Literal["tensorboard", "wandb", "none"] = Field(
        "tensorboard", description="beside metrics.csv: tensorboard, wandb, none"
    )
    alarms: bool = Field(
        True, description="stop where the features collapse; a loss that is not finite always stops"
    )
    data: Data = Data()

    @field_validator("plugins", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        """``plugins=my_rows`` is a list of one."""
        return [given] if isinstance(given, str) else given

    @field_validator("precision", mode="before")
    @classmethod
    def _as_word(cls, given: Any) -> Any:
        """``precision=32`` is read as a number."""
        return str(given) if type(given) is int else given

    @property
    def processes(self) -> int:
        """The processes that train together, on all machines."""
        return self.devices * self.nodes

    @property
    def clip(self) -> float | None:
        """The largest norm of the gradient of all parameters; None: no limit."""
        return None

    def plain(self) -> dict[str, Any]:
        """The recipe as nested JSON data with every option."""
        plain = self.model_dump(mode="json")
        return {**plain, **{key: part.plain() for key, part in self.choices().items()}}

    def choices(self) -> dict[str, Choice]:
        """The parts that are rows of a table."""
        return {key: part for key, part in self if isinstance(part, Choice)}

    def to_yaml(self) -> str:
        """``plain`` as YAML, to be read with ``build(file=...)``."""
        return plain_yaml.dump(self.plain())
