"""What of Dagster's and dbt's insides the project uses or replaces; docs/dagster-runtime.md has the bill."""
