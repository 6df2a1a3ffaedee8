"""Tools of others over what is published: their databases, datasets, metrics and dashboards, made of the project's own.

Knows nothing of Dagster.
"""
