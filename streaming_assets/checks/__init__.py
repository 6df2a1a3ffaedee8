"""Asset checks: reconciliation, offsets, quarantine, freshness. They name hours and rows, and stop nothing."""
