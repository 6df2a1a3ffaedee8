"""Contracts made from samples, and held to the project and the lake; behind `streaming-assets contract`."""
