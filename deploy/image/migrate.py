"""Brings Dagster's tables to this image's version, or makes them, before any part starts.

Web server and daemon must not make them at once, and the pool's limit must be there before the first look at the
queue, which otherwise lets every waiting run in.
"""

from dagster import DagsterInstance

from streaming_assets.dagster_runtime.instance import WAREHOUSE_POOL

if __name__ == "__main__":
    with DagsterInstance.get() as instance:
        instance.upgrade(print)
        storage = instance.event_log_storage
        if WAREHOUSE_POOL not in storage.get_concurrency_keys():  # asked twice, PostgreSQL's storage fails
            storage.initialize_concurrency_limit_to_default(WAREHOUSE_POOL)
