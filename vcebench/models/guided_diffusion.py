"""U-Net configurations from the flags that guided-diffusion's programs take.

Reference: Diffusion Models Beat GANs on Image Synthesis (Dhariwal & Nichol, 2021); flag names and
defaults are those of its released programs, which DiME and ACE kept.
"""

from __future__ import annotations

from collections.abc import Mapping

from vcebench.models.unet import UNetConfig

Flag = bool | int | float | str

_CHANNEL_MULT = {
    256: (1, 1, 2, 2, 4, 4),
    128: (1, 1, 2, 3, 4),
    64: (1, 2, 3, 4),
}

_DEFAULTS: dict[str, Flag] = {
    "image_size": 64,
    "num_channels": 128,
    "num_res_blocks": 2,
    "num_heads": 4,
    "num_head_channels": -1,
    "attention_resolutions": "16,8",
    "channel_mult": "",
    "class_cond": False,
    "learn_sigma": False,
    "use_scale_shift_norm": True,
    "resblock_updown": False,
    "use_new_attention_order": False,
    "diffusion_steps": 1000,
    "noise_schedule": "linear",
    "rescale_timesteps": False,
    "predict_xstart": False,
}

# They change how a network is run or trained, not what it is.
_WITHOUT_EFFECT = {
    "use_fp16",
    "use_checkpoint",
    "dropout",
    "timestep_respacing",
    "use_kl",
    "rescale_learned_sigmas",
    "num_heads_upsample",
}

_UNSUPPORTED = {
    "class_cond": False,
    "use_new_attention_order": False,
    "noise_schedule": "linear",
    "rescale_timesteps": False,
    "predict_xstart": False,
}


def config_from_flags(flags: Mapping[str, Flag]) -> tuple[UNetConfig, int]:
    """The network's configuration, and the length T of the chain it was trained on.

    Raises:
        ValueError: an unknown flag, or one that this package's U-Net cannot honour.
    """
    unknown = flags.keys() - _DEFAULTS.keys() - _WITHOUT_EFFECT
    if unknown:
        raise ValueError(f"unknown prior flags {', '.join(sorted(unknown))}")
    values = {**_DEFAULTS, **flags}
    for name, only in _UNSUPPORTED.items():
        if values[name] != only:
            raise ValueError(f"prior flag {name} = {values[name]!r} is not supported, only {only}")
    size = int(values["image_size"])
    mult = _numbers(values["channel_mult"]) or _CHANNEL_MULT.get(size, ())
    if not mult:
        known = ", ".join(map(str, sorted(_CHANNEL_MULT)))
        raise ValueError(f"prior flag channel_mult is needed for image_size {size} (not {known})")
    config = UNetConfig(
        model_channels=int(values["num_channels"]),
        channel_mult=mult,
        num_res_blocks=int(values["num_res_blocks"]),
        attention_factors=tuple(size // r for r in _numbers(values["attention_resolutions"])),
        num_heads=int(values["num_heads"]),
        num_head_channels=int(values["num_head_channels"]),
        out_channels=6 if values["learn_sigma"] else 3,
        use_scale_shift_norm=bool(values["use_scale_shift_norm"]),
        resblock_updown=bool(values["resblock_updown"]),
    )
    return config, int(values["diffusion_steps"])


def _numbers(value: Flag) -> tuple[int, ...]:
    text = str(value).strip()
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise ValueError(f"{text!r} is not a list of whole numbers such as 32,16,8") from None
