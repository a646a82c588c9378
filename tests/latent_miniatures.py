"""Miniature latent diffusion models as people have them: folders of diffusers, and single files."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vcebench.models.latent import Chain
from vcebench.models.latent_layouts import Layout

NETWORKS = Path(__file__).parent / "parity/golden/latent/networks"
ARCH: dict[str, Any] = json.loads((NETWORKS / "arch.json").read_text())
NULL = 1000


def tensors(name: str) -> dict[str, Tensor]:
    """A golden file, float32."""
    return {
        k: v.float() if v.is_floating_point() else v
        for k, v in load_file(NETWORKS / f"{name}.safetensors").items()
    }


def write_folder(folder: Path, kind: str = "txt") -> Path:
    """A folder of diffusers with the networks of `kind`, "txt" or "cls"."""
    for part, name in (("unet", "unet"), ("vae", "vae")):
        described = ARCH[kind][part]
        _config(folder / name, {"_class_name": described["class_name"], **described["config"]})
        save_file(
            load_file(NETWORKS / f"{kind}_{part}.safetensors"),
            folder / name / "diffusion_pytorch_model.safetensors",
        )
    chain = {
        **ARCH["schedules"][kind],
        "_class_name": "DDIMScheduler",
        "steps_offset": 1,
        "clip_sample": False,
    }
    _config(folder / "scheduler", chain, "scheduler_config.json")
    if kind == "txt":
        _config(
            folder / "text_encoder",
            {
                "architectures": ["CLIPTextModel"],
                "model_type": "clip_text_model",
                **ARCH["text_encoder"]["config"],
            },
        )
        save_file(
            load_file(NETWORKS / "text_encoder.safetensors"),
            folder / "text_encoder" / "model.safetensors",
            metadata={"format": "pt"},
        )
        write_tokenizer(folder)
    else:
        save_file({"embedding.weight": embedding()}, folder / "class_embedding.safetensors")
    return folder


def write_tokenizer(folder: Path) -> None:
    """Vocabulary and merges of the miniature."""
    place = folder / "tokenizer"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(NETWORKS / name, place / name)


def embedding() -> Tensor:
    """The table of 1,001 classes; rows that the miniature lacks are zero."""
    rows = tensors("cls_embedding")["weight"]
    table = torch.zeros(NULL + 1, rows.shape[1])
    table[ARCH["cls_embedding"]["rows_are_classes"]] = rows
    return table


def layout(kind: str) -> Layout:
    """How the networks of a miniature's single file are built."""
    chain, config = ARCH["schedules"][kind], ARCH[kind]["vae"]["config"]
    return Layout(
        unet=ARCH[kind]["unet"]["config"],
        autoencoder=config,
        scaling=config["scaling_factor"],
        chain=Chain(chain["beta_start"], chain["beta_end"]),
        text=ARCH["text_encoder"]["config"] if kind == "txt" else None,
        quantised=kind == "cls",
    )


def checkpoint(kind: str) -> dict[str, Tensor]:
    """State dict of a single file, with the names that latent diffusion's authors use."""
    described = ARCH[kind]
    state = {
        f"model.diffusion_model.{_unet_key(key, described['unet']['config'])}": value
        for key, value in tensors(f"{kind}_unet").items()
    }
    blocks = len(described["vae"]["config"]["block_out_channels"])
    for key, value in tensors(f"{kind}_vae").items():
        name = _vae_key(key, blocks)
        convolution = re.search(r"mid\.attn_1\.(q|k|v|proj_out)\.weight", name)
        state[f"first_stage_model.{name}"] = value[:, :, None, None] if convolution else value
    if kind == "txt":
        state |= {
            f"cond_stage_model.transformer.{k}": v for k, v in tensors("text_encoder").items()
        }
    else:
        state["cond_stage_model.embedding.weight"] = embedding()
    return state


def _config(folder: Path, content: dict[str, Any], name: str = "config.json") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))


_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip


def _unet_key(key: str, config: dict[str, Any]) -> str:
    each = config["layers_per_block"] + 1
    fixed = {
        "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
    }  # fmt: skip
    stem, _, kind = key.rpartition(".")
    if stem in fixed:
        return f"{fixed[stem]}.{kind}"
    for old, new in _RESNET.items():
        if ".resnets." in key:
            key = key.replace(f".{old}.", f".{new}.")

    def down(found: re.Match[str]) -> str:
        i, what, j = int(found[1]), found[2], int(found[3])
        if what == "downsamplers":
            return f"input_blocks.{1 + i * each + each - 1}.0.op"
        return f"input_blocks.{1 + i * each + j}.{0 if what == 'resnets' else 1}"

    def up(found: re.Match[str]) -> str:
        i, what, j = int(found[1]), found[2], int(found[3])
        if what == "upsamplers":
            attended = config["up_block_types"][i].startswith("CrossAttn")
            return f"output_blocks.{i * each + each - 1}.{2 if attended else 1}.conv"
        return f"output_blocks.{i * each + j}.{0 if what == 'resnets' else 1}"

    key = re.sub(r"^down_blocks\.(\d+)\.(\w+)\.(\d+)(?:\.conv(?=\.(?:weight|bias)$))?", down, key)
    key = re.sub(r"^up_blocks\.(\d+)\.(\w+)\.(\d+)(?:\.conv(?=\.(?:weight|bias)$))?", up, key)
    key = key.replace("mid_block.resnets.0", "middle_block.0")
    key = key.replace("mid_block.resnets.1", "middle_block.2")
    return key.replace("mid_block.attentions.0", "middle_block.1")


def _vae_key(key: str, blocks: int) -> str:
    key = key.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    key = re.sub(r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2", key)
    key = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", key)
    key = re.sub(r"up_blocks\.(\d+)\.resnets", lambda m: f"up.{blocks - 1 - int(m[1])}.block", key)
    key = re.sub(
        r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{blocks - 1 - int(m[1])}.upsample", key
    )
    key = key.replace("mid_block.resnets.0", "mid.block_1").replace(
        "mid_block.resnets.1", "mid.block_2"
    )
    if "mid_block.attentions.0" in key:
        key = key.replace("mid_block.attentions.0", "mid.attn_1").replace("group_norm", "norm")
        for old, new in (("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")):
            key = key.replace(f"attn_1.{old}.", f"attn_1.{new}.")
    return key
