"""Making again what is missing, damaged or exchanged in a run folder, and nothing else."""

from __future__ import annotations

from vcebench.folders.store import RunStore


def take_back(store: RunStore) -> list[str]:
    """Take back what is damaged; what will be made again, as lines."""
    lines = [f"{error.name} {error.reason}; its copy is put back" for error in store.copied]
    lines += [
        f"{error.name} {error.reason}; it is set aside as {error.name}.damaged, and its images are "
        "made again"
        for error in store.set_aside
    ]
    if found := store.take_back():
        lines.append(
            f"{len(found)} files of {len(store.damaged)} images are missing, damaged or exchanged "
            f"(such as {found[0].name}, which {found[0].reason}); these images are made again"
        )
    return lines


def outcome(store: RunStore) -> list[str]:
    """What became of images that were made again."""
    lines = []
    if store.restored:
        lines.append(f"{store.restored} images were made again, byte for byte")
    if store.changed:
        lines.append(
            f"{store.changed} images came out with other bytes than before, as another machine, "
            "version or batch size makes them; their rows are new"
        )
    return lines


def traced_before(store: RunStore) -> set[int]:
    """Positions of the damaged images whose steps were kept, so that they are kept again."""
    rows = store.damaged.values()
    return {row.index for row in rows if "trace" in (row.files_sha256 or {})}
