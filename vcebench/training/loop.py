"""A training loop that can be killed at any moment and goes on where its last checkpoint was.

Everything random in a step comes from a generator seeded by (seed, name, step). A checkpoint
therefore needs no generator state, and an interrupted and resumed training gives the weights of an
uninterrupted one bit by bit (same machine, build and number of threads).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from vcebench.training.progress import told

SAVE_SECONDS = 60
"""Longest time between checkpoints."""

Loss = Callable[[nn.Module, torch.Generator], Tensor]
"""loss(module, generator) → scalar; draws its own batch, all randomness from the generator."""


@dataclass(frozen=True)
class LoopSettings:
    """How a part is trained: AdamW, linear warm-up, then cosine decay to zero.

    Attributes:
        ema: decay of the averaged weights, which are the result; 0 takes the last weights.
        clip: largest gradient norm.
        save_every: steps between checkpoints.
    """

    steps: int
    seed: int
    learning_rate: float = 1e-3
    warmup: int = 100
    weight_decay: float = 0.0
    ema: float = 0.999
    clip: float = 1.0
    save_every: int = 200

    def rate(self, step: int) -> float:
        """Learning rate of a step, 0 … steps-1."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


@dataclass
class _State:
    step: int
    seconds: float
    module: nn.Module
    average: list[Tensor]
    optimizer: torch.optim.Optimizer
    stages: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Fitted:
    """How a training went.

    Attributes:
        seconds: of training, over all interruptions.
        stages: numbers of steps it was meant to end at before it went on with more.
    """

    seconds: float
    stages: tuple[int, ...] = ()


def fit(
    name: str,
    module: nn.Module,
    loss: Loss,
    settings: LoopSettings,
    checkpoint: Path | None,
    *,
    inputs: Mapping[str, Any] = MappingProxyType({}),
    progress: bool = True,
    longer: bool = False,
    watch: Callable[[nn.Module], None] | None = None,
    log: Path | None = None,
    device: str = "cpu",
) -> Fitted:
    """Train a module in place, from its checkpoint if there is one.

    On return the module holds the averaged weights, in evaluation mode and channels_last, on the
    CPU.

    Args:
        name: shown on the progress bar; part of the key of all random numbers.
        module: freshly initialised network; its initial weights must depend on the seed alone.
        loss: scalar loss of one step.
        checkpoint: file that is written every `save_every` steps, and every minute, atomically;
            None keeps nothing.
        inputs: what else decides the result, such as a digest of the images; a checkpoint of
            other inputs is refused.
        progress: draw a bar on stderr.
        longer: go on from a checkpoint that was made for fewer steps; the rate then is that of the
            longer training from there on.
        watch: called after every checkpoint with the module as it would be now, its averaged
            weights in evaluation mode.
        log: file that gets the lines of progress besides.
        device: where the module is trained; the loss brings its batch there. All that is random is
            drawn on the CPU.

    Raises:
        ValueError: the checkpoint belongs to other settings, or the loss is not finite.
    """
    module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    module.train()
    state = _State(
        step=0,
        seconds=0.0,
        module=module,
        average=[p.detach().clone() for p in module.parameters()],
        optimizer=torch.optim.AdamW(
            module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        ),
    )
    facts = {"name": name, "shape": _shape(module), **asdict(settings), **inputs}
    fingerprint = json.dumps(facts)
    if checkpoint is not None and checkpoint.exists():
        _restore(state, checkpoint, facts, longer)
    with told(name, settings.steps, progress, log) as advance, torch.random.fork_rng(devices=[]):
        started = time.monotonic() - state.seconds
        saved = state.seconds
        while state.step < settings.steps:
            value = _step(name, state, loss, settings)
            state.seconds = time.monotonic() - started
            due = state.step % settings.save_every == 0 or state.seconds - saved >= SAVE_SECONDS
            if checkpoint is not None and (due or state.step == settings.steps):
                _save(state, checkpoint, fingerprint)
                if watch is not None:
                    with _averaged(state):
                        watch(module)
                saved = state.seconds = time.monotonic() - started
            advance(state.step, value)
    _exchange(state)
    module.eval().to("cpu")
    return Fitted(state.seconds, tuple(state.stages))


