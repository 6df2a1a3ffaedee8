"""The rehearsal: faults put into the running system, its alerts received, the runbook typed, its tables compared."""
