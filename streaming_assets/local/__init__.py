"""The whole system on one machine: what `make dev` runs, and in which order."""
