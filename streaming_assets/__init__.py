"""A Dagster asset graph over the events of a music-streaming site."""
