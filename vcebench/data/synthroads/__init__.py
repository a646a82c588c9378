"""Driving scenes with known causes: a causal model, a renderer and their true counterfactuals."""

from vcebench.data.synthroads.dataset import SynthRoads
from vcebench.data.synthroads.factors import Factors
from vcebench.data.synthroads.render import render

__all__ = ["Factors", "SynthRoads", "render"]
