"""Our U-Net against diffusers' UNet2DModel, an independent implementation of the same network."""

import json

import pytest
import torch

from vcebench.errors import UserError
from vcebench.models.guided_diffusion import config_from_flags
from vcebench.models.own_prior import load_prior
from vcebench.models.unet import UNet
from vcebench.settings.parts import PriorPart

diffusers = pytest.importorskip("diffusers")

RES = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
# Blocks of the golden network: two levels of one residual block, attention in the second.
PLACES = {
    "input_blocks.1.0": "down_blocks.0.resnets.0",
    "input_blocks.2.0": "down_blocks.0.downsamplers.0",
    "input_blocks.3.0": "down_blocks.1.resnets.0",
    "input_blocks.3.1": "down_blocks.1.attentions.0",
    "middle_block.0": "mid_block.resnets.0",
    "middle_block.1": "mid_block.attentions.0",
    "middle_block.2": "mid_block.resnets.1",
    "output_blocks.0.0": "up_blocks.0.resnets.0",
    "output_blocks.0.1": "up_blocks.0.attentions.0",
    "output_blocks.1.0": "up_blocks.0.resnets.1",
    "output_blocks.1.1": "up_blocks.0.attentions.1",
    "output_blocks.1.2": "up_blocks.0.upsamplers.0",
    "output_blocks.2.0": "up_blocks.1.resnets.0",
    "output_blocks.3.0": "up_blocks.1.resnets.1",
}
ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
HEADS = 2


def renamed(state):
    """Guided-diffusion's tensors under diffusers' names, q, k and v taken apart."""
    found = {}
    for key, value in state.items():
        module, _, kind = key.rpartition(".")
        if module in ENDS:
            found[f"{ENDS[module]}.{kind}"] = value
            continue
        place = next(p for p in PLACES if module.startswith(f"{p}."))
        part, new = module.removeprefix(f"{place}."), PLACES[place]
        if part == "qkv":
            # Output channels are grouped by head, and q, k, v lie inside a head.
            split = value.reshape(HEADS, 3, -1, *value.shape[1:2])
            for index, letter in enumerate("qkv"):
                rows = split[:, index].reshape(-1, *value.shape[1:2])
                found[f"{new}.to_{letter}.{kind}"] = rows
        elif part == "proj_out":
            found[f"{new}.to_out.0.{kind}"] = value.squeeze(-1) if kind == "weight" else value
        elif part == "norm":
            found[f"{new}.group_norm.{kind}"] = value
        else:
            found[f"{new}.{RES[part]}.{kind}"] = value
    return found


@pytest.fixture
def reference(golden):
    """A UNet2DModel with the golden weights."""
    network = diffusers.UNet2DModel(
        sample_size=16,
        in_channels=3,
        out_channels=6,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "ResnetUpsampleBlock2D"),
        downsample_type="resnet",
        upsample_type="resnet",
        resnet_time_scale_shift="scale_shift",
        attention_head_dim=64 // HEADS,
        freq_shift=0,
        flip_sin_to_cos=True,
        norm_eps=1e-5,
        attn_norm_num_groups=32,
    )
    network.load_state_dict(renamed(golden[1]), strict=True)
    return network.eval()


def test_unet_agrees_with_diffusers(golden, reference):
    flags, state, check = golden
    ours = UNet(config_from_flags(flags)[0])
    ours.load_state_dict(state)
    x, t = check["x"], check["t"]
    with torch.no_grad():
        torch.testing.assert_close(ours(x, t), reference(x, t).sample, atol=1e-5, rtol=0)


def test_folder_of_diffusers_is_a_prior(golden, reference, tmp_path):
    reference.save_pretrained(tmp_path / "unet")
    scheduler = {"num_train_timesteps": 1000, "beta_schedule": "linear", "beta_start": 0.0001}
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    prior = load_prior(PriorPart(diffusers=tmp_path, respacing=100)).prior
    assert len(prior.schedule) == 100
    check = golden[2]
    with torch.no_grad():
        output = prior.network(check["x"], check["t"])
    torch.testing.assert_close(output, check["unet_output"], atol=1e-5, rtol=0)


def test_other_schedules_are_refused(reference, tmp_path):
    reference.save_pretrained(tmp_path / "unet")
    (tmp_path / "scheduler").mkdir()
    path = tmp_path / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({"beta_schedule": "squaredcos_cap_v2"}))
    with pytest.raises(UserError, match="only linear is supported"):
        load_prior(PriorPart(diffusers=tmp_path))


def test_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no UNet2DModel"):
        load_prior(PriorPart(diffusers=tmp_path))