@contextmanager
def _averaged(state: _State) -> Iterator[None]:
    """The module with its averaged weights, in evaluation mode, for a while."""
    _exchange(state)
    state.module.eval()
    try:
        yield
    finally:
        state.module.train()
        _exchange(state)


@torch.no_grad()
def _exchange(state: _State) -> None:
    """Averaged weights for the module's, and those for the average; nothing is rounded."""
    for parameter, average in zip(state.module.parameters(), state.average, strict=True):
        kept = parameter.detach().clone()
        parameter.copy_(average)
        average.copy_(kept)


def key(seed: int, name: str, step: int) -> int:
    """Seed of one step's random numbers."""
    digest = hashlib.blake2b(f"{seed} {name} {step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def atomic_save(value: Any, path: Path) -> None:
    """torch.save that leaves either the old file or the new one, also when killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        torch.save(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _step(name: str, state: _State, loss: Loss, settings: LoopSettings) -> float:
    seed = key(settings.seed, name, state.step)
    torch.manual_seed(seed)  # for layers that draw by themselves, such as dropout
    generator = torch.Generator().manual_seed(seed)
    for group in state.optimizer.param_groups:
        group["lr"] = settings.rate(state.step)
    state.optimizer.zero_grad(set_to_none=True)
    value = loss(state.module, generator)
    figure = float(value.detach())
    if not math.isfinite(figure):
        raise ValueError(f"the loss of {name} is {figure} at step {state.step}: lower its rate")
    value.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.module.parameters(), settings.clip)
    state.optimizer.step()
    state.step += 1
    # Early averages forget the initial weights faster: (1 + n) / (10 + n), as TensorFlow's do.
    decay = min(settings.ema, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for average, parameter in zip(state.average, state.module.parameters(), strict=True):
            average.lerp_(parameter, 1 - decay)
    return figure


def _shape(module: nn.Module) -> str:
    described = ",".join(f"{k}{tuple(v.shape)}" for k, v in module.state_dict().items())
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _save(state: _State, path: Path, fingerprint: str) -> None:
    atomic_save(
        {
            "fingerprint": fingerprint,
            "step": state.step,
            "seconds": state.seconds,
            "module": state.module.state_dict(),
            "average": state.average,
            "stages": state.stages,
            "optimizer": state.optimizer.state_dict(),
        },
        path,
    )


def _restore(state: _State, path: Path, facts: Mapping[str, Any], longer: bool) -> None:
    now = json.loads(json.dumps(facts))
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        before = json.loads(stored["fingerprint"])
    except Exception as error:  # damaged files raise almost anything
        raise ValueError(
            f"{path} is damaged, so the training cannot go on from it: train with --restart, or "
            "remove it"
        ) from error
    others = [k for k in {**before, **now} if before.get(k) != now.get(k)]
    more = longer and others == ["steps"] and before["steps"] < now["steps"]
    if others and longer and not more and stored.get("step") == before.get("steps"):
        return  # it was done: this is another training
    if others and not more:
        raise ValueError(
            f"{path} was made with other settings ({', '.join(others)}): train with --restart, or "
            "give another --output"
        )
    try:
        state.module.load_state_dict(stored["module"])
        state.optimizer.load_state_dict(stored["optimizer"])
        for average, value in zip(state.average, stored["average"], strict=True):
            average.copy_(value)
        state.step, state.seconds = int(stored["step"]), float(stored["seconds"])
        state.stages = [*stored.get("stages", []), *([before["steps"]] if more else [])]
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise ValueError(
            f"{path} does not fit this training: train with --restart, or remove it"
        ) from error
