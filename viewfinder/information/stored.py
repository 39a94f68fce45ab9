"""Results of a comparison of view makers on disk: each kept as soon as it is known."""

from __future__ import annotations

import json
from collections import UserDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from viewfinder.core.errors import UserError, in_words
from viewfinder.core.files import write_atomically
from viewfinder.information.estimate import Estimate, SeedResult


@dataclass
class Arm:
    """One view maker: the views of a recipe in full, and what was found, in nats, by measure."""

    views: dict[str, Any]
    results: dict[str, dict[str, SeedResult]] = field(default_factory=dict)


@dataclass
class Comparison:
    """All that a comparison is made of, so that it can be continued.

    data      what it is of: source, settings, and a fingerprint
    protocol  of all arms except the number of seeds, which may grow
    """

    data: dict[str, Any]
    protocol: dict[str, Any]
    arms: dict[str, Arm] = field(default_factory=dict)


class Saving(UserDict[str, SeedResult]):
    """Results by name; ``saved`` is called after each that is put there."""

    def __init__(self, found: dict[str, SeedResult], saved: Callable[[], None]) -> None:
        super().__init__()
        self.data, self.saved = found, saved

    def __setitem__(self, name: str, result: SeedResult) -> None:
        super().__setitem__(name, result)
        self.saved()


_STORED = TypeAdapter(Comparison)


def read(path: Path) -> Comparison | None:
    """The comparison in a file; None where there is none. Raises UserError for another file."""
    if not path.exists():
        return None
    try:
        return _STORED.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(
            f"{path} is no comparison of views: {str(error).splitlines()[0]}",
            fix="another --out; nothing was overwritten",
        ) from error


def write(
    path: Path, found: Comparison, estimates: Mapping[str, Mapping[str, Estimate]] | None = None
) -> None:
    """Replace the file by ``found``, with what its results come to by arm and measure."""
    told = asdict(found)
    for name, own in (estimates or {}).items():
        told["arms"][name]["estimates"] = {measure: asdict(one) for measure, one in own.items()}
    write_atomically(path, json.dumps(told, indent=1) + "\n")


def check_alike(path: Path, before: Comparison, now: Comparison) -> None:
    """Raise UserError where a comparison that exists is of other settings."""
    for what, old, new in (
        ("data", before.data, now.data),
        ("protocol", before.protocol, now.protocol),
    ):
        for key in dict.fromkeys([*new, *old]):
            if old.get(key) != new.get(key):
                told = f"{in_words(old.get(key))}, and now it is {in_words(new.get(key))}"
                if key == "fingerprint":
                    told = "those of other images: they have changed"
                raise UserError(
                    f"{path} has a comparison whose {what}.{key} is {told}; values are comparable "
                    "only with all else fixed",
                    fix="the same settings, or another --out",
                )
