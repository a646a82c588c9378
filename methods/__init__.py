"""Counterfactual generators: methods, masks, guidance and the guided reverse loop."""
