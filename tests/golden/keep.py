"""Make the selection that is kept here from the whole set: python tests/golden/keep.py FOLDER

Kept of the objectives named first: every case whose arrays are small; of the later ones two cases
of each kind, the smallest and a larger one, a kind being a variant or other inputs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

OBJECTIVES = [
    *("nt_xent", "info_nce", "moco_queue", "queue_update", "supcon", "byol_simsiam"),
    *("ema", "schedules", "knn", "knn_majority"),
]
LARGEST = 10_500  # bytes of a case
LATER = [
    *("barlow_twins", "vicreg", "carl", "carl_lambda_schedule", "sinkhorn", "swav", "dino"),
    *("cl_infonce", "pcl_protonce", "pcl_concentration", "infocl", "color"),
    *("instance_discrimination", "memory_bank_update", "cmc_nce"),
    *("local_aggregation", "vince_family"),
]


def two_of_each_kind(cases: list[dict[str, Any]], size: dict[str, int]) -> list[str]:
    kinds: dict[Any, list[str]] = {}
    for case in sorted(cases, key=lambda c: size[c["id"]]):
        kind = case["params"].get("variant"), len(case["inputs"])
        kinds.setdefault(kind, []).append(case["id"])
    return [name for names in kinds.values() for name in {names[0], names[len(names) // 3]}]


def main(source: Path, target: Path) -> None:
    index = json.loads((source / "index.json").read_text())
    index["objectives"] = [
        o for o in index["objectives"] if Path(o["file"]).stem in OBJECTIVES + LATER
    ]
    for objective in index["objectives"]:
        arrays = dict(np.load(source / objective["file"]))
        size: dict[str, int] = {}
        for key, array in arrays.items():
            name = key.split("/")[0]
            size[name] = size.get(name, 0) + array.nbytes
        if Path(objective["file"]).stem in LATER:
            kept = set(two_of_each_kind(objective["cases"], size))
        else:
            kept = {name for name, count in size.items() if count <= LARGEST}
        objective["cases"] = [c for c in objective["cases"] if c["id"] in kept]
        np.savez_compressed(
            target / objective["file"],
            **{key: array for key, array in arrays.items() if key.split("/")[0] in kept},
        )
        print(f"{objective['file']}: {len(kept)} of {len(size)} cases")
    (target / "index.json").write_text(json.dumps(index) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent)
