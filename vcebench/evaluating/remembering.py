"""What an evaluation found in a chunk of images, kept in the run folder for the next one.

A block is a file `evaluated/KEY.block`: a seal, and the values and float32 features of one chunk as
safetensors. Its key is a digest of everything they follow from: the images and rows of the chunk,
the networks, the protocol, the versions of the code. So nothing ever has to be found out of date;
another question has another key. Only blocks that this user's own evaluations sealed are read, see
`seals`: a run folder from elsewhere is looked at anew, whatever it says was found. Blocks are
written as chunks end: an evaluation that was killed continues with the next chunk.

Runs without digests in their rows and runs of somebody's own task (whose networks are code that has
no digest) are evaluated anew every time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy
import torch

from vcebench.folders import inside
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.seals import sealed, unsealed
from vcebench.metrics.arrays import as_array
from vcebench.metrics.registry import OUTSIDE
from vcebench.models.bundle import Bundle
from vcebench.settings.installed import metric_origins
from vcebench.version import __version__

FOLDER = "evaluated"
_ENDING = ".block"
FORMAT = 2
"""To be raised with every change of what is extracted, or of how."""
SEEN = ("inputs", "counterfactuals", "regions", "truths", "originals")
"""Files of an image that values follow from."""
_NOT_SEEN = frozenset({"prior", "perceptual", "robust", "bridge", "autoencoder", "lpips"})
"""Networks that make images, or compare those of several seeds: no value of a block is theirs. A
run and its evaluations load different ones of them."""

Array = npt.NDArray[Any]


class Memory:
    """Blocks of one run, for one set of networks.

    Args:
        folder: the run.
        bundle: the networks, on `device`.
        cue: the planted attribute whose progress is measured too; None without one.
    """

    def __init__(
        self, folder: RunFolder, bundle: Bundle, device: torch.device, cue: str | None = None
    ) -> None:
        self._folder = folder
        config = folder.config()
        # A metric that was defined in a notebook has no digest either.
        self._able = config.custom is None and OUTSIDE.keys() <= metric_origins().keys()
        self._about = {
            "format": FORMAT,
            "protocol": folder.manifest()["protocol"],
            "versions": [__version__, torch.__version__],
            "device": device.type,
            "run": [config.dataset, config.task, config.split, config.image_format],
            "cue": cue,
            "networks": {r: h for r, h in sorted(bundle.hashes.items()) if r not in _NOT_SEEN},
        }
        if origins := metric_origins():
            self._about["outside"] = {id: plugin.sha256 for id, plugin in sorted(origins.items())}

    def recall(self, rows: Sequence[Row]) -> dict[str, Array] | None:
        """What was found in these rows; None if nobody here has looked, or the block is damaged.

        Raises DamagedFileError if the images are not those any more that their rows tell of.
        """
        key = self._key(rows)
        if key is None:
            return None
        try:
            content = unsealed(key, inside.read(self._folder.path, _name(key)))
            if content is None:
                return None
            found = safetensors.numpy.load(content)
        except (OSError, ValueError, KeyError, safetensors.SafetensorError):
            return None
        if not all(len(array) == len(rows) for array in found.values() if array.ndim):
            return None
        for row in rows:
            for kind in SEEN:
                if self._folder.has(kind, row):
                    self._folder.content(kind, row)
        return found

    def keep(self, rows: Sequence[Row], found: Mapping[str, Array]) -> None:
        """Remember what was found in these rows; not where the folder cannot be written."""
        key = self._key(rows)
        if key is None:
            return
        arrays = {name: np.ascontiguousarray(as_array(array)) for name, array in found.items()}
        content = sealed(key, safetensors.numpy.save(arrays))
        if content is None:
            return
        with suppress(OSError):
            inside.write(self._folder.path, _name(key), content)

    def _key(self, rows: Sequence[Row]) -> str | None:
        if not self._able or any(r.input_sha256 is None or r.files_sha256 is None for r in rows):
            return None
        told = [
            [
                [r.id, r.index, r.label, r.source, r.target, r.input_sha256],
                {kind: (r.files_sha256 or {}).get(kind) for kind in SEEN},
            ]
            for r in rows
        ]
        text = json.dumps([self._about, told], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _name(key: str) -> str:
    return f"{FOLDER}/{key}{_ENDING}"


def forget(folder: RunFolder) -> int:
    """Remove all blocks of a run, whoever made them; returns their number."""
    names = _names(folder)
    for name in names:
        inside.remove(folder.path, f"{FOLDER}/{name}")
    return len(names)


def size(folder: RunFolder) -> int:
    """Bytes of all blocks of a run, whoever made them."""
    place = folder.path / FOLDER
    return sum((place / name).lstat().st_size for name in _names(folder))


def _names(folder: RunFolder) -> list[str]:
    endings = (_ENDING, ".safetensors")  # an earlier form, without seals
    return [name for name in inside.names(folder.path, FOLDER) if name.endswith(endings)]
