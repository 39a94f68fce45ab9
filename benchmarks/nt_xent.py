"""NT-Xent by blocks against the dense form: time, peak memory, and the same gradients.

    python benchmarks/nt_xent.py [--samples 8192] [--dim 128] [--rounds 5] [--device cpu]

Dense: the matrix of all similarities, the diagonal masked, cross entropy; as it is usually written.
Forward and backward of both are timed in turn in one process, medians compared; the peak memory is
that of a process of its own each (on a GPU that of the allocator). Limits: at most 1/8 of the dense
form's memory and 1.3 times its time.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from viewfinder.objectives import nt_xent

TEMPERATURE = 0.5


def dense(z0: Tensor, z1: Tensor) -> Tensor:
    z = F.normalize(torch.cat([z0, z1]), dim=1)
    similarities = z @ z.T / TEMPERATURE
    similarities.fill_diagonal_(float("-inf"))
    positives = torch.arange(len(z), device=z.device).roll(len(z0))
    return F.cross_entropy(similarities, positives)


def by_blocks(z0: Tensor, z1: Tensor) -> Tensor:
    return nt_xent(z0, z1, TEMPERATURE)


FORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"dense": dense, "blocks": by_blocks}


def views(arguments: argparse.Namespace) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (arguments.samples, arguments.dim)
    return [
        torch.randn(shape, generator=generator).to(arguments.device).requires_grad_()
        for _ in range(2)
    ]


def timed(form: str, z: list[Tensor]) -> tuple[float, list[Tensor]]:
    """Seconds of forward and backward, and the loss with both gradients."""
    wait = torch.cuda.synchronize if z[0].is_cuda else lambda: None
    wait()
    begun = time.perf_counter()
    loss = FORMS[form](*z)
    gradients = torch.autograd.grad(loss, z)
    wait()
    return time.perf_counter() - begun, [loss.detach(), *gradients]


def peak(form: str, arguments: argparse.Namespace) -> int:
    """Bytes that forward and backward of one form need beyond what is there before."""
    z = views(arguments)
    if z[0].is_cuda:
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        timed(form, z)
        return torch.cuda.max_memory_allocated() - before
    small = [x[:64].detach().requires_grad_() for x in z]
    timed(form, small)  # the libraries' own buffers
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    timed(form, z)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def peak_of_own_process(form: str, arguments: argparse.Namespace) -> int:
    command = [sys.executable, str(Path(__file__).resolve()), "--peak-of", form]
    for name in ("samples", "dim", "device"):
        command += [f"--{name}", str(getattr(arguments, name))]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=8192)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--peak-of", choices=FORMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak_of:
        print(peak(arguments.peak_of, arguments))
        return 0

    memory = {form: peak_of_own_process(form, arguments) for form in FORMS}
    z, seconds = views(arguments), {form: [] for form in FORMS}
    results = {}
    for round_ in range(arguments.rounds + 1):
        for form in FORMS:
            took, results[form] = timed(form, z)
            if round_:  # the first is a warm-up
                seconds[form].append(took)
    typical = {form: statistics.median(seconds[form]) for form in FORMS}
    off = [
        float((ours - theirs).abs().max() / theirs.abs().max())
        for ours, theirs in zip(results["blocks"], results["dense"], strict=True)
    ]
    size = f"2 x {arguments.samples} x {arguments.dim}, float32, {arguments.device}"
    print(f"NT-Xent forward and backward, {size}, {torch.get_num_threads()} threads")
    for form in FORMS:
        print(f"  {form:6}  {typical[form]:8.3f} s   {memory[form] / 2**20:8.0f} MiB at the peak")
    time_ratio = typical["blocks"] / typical["dense"]
    memory_ratio = memory["blocks"] / memory["dense"]
    print(f"  time    {time_ratio:.2f} of the dense form's (limit 1.3)")
    print(f"  memory  {memory_ratio:.4f} of the dense form's (limit 0.125)")
    print(f"  largest relative difference: loss {off[0]:.1e}, gradients {max(off[1:]):.1e}")
    return int(time_ratio > 1.3 or memory_ratio > 1 / 8 or max(off) > 1e-4)


if __name__ == "__main__":
    sys.exit(main())
