"""The lake: object names, listing, reading and writing, on a folder or a bucket. Knows nothing of Dagster."""
