"""Textual inversion as TiME prepares it: new words whose rows alone are learnt.

References: An Image is Worth One Word (Gal et al., ICLR 2023), Equation 2; Text-to-Image Models for
Counterfactual Explanations: a Black-Box Approach (Jeanneret et al., WACV 2024), as released.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vcebench.methods.core.schedule import scaled_linear_schedule
from vcebench.models.latent import LatentModel, Words
from vcebench.training.latent import sampled
from vcebench.training.loop import SAVE_SECONDS, atomic_save, key
from vcebench.training.progress import told

STEPS = 1000


@dataclass(frozen=True)
class InversionSettings:
    """How rows are learnt: Adam whose gradient gets `decay` times the row, at one rate.

    The released figures are 3,001 iterations of 64 at 1e-4.
    """

    iterations: int = 3001
    batch: int = 64
    rate: float = 1e-4
    decay: float = 1e-4
    seed: int = 0


@dataclass(frozen=True)
class NewWords:
    """Words to learn from some images.

    Attributes:
        name: of the run.
        words: what they are called.
        begin: words of the vocabulary whose rows they begin with, one each.
        prompts: with all of the words; one is drawn for every image of a batch.
    """

    name: str
    words: tuple[str, ...]
    begin: tuple[str, ...]
    prompts: tuple[str, ...]


class Learner:
    """Adds words to a model and learns their rows; everything else stays as it is.

    Args:
        model: that reads prompts; its table of tokens is made longer.
        new: the words.
        settings: of Adam.
    """

    def __init__(self, model: LatentModel, new: NewWords, settings: InversionSettings) -> None:
        assert model.words is not None
        self.model, self.words = model, model.words
        table = self._table().weight
        begin = [entry(self.words, word) for word in new.begin]
        self.rows = nn.Parameter(table.detach()[begin].clone())
        self.words.learn(dict(zip(new.words, self.rows.detach(), strict=True)))
        self._ids = self.words.tokenizer.convert_tokens_to_ids(list(new.words))
        self.optimizer = torch.optim.Adam(
            [self.rows],
            lr=settings.rate,
            betas=(0.9, 0.999),
            eps=1e-9,
            weight_decay=settings.decay,
        )
        chain = model.chain
        schedule = scaled_linear_schedule(chain.start, chain.end, STEPS, 0, chain.product)
        self._kept = torch.from_numpy(schedule.alphas_cumprod).float().to(self.rows.device)

    def step(self, z: Tensor, ids: Tensor, t: Tensor, noise: Tensor, part: int = 64) -> float:
        """One iteration; returns the loss, the sum of squared errors over the number of images.

        Args:
            z: latents of a batch, times their scaling, with shape (B, c, h, w).
            ids: tokens of their prompts, int64 (B, L).
            t: timesteps, int64 (B,).
            noise: added at these, as z.
            part: images that are differentiated at once; the gradient is the batch's.
        """
        self.put()
        table = self._table().weight
        table.requires_grad_(True)
        table.grad = None
        kept = self._kept[t][:, None, None, None]
        noisy = kept.sqrt() * z + (1 - kept).sqrt() * noise
        total = 0.0
        for first in range(0, len(z), part):
            rows = slice(first, first + part)
            context = self.words.encoder(ids[rows])[0]
            found = self.model.network(noisy[rows], t[rows], context)
            loss = (found - noise[rows]).square().sum() / len(z)
            loss.backward()
            total += float(loss.detach())
        table.requires_grad_(False)
        assert table.grad is not None
        self.rows.grad = table.grad[self._ids].clone()
        table.grad = None
        self.optimizer.step()
        self.put()
        return total

    @torch.no_grad()
    def put(self) -> None:
        """Write the rows into the table."""
        self._table().weight[self._ids] = self.rows.detach()

    def _table(self) -> Any:
        return self.words.encoder.get_input_embeddings()


def entry(words: Words, word: str) -> int:
    """Id of a word as it stands in the vocabulary; of the end token if it is no entry by itself.

    So the released program begins, for words that are cut into pieces.
    """
    end: int = words.tokenizer.eos_token_id
    found: int = words.tokenizer.get_vocab().get(f"{word}</w>", end)
    return found


def learn(
    model: LatentModel,
    new: NewWords,
    latents: Tensor,
    settings: InversionSettings,
    checkpoint: Path,
    *,
    inputs: Mapping[str, Any],
    progress: bool = True,
) -> dict[str, Tensor]:
    """Learn words, or go on learning them; the model then knows them.

    Args:
        latents: means and log-variances of the images' posteriors, float16 (N, 2·c, h, w).
        checkpoint: file of the state, written every minute.
        inputs: what else decides the result; a checkpoint of other inputs is begun anew.

    Returns:
        word → row.
    """
    learner = Learner(model, new, settings)
    learner.words.encoder.eval()
    facts = {"new": asdict(new), "settings": asdict(settings), **inputs}
    fingerprint = json.dumps(facts, sort_keys=True)
    done = _restore(learner, checkpoint, fingerprint)
    ids = learner.words.ids(new.prompts)
    saved = time.monotonic()
    with told(new.name, settings.iterations, progress) as report:
        for step in range(done, settings.iterations):
            loss = learner.step(*_batch(model, latents, ids, settings, new.name, step))
            if time.monotonic() - saved >= SAVE_SECONDS or step + 1 == settings.iterations:
                _save(learner, checkpoint, fingerprint, step + 1)
                saved = time.monotonic()
            report(step + 1, loss)
    return dict(zip(new.words, learner.rows.detach().cpu(), strict=True))


def _batch(
    model: LatentModel,
    latents: Tensor,
    ids: Tensor,
    settings: InversionSettings,
    name: str,
    step: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Latents, tokens, timesteps and noise of an iteration, keyed by its number."""
    generator = torch.Generator().manual_seed(key(settings.seed, name, step))
    count = min(settings.batch, len(latents))
    chosen = torch.randperm(len(latents), generator=generator)[:count]
    shape = count, *latents[0].chunk(2)[0].shape
    spread, noise = torch.randn((2, *shape), generator=generator)
    z = sampled(latents[chosen], model.scaling, spread)
    t = torch.randint(STEPS, (count,), generator=generator)
    said = ids[torch.randint(len(ids), (count,), generator=generator).to(ids.device)]
    return z.to(ids.device), said, t.to(ids.device), noise.to(ids.device)


def _save(learner: Learner, path: Path, fingerprint: str, step: int) -> None:
    atomic_save(
        {
            "fingerprint": fingerprint,
            "step": step,
            "rows": learner.rows.detach().cpu(),
            "optimizer": learner.optimizer.state_dict(),
        },
        path,
    )


def _restore(learner: Learner, path: Path, fingerprint: str) -> int:
    """Iterations that a checkpoint of the same words holds; what does not fit is begun anew."""
    if not path.is_file():
        return 0
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        if stored["fingerprint"] != fingerprint:
            return 0
        with torch.no_grad():
            learner.rows.copy_(stored["rows"])
        learner.optimizer.load_state_dict(stored["optimizer"])
        step = int(stored["step"])
    except Exception:  # damaged files raise almost anything
        return 0
    learner.put()
    return step
