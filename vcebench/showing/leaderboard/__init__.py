"""Pages that rank methods: printed, imported, measured and re-made ones side by side."""
