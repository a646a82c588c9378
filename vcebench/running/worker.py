"""One batch of tries through a method: pad, explain, quantise, judge.

Every batch has the same shape. Rows of a batch never mix in our networks, so at equal shape an
image's counterfactual is the same bits whatever stands beside it (see `engines.local` for the one
condition PyTorch's CPU kernels add).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from vcebench.devices.capture import Recorder
from vcebench.devices.noise import drawn_ahead
from vcebench.devices.threads import for_each
from vcebench.folders.images import Codec, dequantise, encode_masks, encode_region
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import BoundGuidance, Guidance
from vcebench.methods.core.method import Explanation, Extras, Method
from vcebench.methods.core.noise import KeyedNoise, Noise
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.regions import Region
from vcebench.methods.core.space import Autoencoder, SemanticAutoencoder
from vcebench.models.classifier import Decision, TargetClassifier, remembered
from vcebench.running.steps import StepHook
from vcebench.running.tries import Item, Outcome, Try, of_method
from vcebench.settings.config import GuidanceConfig


@dataclass(frozen=True)
class Worker:
    """A method with all its networks on one device.

    Attributes:
        method: the method.
        prior, perceptual: its networks, as the precision tier runs them; None if not needed.
        classifier: the classifier to explain, in float32: it judges.
        guide: the same classifier as the tier runs it: it guides.
        robust: a robust classifier as the tier runs it, for methods that need one; it guides only.
        autoencoder, fisher: what methods that move codes walk in, see `Extras`.
        class_unit, perceptual_unit: calibrated factors of the guidance.
        guidance: weights of the joint loss.
        dataset: name that keys the noise.
        seed: seed of the noise.
        batch_size: rows of every batch.
        codec: how counterfactuals become files.
        device: where it all runs.
        keep_files: encode final images as files.
        recorder: what recorded the networks' evaluations, on a GPU.
        channels: of the images that it walks on; 1 takes grey images only.
        region: finds where images may change that do not bring their own; None leaves it to the
            method.
    """

    method: Method
    prior: Prior | None
    classifier: TargetClassifier
    guide: TargetClassifier
    perceptual: Callable[[Tensor], Tensor] | None
    guidance: GuidanceConfig
    dataset: str
    seed: int
    batch_size: int
    class_unit: float = 1.0
    perceptual_unit: float = 1.0
    robust: TargetClassifier | None = None
    autoencoder: Autoencoder | SemanticAutoencoder | None = None
    fisher: Tensor | None = None
    codec: Codec = field(default_factory=Codec)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    keep_files: bool = True
    region: Region | None = None
    recorder: Recorder | None = None
    channels: int = 3

    def walked(self, images: Sequence[Tensor], names: Sequence[str] = ()) -> Tensor:
        """Images in [-1, 1] with the channels of the prior, (B, C, H, W), on the device.

        Args:
            images: uint8 (3, H, W) each.
            names: of the images, for the message.

        Raises MethodError: one is coloured and the prior is of one channel.
        """
        x = torch.stack([*images]).to(self.device)
        if self.channels == 1:
            for row in (x != x[:, :1]).flatten(1).any(dim=1).nonzero()[:, 0].tolist():
                raise MethodError(
                    f"{names[row] if names else 'an image'} is coloured and the prior is of one "
                    "channel; say channels = 1 in [data], or train a prior of three"
                )
        return dequantise(x[:, : self.channels])

    @torch.no_grad()
    def explain(
        self,
        tries: Sequence[Try],
        stop: threading.Event | None = None,
        on_step: Callable[[], None] | None = None,
    ) -> list[Outcome]:
        """Outcomes of at most a batch of tries, in their order.

        Args:
            tries: 1 … batch_size tries.
            stop: once set, the batch is given up with `CancelledError`.
            on_step: called after every step of the reverse loop.
        """
        padded = [tries[i % len(tries)] for i in range(self.batch_size)]
        x = self.walked([t.item.image for t in padded], [t.item.id for t in padded])
        judge = remembered(self.classifier)
        decision = self._decide(judge, x, padded)
        hook = StepHook([i for i, t in enumerate(tries) if t.item.traced], stop, on_step)
        guidance = self._guidance(padded, decision)
        with self._noise(padded, x) as noise:
            region = self._region(padded, lambda: guidance.bind(x, decision.target), noise)
            found = self._method(tries).explain(
                x,
                decision.target,
                prior=self.prior,
                guidance=guidance,
                noise=noise,
                trace=hook,
                extras=Extras(region, self._segments(padded), self.autoencoder, self.fisher),
            )
        return self._judge(judge, tries, x, decision, found, hook)

    def _decide(self, judge: TargetClassifier, x: Tensor, padded: Sequence[Try]) -> Decision:
        """The classifier's decision, with targets replaced where the items ask for others."""
        decision = judge.decide(x)
        asked = [t.item.target for t in padded]
        if all(target is None for target in asked):
            return decision
        own = decision.target.tolist()
        target = torch.tensor([o if a is None else a for a, o in zip(asked, own, strict=True)])
        target = target.to(self.device)
        # An input that is of the target class already is explained against the runner-up.
        taken = decision.source == target
        source = torch.where(taken, decision.target, decision.source)
        return Decision(decision.prediction, source, target)

    def _method(self, tries: Sequence[Try]) -> Method:
        """The method with what the rung of these tries sets; λ_c goes to the guidance."""
        others = of_method(tries[0].settings)
        return replace(self.method, **others) if others else self.method

    def _guidance(self, padded: Sequence[Try], decision: Decision) -> Guidance:
        weights = self.guidance
        rungs = torch.tensor(
            [1.0 if t.lambda_class is None else t.lambda_class for t in padded], device=self.device
        )
        return Guidance(
            classifier=self.guide,
            lambda_class=rungs,
            perceptual=self.perceptual,
            source=decision.source,
            lambda_perceptual=0.0 if self.perceptual is None else weights.lambda_perceptual,
            lambda_l1=weights.lambda_l1,
            class_unit=self.class_unit * weights.class_factor,
            perceptual_unit=self.perceptual_unit,
            use_logits=weights.use_logits,
            robust=self.robust,
        )

    def _region(
        self, padded: Sequence[Try], bind: Callable[[], BoundGuidance], noise: Noise
    ) -> Tensor | None:
        """Where the images may change: the items' own regions, else what the run looks for."""
        own = [t.item.region for t in padded]
        if any(region is not None for region in own):
            return torch.stack([region for region in own if region is not None]).to(self.device)
        return None if self.region is None else self.region(bind(), noise)

    def _segments(self, padded: Sequence[Try]) -> Tensor | None:
        """What is where in the images, if the items say so."""
        maps = [t.item.segments for t in padded]
        known = [one for one in maps if one is not None]
        return torch.stack(known).to(self.device) if len(known) == len(maps) else None

    def _noise(self, padded: Sequence[Try], x: Tensor) -> AbstractContextManager[Noise]:
        ids = [t.item.id for t in padded]
        shape = (x.shape[1], x.shape[2], x.shape[3])
        return drawn_ahead(KeyedNoise(self.seed, self.dataset, ids, shape, self.device))

    def _judge(
        self,
        judge: TargetClassifier,
        tries: Sequence[Try],
        x: Tensor,
        decision: Decision,
        found: Explanation,
        hook: StepHook,
    ) -> list[Outcome]:
        """Quantise the counterfactuals and ask the classifier about what will be stored."""
        finite = found.x_cf.isfinite().flatten(1).all(dim=1)
        x_cf = found.x_cf.nan_to_num(0.0, 0.0, 0.0)
        levels = self.codec.quantise(x_cf.expand(-1, 3, -1, -1)).cpu()
        stored = torch.stack([self.codec.stored(image) for image in levels])
        seen = dequantise(stored.to(self.device))
        source, target = decision.source, decision.target
        before = judge.probabilities(x).gather(1, target[:, None])[:, 0]
        after = judge.probabilities(seen).gather(1, target[:, None])[:, 0]
        margin = judge.margin(seen, target, source)
        columns = {
            "finite": finite,
            "prediction": decision.prediction,
            "source": source,
            "target": target,
            "flipped": (margin > 0) & finite,
            "flipped_float": (judge.margin(x_cf, target, source) > 0) & finite,
            "top1": (judge.predict(seen) == target) & finite,
            "nfe": found.nfe,
            "backward": found.backward,
            "margin_input": judge.margin(x, target, source),
            "margin": margin,
            "target_probability_input": before,
            "target_probability": after,
        }
        values = {name: column.tolist() for name, column in columns.items()}
        kinds = (found.mask_z, found.mask_x, found.region)
        all_masks = [None if masks is None else masks.cpu() for masks in kinds]

        def outcome(row: int) -> Outcome:
            attempt = tries[row]
            facts = {name: column[row] for name, column in values.items()}
            masks = [None if m is None else m[row] for m in all_masks]
            files = {}
            if self.keep_files and (facts["flipped"] or attempt.last):
                files = self._files(attempt, levels[row], masks, facts["finite"])
            return Outcome(
                **facts,
                image=stored[row],
                mask_z=masks[0],
                mask_x=masks[1],
                region=masks[2],
                files=files,
                trace=hook.of(row),
            )

        return for_each(outcome, range(len(tries)), self.device)

    def input_file(self, item: Item) -> dict[str, bytes]:
        """The file of an input: its path within the run folder → content."""
        return {f"inputs/{item.id}{self.codec.suffix}": self.codec.encode(item.image)}

    def _files(
        self,
        attempt: Try,
        image: Tensor,
        masks: Sequence[Tensor | None],
        finite: bool,
    ) -> dict[str, bytes]:
        """Path → content of what is stored; masks are M^z, M^x and the region."""
        files = self.input_file(attempt.item)
        if not finite:
            return files
        name = f"{attempt.item.id}{self.codec.suffix}"
        files[f"counterfactuals/{name}"] = self.codec.encode(image)
        mask_z, mask_x, region = masks
        encoded = encode_masks(mask_z, mask_x)
        if encoded is not None:
            files[f"masks/{attempt.item.id}.png"] = encoded
        if region is not None:
            files[f"regions/{attempt.item.id}.png"] = encode_region(region)
        return files
