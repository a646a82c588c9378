"""A page on which a person paints where images may change."""
