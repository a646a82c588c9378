"""`maskdime` against a reference written from its definition alone; no vector exists for it."""

import pytest
import torch
import torch.nn.functional as F

from vcebench.methods.registry import method


def square_dilation(mask, size):
    """Dilation by looping over the offsets of the square."""
    half, height, width = size // 2, *mask.shape[-2:]
    padded = F.pad(mask, (half, half, half, half))
    out = torch.zeros_like(mask)
    for dy in range(size):
        for dx in range(size):
            out |= padded[..., dy : dy + height, dx : dx + width]
    return out


def masks_from(gradient, k, rho, size):
    """Outer and inner mask, image by image, by sorting pixels."""
    outer, inner = [], []
    for image in gradient:
        order = image.abs().mean(dim=0).flatten().argsort(descending=True)
        n = max(1, int(k * len(order)))
        for count, into in ((n, outer), (max(1, int(rho * n)), inner)):
            mask = torch.zeros(len(order), dtype=torch.bool)
            mask[order[:count]] = True
            into.append(square_dilation(mask.view(1, *image.shape[1:]), size))
    return torch.stack(outer), torch.stack(inner)


def reference(x, target, prior, guidance, noise, *, tau, s, k, rho, masking="every-step"):
    """The update rule of the paper, one line a clause."""
    schedule, weights = prior.schedule, guidance
    z = schedule.q_sample(x, tau - 1, noise.draw("start", 0))
    x_t, outer, inner = x, None, None
    for step in range(tau):
        i = tau - 1 - step
        post = prior.posterior(z, i)
        if step > 0:
            x_t = post.x0 if inner is None else inner * post.x0 + ~inner * x
        at = x_t.clone().requires_grad_()
        class_loss = (weights.lambda_class * -weights.classifier.margin(at, target)).sum()
        (class_gradient,) = torch.autograd.grad(class_loss, at)
        at = x_t.clone().requires_grad_()
        distance = weights.perceptual(at) - weights.perceptual(x)
        perceptual_loss = 30 * distance.square().mean(dim=(1, 2, 3)).sum()
        (perceptual_gradient,) = torch.autograd.grad(perceptual_loss, at)
        total = class_gradient + perceptual_gradient + 0.05 * (x_t - x).sign()
        if masking == "every-step" or (masking == "first-step" and step == 0):
            outer, inner = masks_from(class_gradient, k, rho, 5)
        root = schedule.alphas_cumprod[i] ** 0.5
        inside = post.mean - post.variance * s * total / root
        if i > 0:
            inside = inside + (0.5 * post.log_variance).exp() * noise.draw("posterior", step)
        outside = x if i == 0 else schedule.q_sample(x, i - 1, noise.draw("outside", step))
        z = inside if outer is None else outer * inside + ~outer * outside
    return z, outer, inner


@pytest.mark.parametrize("masking", ["every-step", "first-step", "none"])
@pytest.mark.parametrize(("s", "k", "rho"), [(8.0, 0.05, 0.5), (1.0, 0.1, 1.0)])
def test_maskdime_follows_the_papers_equations(world, masking, s, k, rho):
    x, target, prior, guidance, noise = world
    settings = {"tau": 7, "guidance_scale": s, "top_k": k, "rho": rho}
    ours = method("maskdime", **settings, masking=masking).explain(
        x, target, prior=prior, guidance=guidance, noise=noise
    )
    z, outer, inner = reference(
        x, target, prior, guidance, noise, tau=7, s=s, k=k, rho=rho, masking=masking
    )
    torch.testing.assert_close(ours.x_cf, z, atol=1e-5, rtol=0)
    if masking != "none":
        assert torch.equal(ours.mask_z, outer)
        assert torch.equal(ours.mask_x, inner)
    assert ours.nfe.tolist() == [7, 7, 7]


def test_pixels_outside_the_last_mask_are_the_input(world):
    x, target, prior, guidance, noise = world
    ours = method("maskdime", tau=5).explain(x, target, prior=prior, guidance=guidance, noise=noise)
    outside = ~ours.mask_z.expand_as(x)
    assert outside.any()
    assert torch.equal(ours.x_cf[outside], x[outside])


def test_release_leaves_noise_outside_the_mask(world):
    x, target, prior, guidance, noise = world
    ours = method("maskdime-released", tau=5).explain(
        x, target, prior=prior, guidance=guidance, noise=noise
    )
    outside = ~ours.mask_z.expand_as(x)
    assert 0 < (ours.x_cf - x)[outside].abs().max() < 0.2
