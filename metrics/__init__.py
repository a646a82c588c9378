"""Metrics for visual counterfactual explanations: pure functions and a registry.

Arrays or tensors go in, one number per image (or one per set) comes out; nothing here knows files,
networks or devices. Import what you need from its module:

- set distances: `frechet` (FID, moments), `sfid`, `kid`
- embeddings: `verification` (FVA, FS), `similarity` (S3)
- attributes: `attributes` (MNAC, CD, label correlation)
- classifier: `flip` (FR and its companions), `cout`
- images: `distances`, `causal` (against the true counterfactual), `diversity` (sigma_L)
- `registry`: what each metric id means; `populations`: which images it counts
- `outside`: a metric of somebody else's package
- `result`: per-image values to a `MetricValue` with a `bootstrap` interval, or a reason why not
"""
