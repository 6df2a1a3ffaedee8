"""The site, simulated: its users, their state machine, the events. Knows nothing of Dagster."""
