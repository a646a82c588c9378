"""Sections of a task of somebody's own: images, classifier, networks. See `settings.custom`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from PIL import ImageColor
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    Strict,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
    model_serializer,
    model_validator,
)

from vcebench.data.files import Geometry
from vcebench.data.pixels import Colour

Side = Annotated[StrictInt, Field(ge=8, le=4096)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Channels = tuple[Number] | tuple[Number, Number, Number]
Meaning = Literal["logits", "probabilities"]


class Part(BaseModel):
    """A section; fields that came later are left out of the dump where they say nothing.

    So configurations that do not use them keep their hash.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dump: dict[str, Any] = handler(self)
        fields = type(self).model_fields
        unset = {
            n
            for n in self.later
            if getattr(self, n) == fields[n].get_default(call_default_factory=True)
        }
        return {name: value for name, value in dump.items() if name not in unset}


class DataPart(Part):
    """Where the images are, and how they are brought to the size of the networks.

    background: colour behind transparent pixels, by name ("white") or as "#rrggbb".
    channels: 1 makes the images grey, by the mean of red, green and blue.
    """

    later: ClassVar[frozenset[str]] = frozenset({"background", "channels"})

    folder: Path
    labels: Path | None = None
    size: Side | tuple[Side, Side]
    fit: Literal["crop", "stretch", "pad"] = "crop"
    classes: tuple[StrictStr, ...] = ()
    background: StrictStr = "white"
    channels: Literal[1, 3] = 3

    @field_validator("classes")
    @classmethod
    def _different(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            twice = next(name for name in value if value.count(name) > 1)
            raise ValueError(f"{twice!r} stands there twice; name each class once")
        if "" in value:
            raise ValueError("a class has an empty name; name each class")
        if len(value) == 1:
            raise ValueError(
                f"{value[0]!r} alone; name all classes, in the order of the classifier's outputs"
            )
        return value

    @field_validator("background")
    @classmethod
    def _colour(cls, value: str) -> str:
        try:
            ImageColor.getrgb(value)
        except ValueError:
            raise ValueError(f"{value!r} is no colour; write a name or #rrggbb") from None
        return value

    def geometry(self) -> Geometry:
        """The size as height and width, with the way to reach it."""
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return Geometry(height, width, self.fit)

    def colour(self) -> Colour:
        """Red, green and blue of the background, 0 … 255."""
        red, green, blue = ImageColor.getrgb(self.background)[:3]
        return red, green, blue


class ClassifierPart(Part):
    """The classifier: exactly one of factory, torchscript, architecture, trained.

    It gets images in [-1, 1] unless `mean` and `std` are given, of each channel or one for all:
    then ([0, 1] image - mean) / std. `index` picks one of several independent outputs; `unit` is a
    factor of the class gradient, `units` such factors by method, which go first. A factory,
    "package.module:function", is imported from `folder`, that of the TOML file unless given, or
    from what is installed; it is called with `arguments` and returns the network. `outputs` is the
    number of an architecture's; for others it says what they are, "logits" or "probabilities".
    `entry` names the part of `weights` to take, if there are several. `trained` is a
    network file of this package. A network of one of the `channels` gets their mean.
    """

    later: ClassVar[frozenset[str]] = frozenset({"entry", "trained", "units", "channels"})

    factory: StrictStr | None = None
    folder: Path | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    torchscript: Path | None = None
    architecture: StrictStr | None = None
    weights: Path | None = None
    outputs: Annotated[StrictInt, Field(ge=1)] | Meaning = 1000
    mean: Channels | None = None
    std: Channels | None = None
    index: Annotated[StrictInt, Field(ge=0)] | None = None
    unit: Annotated[Number, Field(gt=0)] = 1.0
    units: dict[StrictStr, Annotated[Number, Field(gt=0)]] = Field(default_factory=dict)
    entry: StrictStr | None = None
    trained: Path | None = None
    channels: Literal[1, 3] = 3

    @field_validator("mean", "std")
    @classmethod
    def _scale(cls, value: Channels | None) -> Channels | None:
        if value is not None and max(value) > 1:
            raise ValueError(
                f"{list(value)} is on the scale 0 … 255; images are scaled to 0 … 1 before: "
                "divide by 255"
            )
        return value

    @field_validator("mean")
    @classmethod
    def _level(cls, value: Channels | None) -> Channels | None:
        if value is not None and min(value) < 0:
            raise ValueError(f"{list(value)} is below 0; it is the mean of images in 0 … 1")
        return value

    @field_validator("std")
    @classmethod
    def _spread(cls, value: Channels | None) -> Channels | None:
        if value is not None and min(value) <= 0:
            raise ValueError(f"{list(value)} would be divided by; use numbers above 0")
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = (self.factory, self.torchscript, self.architecture, self.trained)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("give one of factory, torchscript, architecture, trained")
        if (self.architecture is None) != (self.weights is None):
            raise ValueError("architecture and weights belong together")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together")
        if self.architecture is not None and isinstance(self.outputs, str):
            raise ValueError("outputs of an architecture is their number; they are logits anyway")
        if self.entry is not None and self.weights is None:
            raise ValueError("entry names a part of weights, and there are none")
        return self

    def is_calibrated(self, preset: str) -> bool:
        """Whether somebody said how strongly a method is to guide, by its preset's id."""
        return "unit" in self.model_fields_set or preset in self.units

    @property
    def meaning(self) -> Meaning | None:
        """What the outputs are, if the file says it."""
        return self.outputs if isinstance(self.outputs, str) else None


class OraclePart(ClassifierPart):
    """A network that did not make the images and judges them; its keys are those of a classifier.

    attributes: names of its logits, if it decides several things that an image may show.
    query: the one of them that the second class of the task means.
    reference: folder of training images, for what CD compares with.
    """

    attributes: tuple[StrictStr, ...] = ()
    query: StrictStr | None = None
    reference: Path | None = None

    @model_validator(mode="after")
    def _among_them(self) -> Self:
        if len(set(self.attributes)) < len(self.attributes):
            raise ValueError("an attribute stands there twice; name each once")
        if self.query is not None and self.query not in self.attributes:
            raise ValueError(f"query is {self.query!r}, which is none of the attributes")
        if self.reference is not None and self.query is None:
            raise ValueError(
                "reference is for CD, which needs attributes = […] and query, the one of them that "
                "the second class means"
            )
        return self


class PriorPart(Part):
    """The prior: exactly one of trained, diffusers, checkpoint (with the flags of its training).

    steps and respacing (T and N) hold for the latter two; a diffusers folder or the flags may say
    T themselves. `entry` names the part of a checkpoint to take, if there are several.
    """

    later: ClassVar[frozenset[str]] = frozenset({"entry"})

    trained: Path | None = None
    diffusers: Path | None = None
    checkpoint: Path | None = None
    flags: dict[str, StrictBool | StrictInt | Number | StrictStr] = Field(default_factory=dict)
    respacing: Annotated[StrictInt, Field(ge=1)] = 200
    entry: StrictStr | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = (self.trained, self.diffusers, self.checkpoint)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("give one of trained, diffusers, checkpoint")
        if (self.checkpoint is None) != (not self.flags):
            raise ValueError("checkpoint and flags belong together")
        if self.entry is not None and self.checkpoint is None:
            raise ValueError("entry names a part of a checkpoint, and there is none")
        return self


class LatentPart(Part):
    """A latent diffusion model, for methods that walk among an autoencoder's latents.

    stable_diffusion: a folder of diffusers, or a single file of Stable Diffusion 1.x.
    prompts: what it is told of each class, in their order.
    tokens: words that `vcebench prepare time` has learnt, for methods that need them.
    size: height and width that its autoencoder sees; that of the images unless given.
    """

    stable_diffusion: Path
    prompts: tuple[StrictStr, ...] = ()
    tokens: Path | None = None
    size: Side | tuple[Side, Side] | None = None


class BridgePart(Part):
    """The inpainting bridge that RCSB walks on, as `vcebench train bridge` leaves it."""

    trained: Path
