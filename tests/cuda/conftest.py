"""What needs a GPU; skipped where there is none."""

from __future__ import annotations

import pytest
import torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if "tests/cuda" in item.path.as_posix():
            item.add_marker(pytest.mark.skip(reason="PyTorch finds no CUDA device here"))


@pytest.fixture
def cuda() -> torch.device:
    return torch.device("cuda")
