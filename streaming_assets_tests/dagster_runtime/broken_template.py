"""A template that can't be one: it has a thread more, which a forked process would lack."""

import threading

from streaming_assets.dagster_runtime.warm_runs import become_template
from streaming_assets_tests.dagster_runtime import forked_graph

threading.Thread(target=threading.Event().wait, daemon=True).start()
become_template(forked_graph.__name__)
