"""What to do about each condition: the entries of docs/runbook.md, which is made of them."""

from dataclasses import dataclass, replace

from streaming_assets.monitoring.conditions import Condition
from streaming_assets.partitions import spans

SPANS_TYPED = 3  # of hours, for which commands are given; with more the person chooses


@dataclass(frozen=True)
class Entry:
    """What a condition means, what to look at, what to type; START and END in a command are filled in."""

    meaning: str
    look: str
    commands: tuple[str, ...]


_RERUN = ("streaming-assets backfill START END",)
ENTRIES = {
    "run_failed": Entry(
        "The last run over these hours failed, and none has done them since.",
        "The run's page: its first red step. A fault of disk, network or access is put right first; a bad hour is "
        "named by its error.",
        ("streaming-assets backfill START END", "streaming-assets reconcile"),
    ),
    "hour_stale": Entry(
        "Events come no further than that: nothing arrived, or what arrived was not run.",
        "In this order: does the daemon run, is a sensor off or in error, do runs wait (for the warehouse: their log "
        "names who has it) or fail, does the sink write, do events come at all (the newest object's hour).",
        ("streaming-assets status", "streaming-assets reconcile"),
    ),
    "hour_missing": Entry(
        "Objects of these hours are in the lake, and no run took them in.",
        "The sensor lake_objects: on, without error? Are runs over these hours queued or failed?",
        ("streaming-assets reconcile",),
    ),
    "lag_growing": Entry(
        "The sink brings in less than arrives.",
        "Whether the sink runs and what its log says (HOME/logs/sink.log), or Connect's tasks; then whether traffic "
        "grew. docs/sinks.md says what a sink takes.",
        ("streaming-assets kafka status",),
    ),
    "disk_nearly_full": Entry(
        "When the disk is full, runs, sink and Dagster fail, and go on once there is room.",
        "The sizes, which status shows. The lake grows with its events; the event log shrinks by its retention.",
        ("streaming-assets status", "streaming-assets settings"),
    ),
    "forgetting_unfinished": Entry(
        "`streaming-assets forget` was begun and has not ended: what arrives of these people is kept out, and tables "
        "or snapshot may still tell of them.",
        "Whether the command still runs (HOME/forget.lock is locked). If not, the same command does the rest; who it "
        "was for is known to whoever asked, the lake has hashes alone (docs/privacy.md).",
        ("streaming-assets forget --users FILE",),
    ),
    "sensor_failing": Entry(
        "What the sensor does is not done as long as it errs.",
        "Automation in Dagster's pages: the sensor's last tick has the error. Most often the lake or the warehouse "
        "can't be reached, or credentials have expired.",
        ("streaming-assets status", "streaming-assets reconcile"),
    ),
    "not_running": Entry(
        "This part of the system does not answer.",
        "Its log, in HOME/logs on a laptop; there `make dev` starts all parts, and starts one again that ended.",
        ("streaming-assets dev",),
    ),
    "snapshot_unreadable": Entry(
        "Readers and dashboards can't read the published snapshot. The next run publishes it anew.",
        "Whether the folder can be read, and whether somebody wrote into it.",
        _RERUN,
    ),
    "cannot_look": Entry(
        "This could not be looked at, so nothing is known of it.",
        "The message says what stood in the way: access, an address, a file.",
        ("streaming-assets settings",),
    ),
}


