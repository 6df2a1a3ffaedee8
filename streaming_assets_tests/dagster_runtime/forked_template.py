"""The template of forked_graph.py: importing it is what makes a process one."""

from streaming_assets.dagster_runtime.warm_runs import become_template
from streaming_assets_tests.dagster_runtime import forked_graph

become_template(forked_graph.__name__)
