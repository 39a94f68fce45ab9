from __future__ import annotations

import csv
import lzma
import os
from pathlib import Path

import numpy as np
import pytest

from viewfinder.core.errors import UserError
from viewfinder.information.discrete import information
from viewfinder.positives.synthetic import configurations, synthetic

DATA = os.environ.get("VIEWFINDER_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="VIEWFINDER_DATA is not set")

LABELS = np.random.default_rng(0).choice(5, 300, p=[0.4, 0.3, 0.2, 0.07, 0.03]) * 10 - 7


def released(name: str) -> dict[str, np.ndarray]:
    file = f"UT-zappos50K_synthetic_meta_data_train_{name}.csv.xz"
    with lzma.open(Path(str(DATA)) / "tables" / "cl_infonce" / file, "rt", newline="") as stream:
        header, *rows = list(csv.reader(stream))
    return {
        column: np.array([int(row[i]) for row in rows[:-1]])  # the last row is a summary
        for i, column in enumerate(header)
        if column == "class" or column.startswith("label_gran")
    }


@needs_data
def test_released_columns_of_fix_conditional() -> None:
    columns = released("bran_2_hirc_rand_fixh")
    for level in range(6):
        z = synthetic(columns["class"], "fix_conditional", level).z
        np.testing.assert_array_equal(z, columns[f"label_gran_{level}"])


@needs_data
def test_released_columns_of_fix_information() -> None:
    columns = released("bran_2_hirc_rand")
    for level in range(15):  # the released names count the other way
        z = synthetic(columns["class"], "fix_information", level).z
        np.testing.assert_array_equal(z, columns[f"label_gran_{14 - level}"])
    found = list(configurations(columns["class"]))
    assert len(found) == 336
    assert [c.family for c in found].count("fix_entropy") == 315


def test_fix_conditional_keeps_all_data_of_a_class_together() -> None:
    found = [information(synthetic(LABELS, "fix_conditional", m).z, LABELS) for m in range(4)]
    assert [i.clusters for i in found] == [5, 3, 2, 1]
    assert all(i.h_z_given_t == 0 for i in found)
    assert found[0].h_t_given_z == 0


def test_fix_information_knows_the_labels() -> None:
    counts = np.unique(LABELS, return_counts=True)[1]
    for level in range(8):
        i = information(synthetic(LABELS, "fix_information", level).z, LABELS)
        assert i.h_t_given_z == 0
        assert i.clusters == sum(-(-c // 2**level) for c in counts)
    assert information(synthetic(LABELS, "fix_information", 0).z, LABELS).clusters == len(LABELS)


def test_fix_entropy_shuffles_within_the_first_classes_only() -> None:
    plain = synthetic(LABELS, "fix_information", 3).z
    before: np.ndarray = np.zeros(len(LABELS), bool)
    gains = []
    for shuffled in range(6):
        z = synthetic(LABELS, "fix_entropy", 3, shuffled=shuffled).z
        np.testing.assert_array_equal(np.bincount(z), np.bincount(plain))
        moved = np.isin(LABELS, LABELS[z != plain])
        assert len(set(LABELS[moved])) <= shuffled
        assert (moved | ~before).all()
        before = moved
        gains.append(information(z, LABELS).i)
    assert gains[0] == pytest.approx(information(LABELS, LABELS).h_t)
    assert gains[5] < 0.6 * gains[0]


def test_configurations_can_all_be_made() -> None:
    found = list(configurations(LABELS))
    assert len(found) == len(set(found)) == 4 + 8 + 8 * 5
    for c in found:
        made = synthetic(LABELS, c.family, c.level, shuffled=c.shuffled)
        assert made.clusters.shape == LABELS.shape


def test_seeds_differ_and_repeat() -> None:
    one = synthetic(LABELS, "fix_information", 2, seed=1).z
    assert (one == synthetic(LABELS, "fix_information", 2, seed=1).z).all()
    assert (one != synthetic(LABELS, "fix_information", 2, seed=2).z).any()


def test_refused() -> None:
    with pytest.raises(UserError, match="levels 0 to 3"):
        synthetic(LABELS, "fix_conditional", 4)
    with pytest.raises(UserError, match="fix_entropy takes 0 to 5"):
        synthetic(LABELS, "fix_entropy", 0, shuffled=6)
    with pytest.raises(UserError, match="others none"):
        synthetic(LABELS, "fix_information", 0, shuffled=1)
