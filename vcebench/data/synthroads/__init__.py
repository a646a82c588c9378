"""Driving scenes with known causes: a causal model, a renderer and their true counterfactuals."""
