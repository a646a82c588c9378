"""Stand-ins for what cannot ship: trees in the publishers' layouts, weights of the right shapes.

The pictures are synthetic faces; the weights are random. Nothing here measures anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from vcebench.data.celeba_attributes import ATTRIBUTES
from vcebench.data.imagenet import SYNSETS
from vcebench.data.synthfaces.dataset import SynthFaces
from vcebench.weights.cards import CARDS


def state_like(id: str, seed: int = 0) -> dict[str, Tensor]:
    """Exactly the tensors of a checkpoint: small random values, variances 1, counters 0.

    One random block is repeated, which is fast at half a gigabyte.
    """
    block = 0.03 * torch.randn(4999, generator=torch.Generator().manual_seed(seed))
    state = {}
    for key, shape in CARDS[id].shapes().items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.zeros(shape, dtype=torch.int64)
        elif key.endswith("running_var"):
            state[key] = torch.ones(shape)
        else:
            n = prod(shape)
            state[key] = block.repeat(n // len(block) + 1)[:n].view(shape).clone()
    return state


@pytest.fixture(scope="session")
def published_state() -> Callable[..., dict[str, Tensor]]:
    return state_like


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the data, weights or index cache of whoever runs it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("VCEBENCH_DATA", raising=False)
    monkeypatch.delenv("VCEBENCH_WEIGHTS", raising=False)


@lru_cache
def face(index: int) -> Image.Image:
    """A synthetic face, 64x64."""
    pixels = SynthFaces("smile", "test")[index].image.permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels))


def draw(index: int, width: int, height: int) -> Image.Image:
    """A synthetic face, stretched to the size wanted."""
    return face(index).resize((width, height))


@lru_cache
def attribute_values(index: int) -> dict[str, int]:
    """CelebA's attributes of a synthetic face, 1 or -1; those it does not know are -1."""
    faces = SynthFaces("smile", "test")
    known = dict(zip(faces.attribute_names, faces.attributes([index])[0], strict=True))
    return {name: 1 if known.get(name, False) else -1 for name in ATTRIBUTES}


def attribute_text(files: Iterable[str], form: str = "txt") -> str:
    rows = [(file, attribute_values(index)) for index, file in enumerate(files)]
    if form == "csv":
        lines = [",".join(["image_id", *ATTRIBUTES])]
        lines += [",".join([file, *map(str, values.values())]) for file, values in rows]
    else:
        lines = [str(len(rows)), " ".join(ATTRIBUTES) + " "]
        lines += [" ".join([file, *(f"{v:2d}" for v in values.values())]) for file, values in rows]
    return "\n".join(lines) + "\n"


CELEBA_FILES = {"162771.jpg": 1, "162772.jpg": 1, "000001.jpg": 0, "000002.jpg": 0, "182638.jpg": 2}


@pytest.fixture
def celeba_tree(tmp_path: Path) -> Callable[..., Path]:
    """celeba_tree("txt" or "csv", nested=False) → data root with five images, two of them in val"""

    def make(form: str = "txt", nested: bool = False) -> Path:
        base = tmp_path / "data" / "celeba"
        images = base / "img_align_celeba"
        images = images / "img_align_celeba" if nested else images
        images.mkdir(parents=True)
        for index, name in enumerate(CELEBA_FILES):
            draw(index, 178, 218).save(images / name)
        (base / f"list_attr_celeba.{form}").write_text(attribute_text(CELEBA_FILES, form))
        head, gap = ("image_id,partition\n", ",") if form == "csv" else ("", " ")
        rows = "".join(f"{file}{gap}{split}\n" for file, split in CELEBA_FILES.items())
        (base / f"list_eval_partition.{form}").write_text(head + rows)
        return tmp_path / "data"

    return make


@pytest.fixture
def celebahq_tree(tmp_path: Path) -> Path:
    """CelebAMask-HQ with three images: one of train, val and test each."""
    base = tmp_path / "data" / "CelebAMask-HQ"
    (base / "CelebA-HQ-img").mkdir(parents=True)
    originals = {"0.jpg": 119_613, "1.jpg": 162_771, "2.jpg": 182_638}
    for index, name in enumerate(originals):
        draw(index, 1024, 1024).save(base / "CelebA-HQ-img" / name)
    (base / "CelebAMask-HQ-attribute-anno.txt").write_text(attribute_text(originals))
    rows = [
        f"{i:<12}{number - 1:<12}{number:06d}.jpg" for i, number in enumerate(originals.values())
    ]
    head = "idx         orig_idx    orig_file"
    (base / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join([head, *rows]) + "\n")
    return tmp_path / "data"


@pytest.fixture
def bdd_tree(tmp_path: Path) -> Path:
    """BDD100K with two frames, BDD-OIA with three, of which one confused its annotators."""
    root = tmp_path / "data"
    frames = root / "bdd100k" / "images" / "100k" / "val"
    frames.mkdir(parents=True)
    for index, name in enumerate(("b1c66a42-6f7d68ca.jpg", "b1c81faa-3df17267.jpg")):
        draw(index, 1280, 720).save(frames / name)
    base = root / "bddoia" / "lastframe"
    (base / "data").mkdir(parents=True)
    actions = {"b.jpg": [0, 1, 0, 0], "a.jpg": [1, 0, 0, 0], "c.jpg": [0, 0, 0, 0, 1]}
    for index, name in enumerate(actions):
        draw(index, 1280, 720).save(base / "data" / name)
    content = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(actions)],
        "annotations": [
            {"id": 9 - i, "image_id": i, "category": category}
            for i, category in enumerate(actions.values())
        ],
    }
    (base / "val_25k_images_actions.json").write_text(json.dumps(content))
    return root


@pytest.fixture
def imagenet_tree(tmp_path: Path) -> Path:
    """Two images of each of the six classes, of different sizes, one of them grey."""
    root = tmp_path / "data"
    for index, synset in enumerate(SYNSETS.values()):
        folder = root / "imagenet" / "train" / synset
        folder.mkdir(parents=True)
        draw(index, 500, 375).save(folder / f"{synset}_2.JPEG")
        draw(index, 200, 333).convert("L").save(folder / f"{synset}_10.JPEG")
    return root


@pytest.fixture
def golden() -> tuple[dict[str, object], dict[str, Tensor], dict[str, Tensor]]:
    """The tiny golden U-Net: its flags, its weights, inputs with expected output."""
    folder = Path(__file__).parents[1] / "parity" / "golden" / "trajectories"
    described = json.loads((folder / "arch.json").read_text())["unet"]
    side = described["image_size"][0]
    same = ("num_res_blocks", "num_heads", "use_scale_shift_norm", "resblock_updown", "learn_sigma")
    flags = {name: described[name] for name in same} | {
        "image_size": side,
        "num_channels": described["model_channels"],
        "channel_mult": ",".join(map(str, described["channel_mult"])),
        "attention_resolutions": ",".join(
            str(side // factor) for factor in described["attention_downsample_factors"]
        ),
        "diffusion_steps": 500,
    }
    state = {k: v.float() for k, v in load_file(folder / "unet.safetensors").items()}
    check = {k: v.float() for k, v in load_file(folder / "forward_check.safetensors").items()}
    return flags, state, check
