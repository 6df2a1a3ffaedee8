"""The measuring programs run."""
