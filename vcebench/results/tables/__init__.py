"""The papers' tables: layouts, published and measured rows in them, and how they are printed."""
