"""The local Dagster instance: its home folder, its dagster.yaml, the environment of its processes."""

import hashlib
import json
import re
from pathlib import Path

from streaming_assets.files import locked, replaced
from streaming_assets.home import check_home
from streaming_assets.settings import Settings, env_name

EVENT_BATCH_SIZE = 10_000  # events; a longer range is stored in several batches
# Without a sign of life of its parent for so long, the process with the definitions ends, and nothing restarts it.
# Dagster's default of 30 s passes on a machine that is short of processors.
CODE_SERVER_PATIENCE_SECONDS = 300
WAREHOUSE_POOL = "warehouse"

_CONFIG = """\
telemetry:
  enabled: false
nux:
  enabled: false

# Runs that a click or a sensor of Dagster's own launches would print each event, thousands for a day of hours; the
# event log has them all.
python_logs:
  python_log_level: INFO

{event_log_storage}\
# One run at a time in a pool, so no two write the warehouse. Granularity `op` would let runs in that then
# wait inside their processes, and take turns between steps.
concurrency:
  pools:
    default_limit: 1
    granularity: run
  runs:
    max_concurrent_runs: 2  # one on the warehouse, one on anything else
run_queue:
  dequeue_interval_seconds: 1  # the default of 5 is felt in how fresh the data is
  # While the code server is away, runs wait for it: five minutes, then they fail.
  max_user_code_failure_retries: 20
  user_code_failure_retry_delay: 15

# A failed hour is asked for again when its objects change; repeating it at once fails again.
run_retries:
  enabled: false
{run_launcher}\
# Ends runs that hang while they start or are cancelled: in a pool of one they would block all others.
run_monitoring:
  enabled: true
  start_timeout_seconds: 180
  cancel_timeout_seconds: 60
  poll_interval_seconds: 15

# Else the object sensor, which waits for objects in its ticks, would hold up the others.
sensors:
  use_threads: true
  num_workers: 4

# The object sensor looks every few seconds and nearly always finds nothing new.
retention:
  sensor:
    purge_after_days: {{skipped: 1, success: 30, failure: 30, started: 1}}
  schedule:
    purge_after_days: {{skipped: 7, success: 90, failure: 90, started: 7}}
"""
# Dagster's own are used where these blocks are missing (STREAMING_ASSETS_DAGSTER_RUNTIME=stock).
_EVENT_LOG_STORAGE = """\
# A batch of partition events in one transaction. It takes DAGSTER_EVENT_BATCH_SIZE in every process.
event_log_storage:
  module: streaming_assets.dagster_runtime.event_log
  class: BatchedSqliteEventLogStorage
  config:
    base_dir: {event_log}

"""
_RUN_LAUNCHER = """\
# The launcher tells run monitoring which runs' processes are gone (run_launcher.py), so that these are ended, too.
run_launcher:
  module: streaming_assets.dagster_runtime.run_launcher
  class: WatchfulRunLauncher
"""
_FIRST_LINE = (
    "# Written by streaming-assets ({digest}); once you edit this file it is yours and left alone.\n"
)
_OURS = re.compile(re.escape(_FIRST_LINE).replace(re.escape("{digest}"), "([0-9a-f]{12})"))


def dagster_environment(settings: Settings) -> dict[str, str]:
    """What web server, daemon, code server and backfill need in their environment, to be one instance."""
    return {
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_EVENT_BATCH_SIZE": str(EVENT_BATCH_SIZE),
        "DAGSTER_GRPC_PROXY_HEARTBEAT_TTL_SECONDS": str(CODE_SERVER_PATIENCE_SECONDS),
        env_name("home"): str(settings.home),
    }


def prepare_dagster_home(settings: Settings) -> Path:
    """Make `settings.dagster_home` ready for processes to start, and return it.

    Writes dagster.yaml if there is none, or if it is one that this function wrote, nobody edited and is
    outdated. The first time, it makes the databases too (a second or two): Dagster's storages break when
    web server and daemon create them at once.
    """
    check_home(settings.home)
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / ".prepare.lock"):
        _write_config(home, is_stock=settings.dagster.runtime == "stock")
        created = home / ".created"
        if not created.exists():
            _create_databases(home)
            created.touch()
    return home


def _write_config(home: Path, *, is_stock: bool) -> None:
    folder = json.dumps(str(home / "event_log"))  # a JSON string is a YAML string
    body = _CONFIG.format(
        event_log_storage="" if is_stock else _EVENT_LOG_STORAGE.format(event_log=folder),
        run_launcher="" if is_stock else _RUN_LAUNCHER,
    )
    wanted = _FIRST_LINE.format(digest=_digest(body)) + body
    path = home / "dagster.yaml"
    found = path.read_text() if path.exists() else None
    if found == wanted or (found is not None and not _unedited(found)):
        return
    with replaced(path) as incoming:
        incoming.write_text(wanted)


def _unedited(text: str) -> bool:
    first = _OURS.match(text)
    return first is not None and first[1] == _digest(text[first.end() :])


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:12]


def _create_databases(home: Path) -> None:
    from dagster import DagsterInstance  # the import takes a second that later starts don't need

    with DagsterInstance.from_config(str(home)) as instance:
        # Else the first look at the queue knows no limit yet and lets every waiting run in.
        instance.event_log_storage.initialize_concurrency_limit_to_default(WAREHOUSE_POOL)
