"""Tests of the assets: what the graph says of itself, and what its own steps do."""
