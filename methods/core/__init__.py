"""The loops and what they share: tensors, no files, no data sets."""
