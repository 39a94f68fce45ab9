from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from viewfinder.core.errors import UserError
from viewfinder.data.source import Attributes, Split
from viewfinder.data.stored import ArrayData
from viewfinder.positives.table import (
    POSITIVES,
    AttributesOptions,
    FileOptions,
    Given,
    HierarchyOptions,
    KMeansOptions,
    SyntheticOptions,
    build_clusterings,
    build_clusters,
    find,
    split_spec,
    tree_of,
)

N = 60
LABELS = np.arange(N) % 4


def split(**known: object) -> Split:
    images = ArrayData(torch.zeros(N, 1, 2, 2, dtype=torch.uint8))
    return Split("train", images, **known)  # type: ignore[arg-type]


ATTRIBUTES = Attributes(
    np.stack([LABELS // 2, np.arange(N) % 3], axis=1), ["pair", "third"], {"third": ["x", "y", "z"]}
)
NAMES = ["Greek/alpha", "Greek/beta", "Latin/a", "Latin/b"]
KNOWN = split(labels=LABELS, class_names=NAMES, attributes=ATTRIBUTES)


def test_every_row_builds(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    file = tmp_path / "z.csv"
    file.write_text("index,cluster\n" + "".join(f"{i},{i % 7}\n" for i in range(N)))
    features = np.random.default_rng(0).normal(size=(N, 5)).astype(np.float32)
    options = {
        "attributes": AttributesOptions(top_k=2),
        "kmeans": KMeansOptions(k=3),
        "file": FileOptions(file=str(file)),
        "synthetic": SyntheticOptions(level=2),
    }
    want = {"instance": N, "labels": 4, "hierarchy": 2, "kmeans": 3, "file": 7}
    for name, row in POSITIVES.items():
        clusters = build_clusters(name, Given(KNOWN, features), options.get(name))
        assert len(clusters) == N
        assert clusters.count == want.get(name, clusters.count)
        assert row.name == name
        assert row.summary


def test_what_the_data_lack_is_said() -> None:
    bare = Given(split())
    for name, options in [("labels", None), ("hierarchy", None), ("synthetic", None)]:
        with pytest.raises(UserError, match=r"no labels.*data.labels"):
            build_clusters(name, bare, options)
    with pytest.raises(UserError, match=r"no attributes.*positives.file=attributes.csv"):
        build_clusters("attributes", bare, AttributesOptions(top_k=1))
    with pytest.raises(UserError, match=r"nothing of a tree above its 4 classes"):
        build_clusters("hierarchy", Given(split(labels=LABELS)))
    with pytest.raises(ValueError, match="features"):
        build_clusters("kmeans", bare, KMeansOptions(k=2))


def test_names_and_short_forms() -> None:
    with pytest.raises(UserError, match="Did you mean 'attributes'"):
        find("attribute")
    assert split_spec("hierarchy:tree.csv") == ("hierarchy", {"file": "tree.csv"})
    assert split_spec("labels") == ("labels", {})
    for spec in ("labels:x", "file:"):
        with pytest.raises(UserError, match="behind a colon"):
            split_spec(spec)
    with pytest.raises(ValidationError):
        AttributesOptions(topk=3)  # type: ignore[call-arg]


def test_attributes_from_a_sidecar(tmp_path: Path) -> None:
    file = tmp_path / "attributes.csv"
    file.write_text("index,soft\n" + "".join(f"{i},{i % 2}\n" for i in range(N)))
    options = AttributesOptions(file=str(file), top_k=1)
    clusters = build_clusters("attributes", Given(split()), options)
    np.testing.assert_array_equal(clusters.z, np.arange(N) % 2)


def test_a_hierarchy_from_the_class_paths_of_the_data() -> None:
    nodes = np.array([[0, 1, 3], [0, 1, 4], [0, 2, 5], [0, 2, -1]])[LABELS]
    known = split(labels=LABELS, class_names=list("abcd"), factors={"class_path": nodes})
    tree = tree_of(known)
    assert tree.depth == 3
    clusters = build_clusters("hierarchy", Given(known), HierarchyOptions(level=2))
    np.testing.assert_array_equal(clusters.z, LABELS // 2)


def test_one_cluster_is_refused_and_all_singletons_are_noted() -> None:
    with pytest.raises(UserError, match="no negatives"):
        build_clusters("hierarchy", Given(KNOWN), HierarchyOptions(level=1))
    assert "SimCLR" in build_clusters("instance", Given(KNOWN)).notes[0]


def test_several_clusterings_are_for_pcl() -> None:
    pytest.importorskip("faiss")
    features = np.random.default_rng(0).normal(size=(N, 5)).astype(np.float32)
    several = KMeansOptions(k=[3, 5])
    assert [c.clusters.count for c in build_clusterings(Given(KNOWN, features), several)] == [3, 5]
    with pytest.raises(UserError, match="pcl"):
        build_clusters("kmeans", Given(KNOWN, features), several)
