"""What is asked: configurations, presets, a person's own task."""
