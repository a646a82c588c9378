"""What tests make up where any run's would do."""

from __future__ import annotations

from typing import Any

from vcebench.folders.rows import Row


def made_up_row(index: int = 0, **changes: Any) -> Row:
    """A row of an image that was explained with its first try."""
    values: dict[str, Any] = {
        "id": f"i{index}",
        "index": index,
        "status": "ok",
        "label": 0,
        "prediction": 0,
        "source": 0,
        "target": 1,
        "correct": True,
        "flipped": True,
        "flipped_float": True,
        "top1": True,
        "lambda_class": 8.0,
        "tries": 1,
        "nfe": 3,
        "seconds": 0.5,
        "margin_input": -1.0,
        "margin": 1.0,
        "target_probability_input": 0.25,
        "target_probability": 0.75,
    }
    return Row(**{**values, **changes})
