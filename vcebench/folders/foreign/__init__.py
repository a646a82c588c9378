"""Folders of counterfactuals that somebody else's program wrote."""
