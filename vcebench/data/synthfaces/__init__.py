"""Synthetic faces with known causes: a causal model, a renderer and their true counterfactuals."""

from vcebench.data.rendered.dataset import true_region
from vcebench.data.synthfaces.dataset import SynthFaces
from vcebench.data.synthfaces.factors import Factors
from vcebench.data.synthfaces.render import render

__all__ = ["Factors", "SynthFaces", "render", "true_region"]
