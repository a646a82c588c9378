"""Recipes that train the embedded data sets' networks on a CPU."""
