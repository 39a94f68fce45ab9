"""Make the selection that is kept here from the whole set: python tests/golden/keep.py FOLDER

Kept of the objectives named below: every case whose arrays are small.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

OBJECTIVES = [
    *("nt_xent", "info_nce", "moco_queue", "queue_update", "supcon", "byol_simsiam"),
    *("ema", "schedules", "knn", "knn_majority"),
]
LARGEST = 10_500  # bytes of a case


def main(source: Path, target: Path) -> None:
    index = json.loads((source / "index.json").read_text())
    index["objectives"] = [o for o in index["objectives"] if Path(o["file"]).stem in OBJECTIVES]
    for objective in index["objectives"]:
        arrays = dict(np.load(source / objective["file"]))
        size: dict[str, int] = {}
        for key, array in arrays.items():
            name = key.split("/")[0]
            size[name] = size.get(name, 0) + array.nbytes
        objective["cases"] = [c for c in objective["cases"] if size[c["id"]] <= LARGEST]
        kept = {case["id"] for case in objective["cases"]}
        np.savez_compressed(
            target / objective["file"],
            **{key: array for key, array in arrays.items() if key.split("/")[0] in kept},
        )
        print(f"{objective['file']}: {len(kept)} of {len(size)} cases")
    (target / "index.json").write_text(json.dumps(index) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent)
