"""All images of all splits in a run's embedding: made once, kept in the run, made anew where the
weights, the images or what the encoder is shown of them differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from viewfinder.core.console import say
from viewfinder.core.errors import UserError
from viewfinder.data.convert import in_proportion
from viewfinder.data.fingerprint import fingerprint as data_fingerprint
from viewfinder.data.source import Source, sides_of
from viewfinder.data.sources.table import same_source
from viewfinder.data.stored import JoinedData
from viewfinder.evaluation.probing import file_words
from viewfinder.evaluation.scoring import write_all_embeddings
from viewfinder.networks.frozen_features import fingerprint
from viewfinder.recipes.recipe import Recipe, merge
from viewfinder.runs.checkpoint import epoch_of
from viewfinder.runs.embeddings import Embeddings, metadata_of, read_embeddings
from viewfinder.runs.model import Model
from viewfinder.runs.neighbour_graph import (
    NEIGHBOURS,
    NeighbourGraph,
    nearest_neighbours,
    read_graph,
    write_graph,
)
from viewfinder.runs.opening import check_kind, override, reopened, say_unfinished
from viewfinder.runs.own_data import check_there
from viewfinder.runs.run import Run, load_encoder


@dataclass(frozen=True)
class RunImages:
    """A source in the embedding of a run.

    recipe      the run's, with the data part of the source
    embeddings  a row per image, the splits one after the other, as ``images`` has them
    facts       digests of the model and the data, and k: what the kept files must say
    files       the embedding file and that of the graph
    """

    run: Run
    recipe: Recipe
    source: Source
    encoder: nn.Module
    embeddings: Embeddings
    facts: Mapping[str, str]
    files: tuple[Path, Path]

    @cached_property
    def graph(self) -> NeighbourGraph:
        """The nearest neighbours of each image, read where the kept ones are of these images."""
        file = self.files[1]
        if _says(file, self.facts):
            return read_graph(file)
        say(f"neighbours of {len(self.embeddings):,} images")
        graph = nearest_neighbours(self.embeddings.vectors, about=self.facts)
        write_graph(file, graph, self.embeddings)
        return graph

    @cached_property
    def images(self) -> JoinedData:
        """The data of all splits, a row per image."""
        return JoinedData([split.data for split in self.source.splits.values()])

    @cached_property
    def model(self) -> Model:
        """The encoder with its preprocessing."""
        return Model(self.encoder, self.recipe)

    def pictures(self, rows: np.ndarray) -> Tensor | None:
        """Images int64 (n,) as they are shown: uint8 (n, C, H, W), in their own proportions; None
        where the data are no images."""
        if self.images.modality != "images":
            return None
        return in_proportion(self.images.read(rows), sides_of(self.images, rows))


def run_images(
    run: Run, data: str | None = None, overrides: Mapping[str, Any] | None = None
) -> RunImages:
    """All images of a run's own data, or of the source ``data``, in the run's embedding.

    What is kept in the run's artifacts is read where it is of this model and these images, and
    otherwise written: embeddings.parquet, as ``viewfinder embed`` writes it, and, once the graph is
    asked for, neighbours.parquet; those of other data have names of their own.

    overrides  of the run's data.*, nested. A limit of the run itself does not hold here

    Raises UserError for what cannot be read, opened or written.
    """
    encoder, trained, checkpoint = load_encoder(run)
    say_unfinished(trained, checkpoint)
    layers = merge({"data": {"limit": None}}, overrides or {})
    recipe = override(trained, layers, data, ("data",))
    of_run = data is None or same_source(data, trained.data.source)
    if of_run:
        check_there(run, recipe)
    source = reopened(run, recipe.data, recipe.seed, trained)
    check_kind(recipe, source)
    if sum(map(len, source.splits.values())) < 2:
        raise UserError(f"{source.spec} holds one image, which has no neighbours")
    facts = {
        "model_digest": fingerprint(encoder, recipe.view_maker().describe_frozen()),
        "data_digest": _digest(data_fingerprint(source)),
        "precision": str(recipe.precision),
    }
    suffix = "" if of_run else f"-{file_words(source.spec)}"
    files = tuple(
        run.artifacts / f"{name}{suffix}.parquet" for name in ("embeddings", "neighbours")
    )
    if not _says(files[0], facts):
        about = {"run": str(run.folder), "method": trained.method, "epoch": epoch_of(checkpoint)}
        write_all_embeddings(recipe, source, encoder, files[0], None, about={**about, **facts})
    graph_facts = {**facts, "k": str(min(NEIGHBOURS, _count(source) - 1))}
    found = read_embeddings(files[0])
    return RunImages(run, recipe, source, encoder, found, graph_facts, (files[0], files[1]))


def _count(source: Source) -> int:
    return sum(map(len, source.splits.values()))


def _says(file: Path, facts: Mapping[str, str]) -> bool:
    """Whether a kept file was made of what the facts say."""
    return file.is_file() and facts.items() <= metadata_of(file).items()


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
