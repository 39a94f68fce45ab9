"""The estimator against others' on the same samples: python benchmarks/information.py GOLDEN

GOLDEN is the folder of mi_golden.npz and mi_golden.json, which has samples, the known information,
and times and values of benchmark-mi and torch-mist, each for one seed on a busy machine of two
cores. Ours: three seeds and no control, in processor time of one thread. Shown are the distance
from the known value, and our time for one seed as a ratio of the peer's. Limits: 0.02, 0.02, 0.05
and 0.10 nats, 20 seconds a task, and less time than either peer's InfoNCE for one seed each.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from viewfinder import mutual_information

LIMITS = {
    "1v1-normal-0.75": 0.02,
    "multinormal-dense-5-5-0.5": 0.02,
    "multinormal-sparse-5-5-2-2.0": 0.05,
    "student-identity-5-5-2": 0.10,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("golden", type=Path)
    folder = parser.parse_args().golden
    torch.set_num_threads(1)
    arrays = np.load(folder / "mi_golden.npz", allow_pickle=False)
    about = json.loads((folder / "mi_golden.json").read_text())
    peers = [*about["reference_runs"], *about["reference_runs_torch_mist"]]
    for task, limit in LIMITS.items():
        known = about["continuous"][task]["mi_nats"]
        begun = time.process_time()
        found = mutual_information(arrays[f"c/{task}/x"], arrays[f"c/{task}/y"], shuffled=False)
        seconds = time.process_time() - begun
        error = found.value - known
        good = abs(error) < limit and seconds < 20
        print(f"{task}: error {error:+.4f}, {seconds:.1f} s {'' if good else 'MISSED'}")
        for peer in peers:
            if peer["task"] == task and peer["est"].lower() == "infonce":
                ratio = seconds / found.protocol["seeds"] / peer["sec"]
                missed = "MISSED" if ratio > 1 else ""
                print(
                    f"  {peer['lib']}: error {peer['est_mi'] - known:+.4f}, {peer['sec']:.1f} s; "
                    f"ours for one seed is {ratio:.2f} of it {missed}"
                )


if __name__ == "__main__":
    main()
