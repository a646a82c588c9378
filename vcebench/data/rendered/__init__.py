"""What the rendered data sets share: keyed noise, causal equations, a drawing surface, truth."""
