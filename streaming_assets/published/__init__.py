"""What readers have of the warehouse: a snapshot of its tables as files, published after each run, and ways to read it.

Whoever reads a snapshot sees one moment, whole, and stops nobody. Knows nothing of Dagster.
"""
