"""How long ``viewfinder --help`` takes: python benchmarks/startup.py (at most 0.5 s)

Printed beside a bare start of Python, the least that any command written in it can take.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time


def seconds(*command: str) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    help_command = (sys.executable, "-m", "viewfinder.commands.main", "--help")
    bare = [sys.executable, "-c", "pass"]
    pairs = [(seconds(*help_command), seconds(*bare)) for _ in range(11)][1:]
    shown, start = (statistics.median(p[i] for p in pairs) for i in (0, 1))
    print(
        f"--help {shown:.3f} s, bare Python {start:.3f} s, ratio {shown / start:.1f}; limit 0.5 s"
    )


if __name__ == "__main__":
    main()
