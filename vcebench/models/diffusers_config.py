"""What folders of the library diffusers say of their networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vcebench.errors import UserError, one_line

SCHEDULER = Path("scheduler", "scheduler_config.json")
"""Where a pipeline's folder describes its noise levels."""


def read_config(path: Path) -> dict[str, Any]:
    """The entries of a configuration. Raises UserError: it cannot be read, or holds none."""
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {one_line(error)}") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is damaged: it holds no entries")
    return config
