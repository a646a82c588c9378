"""Metrics for visual counterfactual explanations: pure functions and a registry."""