_REPAIR = 'docs/reliability.md, "Repair rows in quarantine", has the way.'
# By the name of the check; the tests of dbt have one entry.
CHECKS = {
    "objects_are_readable": Entry(
        "An object of the hour can't be read, so its rows are in no table.",
        "The check's findings name object and reason. Replace it, or remove it: the hour is then run again.",
        ("streaming-assets reconcile",),
    ),
    "rows_are_accounted_for": Entry(
        "Of an hour's rows some are neither staged, repeats, quarantined nor filtered: the hour was written half, or a "
        "model is wrong.",
        "The counts in the check's metadata. If they differ after the hour was run again, the models are at fault.",
        _RERUN,
    ),
    "offsets_are_contiguous": Entry(
        "Records that the broker numbered are not in the lake; those of dead letters and of forgotten people aside.",
        "First and last missing offset in the findings. Where the broker still has them, a new consumer group reads "
        "them again; the check passes when they arrived and the later hour was run. sink.json lists what the broker "
        "lost.",
        ("streaming-assets sink --help", "streaming-assets backfill START END"),
    ),
    "share_in_quarantine": Entry(
        "More of a topic's rows in an hour than STREAMING_ASSETS_QUARANTINE_WARN_SHARE could not be used.",
        f"Topic and reason in the findings; schema_follows_contract shows a field that is new. {_REPAIR}",
        ("streaming-assets contract check",),
    ),
    "no_hour_wholly_in_quarantine": Entry(
        "Not one row of a topic's hour could be used: the producer changed, or the contract is wrong.",
        f"The reason in stg_quarantine. {_REPAIR}",
        ("streaming-assets contract check", "streaming-assets backfill START END"),
    ),
    "fields_are_as_usual": Entry(
        "An hour departs from its topic's contract: a field absent more often than its `usual.nulls`, a value not "
        "among its `values`, or a mean out of `usual.mean`.",
        "Topic, field and value in the findings. If the producer meant it, the contract follows: "
        "docs/add-an-event-type.md.",
        ("streaming-assets contract check",),
    ),
    "schema_follows_contract": Entry(
        "A field arrives that no contract names or, in more than 5 % of rows and what chance adds to that, a required "
        "one is missing or one has another type than its contract says. A renamed field shows by both names.",
        "Topic, field, types and rows in the findings; since when, in `history` at the newest hours of "
        "staging/schema_drift. The command proposes lines for the contract; rows in quarantine are repaired after it: "
        f"{_REPAIR}",
        ("streaming-assets contract check", "streaming-assets backfill START END"),
    ),
    "records_agree": Entry(
        "Copies of an event, within an hour or a day apart, or records of a user contradict each other "
        "(docs/metrics.md has the rules).",
        "What and how many in the findings; it is the producer's to mend.",
        _RERUN,
    ),
    "level_agrees_with_history": Entry(
        "More of an hour's listeners than 3 %, and what chance adds to that, listen at another level than the "
        "announced one: announcements are missing or late.",
        "Whether status_change_events has a gap of offsets or hours in quarantine.",
        _RERUN,
    ),
    "tables_hold_the_lake": Entry(
        "Hours whose objects the tables do not hold as the lake does; the daily reconciliation asked for them.",
        "Hour and reason in the findings, then the runs over these hours.",
        ("streaming-assets reconcile",),
    ),
    "lake_still_holds_its_rows": Entry(
        "Objects whose rows the tables hold are gone from the lake. The hours are left alone, so nothing is lost yet.",
        "Who removed them: a life cycle, a person. Put them back; or accept it, and the rows go with a rebuild.",
        ("streaming-assets reconcile", "streaming-assets rebuild"),
    ),
    "no_strays_in_the_lake": Entry(
        "Files below the topics' folders that are no event objects, or of hours that are no partitions. None is read.",
        "Their names in the findings: move them away, or set STREAMING_ASSETS_FIRST_HOUR to an earlier hour.",
        ("streaming-assets settings", "streaming-assets reconcile"),
    ),
    "sink_is_healthy": Entry(
        "Records wait longer than 15 minutes, a connector does not run, or the broker dropped records.",
        "The check's problems, HOME/logs/sink.log, Connect's tasks (docs/sinks.md).",
        ("streaming-assets kafka status", "streaming-assets status"),
    ),
    "days_are_published": Entry(
        "The published snapshot lacks days that the tables have.",
        "The findings name table and day. The next run publishes them; if it refuses one, its log says why.",
        _RERUN,
    ),
    "freshness_check": Entry(
        "The hour that ended is not in the facts half an hour later. Alerts tell it as hour_stale.",
        "See hour_stale.",
        ("streaming-assets status",),
    ),
}
DBT_TEST = Entry(
    "A test of dbt found rows that break it (a key twice, a null, a value or reference unknown or out of range).",
    "failing_hours in the verdict's metadata, and the test's SQL under the dbt name there. After the cause is mended "
    "the hours are run again, which settles the verdict.",
    _RERUN,
)

