"""What a run cost and where it ran."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from pathlib import Path

import numpy
import torch

from vcebench.version import __version__

_PACKAGE = Path(__file__).resolve().parents[1]


def reset_peak_memory(device: torch.device) -> None:
    """Start counting anew, where that is possible (resident memory of a process never falls)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> tuple[float, str]:
    """Peak memory in MiB, and what was counted.

    On CUDA the largest allocation of PyTorch; on a CPU the largest resident memory of the process
    since it started, libraries included.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20, "max_memory_allocated"
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return peak / 2**20, "resident memory of the process"


def device_name(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Versions that can change a result."""
    return {
        "vcebench": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
    }


def git_commit() -> str | None:
    """Commit of the checkout this package is imported from, with "+changes"; None outside one."""
    try:
        commit = _git("rev-parse", "HEAD")
        tracked = _git("ls-files", "--error-unmatch", str(Path(__file__).resolve()))
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+changes" if changed else "") if tracked else None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_PACKAGE), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
