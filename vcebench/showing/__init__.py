"""Pictures for people: figures, sheets of images, the report."""
