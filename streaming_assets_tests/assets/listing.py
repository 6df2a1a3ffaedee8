"""The graph as a list that people can read and compare; as a program, writes it to graph.json."""

import json
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg

LISTING = Path(__file__).with_name("graph.json")


def listing(defs: dg.Definitions) -> dict[str, Any]:
    """Assets with group, kinds and parents; checks, jobs, sensors and schedules by name."""
    graph = defs.resolve_asset_graph()
    return {
        "assets": {
            node.key.to_user_string(): {
                "group": node.group_name,
                "kinds": sorted(node.kinds),
                "parents": sorted(parent.to_user_string() for parent in node.parent_keys),
            }
            for node in sorted(graph.asset_nodes, key=lambda node: node.key)
        },
        "checks": sorted(f"{key.asset_key.to_user_string()}: {key.name}" for key in graph.asset_check_keys),
        "jobs": sorted(job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")),
        "sensors": {s.name: s.default_status.value for s in sorted(defs.sensors or [], key=lambda s: s.name)},
        "schedules": {
            s.name: f"{s.cron_schedule} {s.execution_timezone} {s.default_status.value}"
            for s in sorted(defs.schedules or [], key=lambda s: s.name)
            if isinstance(s, dg.ScheduleDefinition)
        },
    }


if __name__ == "__main__":
    from streaming_assets.definitions import build_defs
    from streaming_assets.settings import Settings

    with tempfile.TemporaryDirectory() as home:
        LISTING.write_text(json.dumps(listing(build_defs(Settings(home=Path(home)))), indent=2) + "\n")
