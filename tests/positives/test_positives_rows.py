"""What single rows of positives make of what they are given, and how the contract is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as examples
from hypothesis import strategies as st
from known_images import split as known_images
from pydantic import ValidationError

from viewfinder.core.errors import UserError
from viewfinder.core.table import Options
from viewfinder.data.source import Split
from viewfinder.positives.assignment import Assignment, dense
from viewfinder.positives.attributes import AttributesOptions
from viewfinder.positives.contract import Given, Positives, RefreshedOptions
from viewfinder.positives.hierarchy import tree_of
from viewfinder.positives.kmeans import KMeansOptions
from viewfinder.positives.table import POSITIVES

N = 60
LABELS = np.arange(N) % 4


def split(**known: Any) -> Split:
    bare = {"labels": None, "class_names": None, "attributes": None}
    return replace(known_images(N), **{**bare, **known})


KNOWN = split(labels=LABELS, class_names=["Greek/alpha", "Greek/beta", "Latin/a", "Latin/b"])


def z_of(name: str, given: Split, **options: Any) -> np.ndarray:
    row = POSITIVES[name]
    return row.assign(row.options(**options), Given(given)).clusters


def test_labels_are_clusters_and_a_tree_joins_them() -> None:
    np.testing.assert_array_equal(z_of("labels", KNOWN), LABELS)
    np.testing.assert_array_equal(z_of("hierarchy", KNOWN, level=2), LABELS // 2)


def test_a_hierarchy_from_the_class_paths_of_the_data() -> None:
    nodes = np.array([[0, 1, 3], [0, 1, 4], [0, 2, 5], [0, 2, -1]])[LABELS]
    known = split(labels=LABELS, class_names=list("abcd"), factors={"class_path": nodes})
    assert tree_of(known).depth == 3
    np.testing.assert_array_equal(z_of("hierarchy", known, level=2), LABELS // 2)


def test_attributes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "attributes.csv"
    file.write_text("index,soft\n" + "".join(f"{i},{i % 2}\n" for i in range(N)))
    np.testing.assert_array_equal(
        z_of("attributes", split(), file=str(file), top_k=1), np.arange(N) % 2
    )


def test_the_short_form_names_a_file() -> None:
    with pytest.raises(UserError, match="Did you mean 'attributes'"):
        POSITIVES.find("attribute")
    assert POSITIVES.parse("hierarchy:tree.csv") == ("hierarchy", {"file": "tree.csv"})
    assert POSITIVES.parse("labels") == ("labels", {})
    for words in ("labels:x", "file:"):
        with pytest.raises(UserError, match="behind a colon"):
            POSITIVES.parse(words)
    with pytest.raises(ValidationError):
        AttributesOptions(topk=3)  # type: ignore[call-arg]


def test_one_cluster_is_refused_and_all_singletons_are_noted() -> None:
    with pytest.raises(UserError, match=r"one cluster.*no negatives"):
        z_of("hierarchy", KNOWN, level=1)
    alone = split(labels=np.arange(N))
    row = POSITIVES["labels"]
    assert "SimCLR" in row.assign(row.options(), Given(alone)).notes[0]
    assert row.assign(row.options(), Given(KNOWN)).notes == ()


def test_more_clusters_than_images_are_refused_with_what_fits() -> None:
    row = POSITIVES["kmeans"]
    for k, fix in ((1000, "positives.k=6"), ([61, 20], r"positives.k=\[20\]")):
        with pytest.raises(UserError, match=f"only 60 images. Try: {fix}$"):
            row.check(KMeansOptions(k=k), KNOWN)
    row.check(KMeansOptions(k=60), KNOWN)


def test_several_clusterings_have_their_centroids() -> None:
    pytest.importorskip("faiss")
    features = np.random.default_rng(0).normal(size=(N, 5)).astype(np.float32)
    row, several = POSITIVES["kmeans"], KMeansOptions(k=[3, 5])
    made = row.assign(several, Given(KNOWN, features, kind="clusterings"))
    assert row.sizes(several) == (3, 5)
    assert made.z is not None
    for m, (centroids, k) in enumerate(zip(made.centroids, (3, 5), strict=True)):
        assert centroids.vectors.shape == (k, 5)
        square = ((features[:, None] - centroids.vectors[None]) ** 2).sum(-1)
        np.testing.assert_array_equal(square.argmin(1), made.z[:, m])


@examples(every=st.integers(1, 9), start=st.integers(0, 20), epoch=st.integers(0, 60))
def test_clusters_are_due_every_so_many_epochs_after_the_start(
    every: int, start: int, epoch: int
) -> None:
    options = RefreshedOptions(every=every, start=start)
    assert options.due(epoch) == (epoch in range(start, 100, every))


def test_the_first_form_that_is_accepted_is_taken() -> None:
    row = POSITIVES["kmeans"]
    assert row.gives == ("clusterings", "clusters")
    assert row.kind(("instance", "clusterings", "clusters")) == "clusterings"
    assert row.kind(("instance", "clusters")) == "clusters"
    assert row.kind(("clusterings",)) == "clusterings"
    assert row.kind(("instance", "tags")) is None


def own(build: Any, **facts: Any) -> Positives:
    return Positives(name="own", summary="", build=lambda options, given: build, **facts)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (Assignment(), "made z None"),
        (Assignment(np.arange(N) % 2 == 0), r"made z bool \(60,\)"),
        (Assignment(np.arange(N, dtype=np.int32)), "int32"),
        (Assignment(np.zeros((N, 2), np.int64)), r"\(60, 2\)"),
        (Assignment(np.arange(N) * 2), "not dense"),
        (Assignment(np.arange(N) - 1), "not dense"),
        (Assignment(np.arange(N), keep=np.arange(N)), "keep int64"),
    ],
)
def test_a_row_that_breaks_its_contract_is_named(made: Assignment, says: str) -> None:
    with pytest.raises(ValueError, match=rf"positives own .*{says}"):
        own(made).assign(Options(), Given(KNOWN))


def test_an_assignment_of_other_images_is_refused() -> None:
    with pytest.raises(UserError, match="3 entries and there are 60 images"):
        own(Assignment(np.array([0, 1, 1]))).assign(Options(), Given(KNOWN))
    short = own(Assignment(tags=np.ones((3, 2), bool)), gives=("tags",))
    with pytest.raises(UserError, match="3 entries and there are 60 images"):
        short.assign(Options(), Given(KNOWN, kind="tags"))
    with pytest.raises(ValueError, match="do not give clusters, only tags"):
        short.assign(Options(), Given(KNOWN))


def test_images_that_are_left_out_do_not_count() -> None:
    keep = np.arange(N) < 30
    made = Assignment(np.where(keep, 0, 1), keep=keep)
    with pytest.raises(UserError, match="all 30 images are in one cluster"):
        own(made).assign(Options(), Given(KNOWN))
    np.testing.assert_array_equal(made.rows, np.arange(30))
    assert Assignment(LABELS).rows is None


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"needs": ("features",)}, "RefreshedOptions"),
        ({"needs": ("features",), "options": RefreshedOptions, "gives": ("tags",)}, "made anew"),
        ({"gives": ("clusterings",)}, "sized_by"),
    ],
)
def test_declarations_that_contradict_each_other_are_refused(facts: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        own(Assignment(), **facts)


def test_dense_numbers_values_in_their_order() -> None:
    assert dense([2**40, -1, 2**40]).tolist() == [1, 0, 1]
    assert Assignment(dense(np.array(["b", "a"]))).count == 2
    for wrong in ([], np.zeros((2, 2))):
        with pytest.raises(ValueError, match="N >= 1"):
            dense(wrong)
    with pytest.raises(ValueError, match="one cluster for each datum"):
        _ = Assignment(tags=np.ones((2, 2), bool)).clusters
