"""As private_names.py, of dagster-dbt's modules: apart, since importing these costs a second and more."""

from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

__all__ = ["DbtCoreCliEventMessage"]
