"""Memory of an attack iteration of ACE beside that of one differentiated evaluation.

CelebA's networks at their full size, one random image, on a CPU; each in a process of its own:

    python -m benchmarks.attack_memory               both, and their ratio
    python -m benchmarks.attack_memory evaluation|iteration

Counted is the peak of the resident memory less what is resident after the networks are loaded.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.fullsize import SIDE, SMILE
from benchmarks.peak import peak_since_reset, reset_peak
from vcebench.methods.ace import ACEAttack
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import linear_schedule
from vcebench.models.classifier import BinaryClassifier
from vcebench.models.densenet import DenseNetClassifier
from vcebench.models.guided_diffusion import config_from_flags
from vcebench.models.published import PRIOR_FLAGS
from vcebench.models.unet import UNet

ROOT = Path(__file__).resolve().parents[1]
GOAL = 1.3


def resident() -> float:
    """Resident memory of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1]) / 1024
    raise RuntimeError("this system does not say how much memory a process has")


def main(what: str) -> None:
    """Make one evaluation or one iteration, and print what it took in MiB."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    unet = UNet(config_from_flags(PRIOR_FLAGS["celeba-prior"])[0]).eval().requires_grad_(False)
    network = DenseNetClassifier(40).eval().requires_grad_(False)
    prior = Prior(unet, linear_schedule(500, 50))
    x = torch.rand(1, 3, SIDE, SIDE) * 2 - 1
    reset_peak()
    before = resident()
    if what == "evaluation":
        z = x.clone().requires_grad_()
        torch.autograd.grad(prior.evaluate(z, 4).square().sum(), z)
    else:
        guidance = Guidance(
            BinaryClassifier(network, index=SMILE), torch.ones(1), lambda_perceptual=0
        )
        noise = KeyedNoise(0, "random", ["0"], (3, SIDE, SIDE))
        method = ACEAttack(iterations=1)
        target = torch.ones(1, dtype=torch.int64)
        method.explain(x, target, prior=prior, guidance=guidance, noise=noise)
    print(peak_since_reset() - before)


def measured(what: str) -> float:
    """What a process of its own took, in MiB."""
    line = [sys.executable, "-m", "benchmarks.attack_memory", what]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        evaluation, iteration = measured("evaluation"), measured("iteration")
        print(f"one differentiated evaluation: {evaluation:.0f} MiB")
        print(f"one attack iteration, τ 5: {iteration:.0f} MiB")
        print(f"ratio: {iteration / evaluation:.3f} (goal: at most {GOAL})")
