"""What the process imports that runs are forked from (dagster_runtime/warm_runs.py): all that an hour's run needs."""

from streaming_assets import definitions
from streaming_assets.dagster_runtime.dbt import DbtRunner
from streaming_assets.dagster_runtime.warm_runs import become_template
from streaming_assets.settings import get_settings

DbtRunner(get_settings()).load()
become_template(definitions.__name__)
