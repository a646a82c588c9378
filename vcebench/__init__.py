"""Benchmark and evaluation suite for visual counterfactual explanations."""

__version__ = "0.1.0"
