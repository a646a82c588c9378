"""Some images of many."""

from __future__ import annotations


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` indices, evenly spread over 0 … count-1."""
    if count <= wanted:
        return list(range(count))
    return [i * (count - 1) // max(1, wanted - 1) for i in range(wanted)]
