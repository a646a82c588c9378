"""Figures, printed and measured, and the tables and claims made from them."""
