"""(b) The package against the reference loop, at equal output in the exact tier."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.figures import Figure, ratio
from benchmarks.fullsize import full_size
from benchmarks.machine import in_turn
from benchmarks.reference import Found, Reference
from benchmarks.setting import Scale, Setting, setting
from vcebench.folders.images import dequantise
from vcebench.running.engines.local import LocalEngine
from vcebench.running.ladder import Ladder, drive

TOLERANCE = 1e-4
"""Largest difference of an image in [-1, 1] at a short τ."""

RETRIED_STRENGTH = 3.0
"""Factor on the class term with which most faces flip at λ_c = 8 within a short τ, some later."""


def ours(given: Setting, threads: int) -> Found:
    """The package's own engine and ladder, without files."""
    tries = given.tries(given.config.limit)
    rows = {one.item.id: row for row, one in enumerate(tries)}
    images = torch.stack([one.item.image for one in tries])
    found = Found(images, torch.zeros(len(images), dtype=torch.bool), torch.zeros(len(images)))
    size, ladder = given.config.batch_size, given.config.guidance.lambda_class
    rungs = [{"lambda_class": rung} for rung in ladder]
    engine = LocalEngine(replace(given.worker, keep_files=False), threads)
    try:
        for batch in drive(Ladder([one.item for one in tries], rungs, size), engine):
            for final in batch.finals:
                row = rows[final.attempt.item.id]
                found.images[row] = final.outcome.image
                found.flipped[row] = final.outcome.flipped
                found.lambda_class[row] = final.attempt.lambda_class
    finally:
        engine.close()
    return found


def floats(given: Setting) -> tuple[Tensor, Tensor]:
    """One batch at the first λ_c, not quantised: ours, and the reference loop's."""
    tries = given.tries()
    x = dequantise(torch.stack([one.item.image for one in tries]))
    worker = given.worker
    decision = given.bundle.classifier.decide(x)
    with worker._noise(tries, x) as noise:
        mine = worker.method.explain(
            x,
            decision.target,
            prior=worker.prior,
            guidance=worker._guidance(tries, decision),
            noise=noise,
        ).x_cf
    rung, ids = tries[0].lambda_class, [one.item.id for one in tries]
    theirs, _ = Reference(given)._loop(x, decision.target, decision.source, rung, ids)
    return mine, theirs


def check_equal(given: Setting) -> float:
    """Largest difference between both for one batch. Raises RuntimeError beyond the tolerance."""
    mine, theirs = floats(given)
    difference = float((mine - theirs).abs().max())
    if difference > TOLERANCE:
        raise RuntimeError(f"the reference loop makes other images: they differ by {difference}")
    return difference


def compare(scale: Scale, given: Setting, what: str) -> Figure:
    """Wall times of both in turn, the same threads for both, and how far their results agree.

    Args:
        scale: threads and repeats.
        given: the run.
        what: the run in words.
    """
    images, tau = given.config.limit, given.config.settings["tau"]
    reference = Reference(given)
    pixels, ids = given.stacked(images), [one.item.id for one in given.tries(images)]
    found: dict[str, Found] = {}

    def run_ours() -> None:
        found["ours"] = ours(given, scale.threads)

    def run_reference() -> None:
        found["reference"] = reference.explain(pixels, ids)

    before = torch.get_num_threads()
    torch.set_num_threads(scale.threads)
    try:
        measured = in_turn({"reference": run_reference, "ours": run_ours}, scale.repeats)
    finally:
        torch.set_num_threads(before)
    a, b = found["ours"], found["reference"]
    equal = int((a.flipped == b.flipped).sum())
    pixels_equal = float((a.images == b.images).float().mean())
    return ratio(
        "b",
        f"reference loop / ours, {what}",
        measured["reference"] / measured["ours"],
        at_least=1.3,
        note=f"{measured['reference']:.2f} s / {measured['ours']:.2f} s; {images} images, τ {tau}; "
        f"{int(a.flipped.sum())} flipped, {equal} of {images} decided alike, "
        f"{100 * pixels_equal:.2f} % of the pixels equal",
    )


def with_retries(scale: Scale) -> Setting:
    """A short run whose images flip at different λ_c, some at none."""
    images, tau, rungs = scale.ladder_images, scale.ladder_tau, (8.0, 10.0, 15.0)
    given = setting(scale, images, tau=tau, rungs=rungs)
    bundle = replace(given.bundle, class_unit=RETRIED_STRENGTH * given.bundle.class_unit)
    return setting(scale, images, tau=tau, rungs=rungs, bundle=bundle)


def figures(scale: Scale) -> list[Figure]:
    """All lines of this part."""
    one_batch = setting(scale, scale.batch_size, rungs=(8.0,))
    one_each = setting(scale, scale.batch_size * scale.threads, rungs=(8.0,))
    difference = check_equal(one_batch)
    lines = [
        compare(scale, one_each, "one λ_c, full batches"),
        compare(replace(scale, threads=1), one_batch, "the same on one thread"),
        compare(scale, with_retries(scale), "with retries"),
    ]
    if scale.full_size:
        large = full_size(batch_size=2, tau=2, batches=scale.threads)
        lines.append(compare(scale, large, "batches of 2, CelebA's networks at full size"))
    note = f"one batch, τ {scale.tau}, float images in [-1, 1]"
    return [
        Figure(
            "b",
            "largest difference to the reference loop",
            f"{difference:.1e}",
            "≤ 1e-4",
            difference <= TOLERANCE,
            note,
        ),
        *lines,
    ]