TASKS = {
    "forget a person": Entry(
        "Takes them out of the lake, all tables and the snapshot, and keeps out what arrives of them. It can't be "
        "undone.",
        "docs/privacy.md: what it reaches and what not. All tables are made anew, so live hours wait: do it by night, "
        "for all who asked together.",
        ("streaming-assets forget --user 17", "streaming-assets forget --users FILE"),
    ),
    "make a backup": Entry(
        "Copies tables, snapshot, Dagster's runs and events while all runs. The lake is kept apart, and first of all.",
        'docs/operations.md, "Backup". A folder that is there is whole.',
        ("streaming-assets backup FOLDER",),
    ),
    "restore a backup": Entry(
        "Puts it into a home without a system, then takes in what arrived since.",
        "End what runs, and move away what `restore` names. The backup holds people who were forgotten since: forget "
        "them again.",
        (
            "streaming-assets restore FOLDER",
            "streaming-assets reconcile",
            "streaming-assets forget --users FILE",
        ),
    ),
    "move to another bucket or folder": Entry(
        "Objects keep their names below the lake's root, so tables stay; an hour whose content can't be told to be the "
        "same is run again.",
        "Stop the sink; copy all objects (`gcloud storage rsync`, `rsync`): `raw/`, `sealed/`, `forgotten/`, "
        "`expired/`; set STREAMING_ASSETS_LAKE_URL for all processes, start them, then reconcile.",
        ("streaming-assets settings", "streaming-assets reconcile"),
    ),
    "seal old hours": Entry(
        "Makes one file of an hour's small objects of a topic. Tables stay; what comes later is read beside it.",
        "docs/sealed-hours.md: who else reads the lake by its objects' names. `--dry-run` changes nothing.",
        ("streaming-assets seal --dry-run", "streaming-assets seal --older-than 30"),
    ),
    "repair quarantined rows": Entry(
        "Delivers corrected events. The quarantined rows stay as a record, and checks no longer tell of them; "
        "repeating it adds nothing.",
        'docs/reliability.md, "Repair rows in quarantine": what `raw_text` is, and how to read it.',
        ("streaming-assets replay listen_events FILE --to lake", "streaming-assets reconcile"),
    ),
    "replay a day from Kafka": Entry(
        "Writes again what the topics still hold of it: objects of the same names, or rows that fold as copies, so "
        "none counts twice.",
        "Stop all of the sink; set its group back with Kafka's own tool (`kafka-consumer-groups --reset-offsets "
        "--to-datetime DAY --group GROUP --all-topics --execute`; GROUP is STREAMING_ASSETS_SINK_GROUP_ID, of Connect "
        "`connect-events-to-lake`); start it; when its lag is 0, reconcile. What retention deleted is in the lake "
        "alone.",
        ("streaming-assets settings", "streaming-assets status", "streaming-assets reconcile"),
    ),
    "upgrade this project": Entry(
        "Takes the new version's code; tables of another version are refused, and made anew by one command.",
        "docs/upgrading.md. Make a backup, end what runs, install, start; if it says that the tables are of another "
        "version, rebuild.",
        ("streaming-assets backup FOLDER", "streaming-assets status", "streaming-assets rebuild"),
    ),
    "rebuild a month": Entry(
        "Runs its hours again, a week in each run, and live hours between them. Readers have the former days until a "
        "run has published the new ones, in one move.",
        "After a change of models or of the reference. Rows that the lake has no more stay in the tables: what must go "
        "needs `streaming-assets rebuild`.",
        _RERUN,
    ),
}


def entry_of(condition: Condition) -> Entry:
    """The entry of a condition, its commands with the condition's hours."""
    if condition.kind == "check_failing":
        entry = CHECKS.get(condition.subject.rpartition(": ")[2], DBT_TEST)
    else:
        entry = ENTRIES[condition.kind]
    found = spans(condition.hours)
    if not 0 < len(found) <= SPANS_TYPED:
        return entry
    typed = [
        command.replace("START", f"{start:%Y-%m-%dT%H:%MZ}").replace("END", f"{end:%Y-%m-%dT%H:%MZ}")
        for command in entry.commands
        for start, end in found
    ]
    return replace(entry, commands=tuple(dict.fromkeys(typed)))
