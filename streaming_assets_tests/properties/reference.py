"""What the warehouse must hold, computed in plain Python from the lake's bytes: no SQL, no increments, no cleverness.

Written from the models' descriptions and docs, to be compared with what dbt makes of the same lake. A table is a list
of rows, a row a mapping of column to value: int, str, bool, Decimal, date, datetime (UTC, naive) or None.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from streaming_assets.text import fold
from streaming_assets_tests.properties.reference_staging import (
    EPOCH,
    MILLISECOND,
    NAMED,
    VARS,
    Line,
    Row,
    Tables,
    expected_staging,
    hundredths,
    postal_code,
    state_code_or_none,
    surrogate_key,
    trimmed,
)

CATEGORY_OF = {page: category for category, pages in VARS["page_categories"].items() for page in pages}
FOREVER = datetime(9999, 1, 1)
DAY = timedelta(days=1)


def expected_tables(lines: Iterable[Line], songs: list[Row], locations: list[Row]) -> Tables:
    """All staging tables, dimensions, facts and marts, given every line of the lake and the reference files' rows."""
    lines = list(lines)
    tables = expected_staging(lines)
    listens, views = tables["stg_listen_events"], tables["stg_page_view_events"]
    tables["dim_users"] = _users(
        tables["stg_users"], _earliest(tables["stg_status_change_events"]), listens + views
    )
    newest = max(line.hour for line in lines) + timedelta(hours=1)
    tables["dim_current_users"] = _current_users(tables["dim_users"], newest)
    named = tables.pop(NAMED)
    tables["dim_songs"] = _songs(songs, [row for row in named if row["topic"] == "listen_events"])
    tables["dim_locations"] = _locations(locations, named)
    tables["dim_pages"] = _pages(views)
    in_force = _user_rows(tables["dim_users"])
    tables["fact_listen_events"] = [_listen_fact(row, in_force) for row in _earliest(listens)]
    sessions = list(_sessions(_earliest(views)))
    tables["fact_session_events"] = [_session_fact(rows, in_force) for rows in sessions]
    tables["fact_churn_events"] = [row for rows in sessions for row in _departures(rows)]
    return tables | _session_marts(tables) | _stream_marts(tables)


def _earliest(rows: list[Row]) -> list[Row]:
    """Of an event's copies in several ingestion hours, that of the earliest."""
    chosen: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: row["bucket_ingestion_datetime"]):
        chosen.setdefault(row["event_id"], row)
    return list(chosen.values())


# Dimensions


def _users(infos: list[Row], changes: list[Row], events: list[Row]) -> list[Row]:
    records: dict[int, Row] = {}
    for row in sorted(infos, key=lambda row: (row["event_datetime"], row["bucket_ingestion_datetime"])):
        records.setdefault(row["user_id"], row)
    changes_of = defaultdict(list)
    for row in sorted(
        changes, key=lambda row: (row["event_datetime"], row["session_id"], row["item_in_session"])
    ):
        changes_of[row["user_id"]].append(row)
    rows = []
    for user_id in {row["user_id"] for row in [*infos, *changes, *events]}:
        record = records.get(user_id)
        start = record["registration_datetime"] if record else EPOCH
        # (from when, level before, level after); changes of one moment are one change.
        steps = [[start, None, record["level"] if record else None]]
        for change in changes_of[user_id]:
            after = "paid" if change["prev_level"] == "free" else "free"
            if change["event_datetime"] == steps[-1][0] and len(steps) > 1:
                steps[-1][2] = after
            elif change["event_datetime"] > start:
                steps.append([change["event_datetime"], change["prev_level"], after])
        for number, (effective, _, after) in enumerate(steps):
            following = steps[number + 1] if number + 1 < len(steps) else None
            rows.append(
                {
                    "pk_user": surrogate_key(user_id, (effective - EPOCH) // MILLISECOND),
                    "user_id": user_id,
                    "first_name": record and record["first_name"],
                    "last_name": record and record["last_name"],
                    "gender": record and record["gender"],
                    "registration_datetime": record and record["registration_datetime"],
                    # The change that ends a row says which level it ends.
                    "level": following[1] if following else after,
                    "row_effective_datetime": effective,
                    "row_expiry_datetime": following[0] if following else FOREVER,
                    "is_first_row": number == 0,
                    "is_inferred": record is None,
                }
            )
    return rows


def _current_users(users: list[Row], as_of: datetime) -> list[Row]:
    in_force = {}
    for row in sorted(users, key=lambda row: row["row_effective_datetime"]):
        if row["row_effective_datetime"] <= as_of or row["user_id"] not in in_force:
            in_force[row["user_id"]] = row
    left_out = ("row_expiry_datetime", "is_first_row")
    return [
        {name: value for name, value in row.items() if name not in left_out} | {"as_of_datetime": as_of}
        for row in in_force.values()
    ]


def _user_rows(users: list[Row]) -> Callable[[int, datetime], str]:
    """Finds the key of the row in force: a user's first row also covers what came before it."""
    by_user = defaultdict(list)
    for row in sorted(users, key=lambda row: row["row_effective_datetime"]):
        by_user[row["user_id"]].append(row)

    def in_force(user_id: int, moment: datetime) -> str:
        rows = by_user[user_id]
        begun = [row for row in rows if row["row_effective_datetime"] <= moment]
        return (begun[-1] if begun else rows[0])["pk_user"]

    return in_force


def _song_key(artist: str | None, title: str | None, duration: Decimal) -> str:
    return surrogate_key(_fold(artist), _fold(title), int(duration * 100))


def _fold(text: str | None) -> str | None:
    return None if text is None else fold(text)


def _songs(reference: list[Row], listens: list[Row]) -> list[Row]:
    rows: dict[str, Row] = {}
    for song in sorted(
        reference,
        key=lambda song: (
            song["genre"] is None,
            song["genre"] or "",
            song["artist"],
            song["title"],
            song["track_id"],
        ),
    ):
        duration = hundredths(Decimal(str(song["duration"])))
        key = _song_key(song["artist"], song["title"], duration)
        row = {"artist": song["artist"], "title": song["title"], "duration": duration, "genre": song["genre"]}
        rows.setdefault(key, {"pk_song": key, **row, "is_inferred": False})
    for listen in listens:
        duration = hundredths(listen["duration"])
        key = _song_key(listen["artist"], listen["song"], duration)
        row = {"artist": listen["artist"], "title": listen["song"], "duration": duration, "genre": None}
        member = rows.setdefault(key, {"pk_song": key, **row, "is_inferred": True})
        _lessen(member, row, "artist", "title")
    return list(rows.values())


def _lessen(member: Row, row: Row, *names: str) -> None:
    """Of several spellings of an inferred member the least stands for it."""
    for name in names if member["is_inferred"] else ():
        spellings = [text for text in (member[name], row[name]) if text is not None]
        member[name] = min(spellings, default=None)


def _locations(reference: list[Row], events: list[Row]) -> list[Row]:
    rows: dict[str, Row] = {}

    def add(
        country: str, raw: str | None, city: str | None, state: str | None, code: str, inferred: bool
    ) -> None:
        standard = postal_code(raw, country)
        named = {"raw_postal_code": raw, "city": trimmed(city) or "NO CITY"}
        key = surrogate_key(country, standard, _fold(named["city"]), code)
        row = {"country_code": country, "standardised_postal_code": standard, "state_code": code, **named}
        row |= {"pk_location": key, "state": trimmed(state) or "NO STATE", "is_inferred": inferred}
        _lessen(rows.setdefault(key, row), named, "raw_postal_code", "city")

    for place in sorted(
        reference,
        key=lambda place: (
            trimmed(place["state"]) or "NO STATE",
            trimmed(place["city"]) or "NO CITY",
            (place["postal_code"] is None, place["postal_code"] or ""),
        ),
    ):
        code = state_code_or_none(place["state_code"])
        add(place["country_code"], place["postal_code"], place["city"], place["state"], code, False)
    for event in events:
        code = state_code_or_none(event["state"])
        add("US", event["zip"], event["city"], VARS["us_states"].get(code, code), code, True)
    return list(rows.values())


def _pages(views: list[Row]) -> list[Row]:
    return [
        {
            "pk_page": surrogate_key(page),
            "page_name": page,
            "page_category": CATEGORY_OF.get(page, "UNKNOWN"),
            "is_inferred": page not in CATEGORY_OF,
        }
        for page in {*CATEGORY_OF, *(view["page"] for view in views)}
    ]


# Facts


def _place_key(row: Row) -> str:
    return surrogate_key("US", row["postal_code"], fold(row["city"]), row["state"])


def _listen_fact(row: Row, in_force: Callable[[int, datetime], str]) -> Row:
    columns = ("event_datetime", "event_id", "user_id", "session_id", "level", "bucket_ingestion_datetime")
    return {column: row[column] for column in columns} | {
        "pk_user": in_force(row["user_id"], row["event_datetime"]),
        "pk_location": _place_key(row),
        "pk_song": _song_key(row["artist"], row["song"], row["duration"]),
    }


def _sessions(views: list[Row]) -> Iterable[list[Row]]:
    """The page views of each session in order: one (user, session id), no more than a day between two of them."""
    by_id = defaultdict(list)
    for view in sorted(
        views, key=lambda view: (view["event_datetime"], view["item_in_session"], view["event_id"])
    ):
        by_id[view["user_id"], view["session_id"]].append(view)
    for rows in by_id.values():
        session = [rows[0]]
        for row in rows[1:]:
            if row["event_datetime"] - session[-1]["event_datetime"] > DAY:
                yield session
                session = []
            session.append(row)
        yield session


def _session_fact(rows: list[Row], in_force: Callable[[int, datetime], str]) -> Row:
    first, last = rows[0], rows[-1]
    free = [row["ad_revenue"] or Decimal(0) for row in rows if row["level"] == "free"]
    return {
        "session_start_datetime": first["event_datetime"],
        "session_id": first["session_id"],
        "pk_user": in_force(first["user_id"], first["event_datetime"]),
        "pk_location": _place_key(first),
        "pk_entry_page": surrogate_key(first["page"]),
        "session_seconds": (last["event_datetime"] - first["event_datetime"]) // timedelta(seconds=1),
        "num_pages_visited": len(rows),
        "num_ads_served": sum(row["page"] == "PlayAd" for row in rows),
        "total_ad_revenue": sum(free, Decimal(0)) if free else None,
        "session_end_datetime": last["event_datetime"],
        "user_id": first["user_id"],
        "level": first["level"],
        "last_ingestion_datetime": max(row["bucket_ingestion_datetime"] for row in rows),
    }


def _departures(rows: list[Row]) -> Iterable[Row]:
    reason = "NO PAGE"
    departures = {"Cancel": "cancelled", "Submit Downgrade": "downgraded"}
    columns = ("event_datetime", "event_id", "user_id", "session_id", "level", "bucket_ingestion_datetime")
    for row in rows:
        if row["page"] in departures:
            yield {column: row[column] for column in columns} | {
                "session_start_datetime": rows[0]["event_datetime"],
                "pk_location": _place_key(row),
                "departure": departures[row["page"]],
                "reason_page": reason,
            }
        elif row["page"] not in ("Settings", "Downgrade"):
            reason = row["page"]


# Marts


def _grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> Mapping[Any, list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _session_marts(tables: Tables) -> Tables:
    days = _grouped(tables["fact_session_events"], lambda row: row["session_start_datetime"].date())
    weeks = _grouped(
        tables["fact_session_events"],
        lambda row: row["session_start_datetime"].date() - row["session_start_datetime"].weekday() * DAY,
    )
    return {
        "mart_daily_active_users": [
            {"event_date": day, "level": level, "active_users": len(_users_of(rows, level))}
            for day, rows in days.items()
            for level in ("free", "paid", "all")
            if _users_of(rows, level)
        ],
        "mart_daily_ad_revenue": [
            {"event_date": day, "ads_served": ads, "ad_revenue": usd}
            for day, rows in days.items()
            for ads, usd in [_ads(rows)]
        ],
        "mart_weekly_users": [
            {
                "week_start": week,
                "users": len(_users_of(rows, "all")),
                "paid_users": len(_users_of(rows, "paid")),
                "free_users": len(_users_of(rows, "all") - _users_of(rows, "paid")),
                "ads_served": ads,
                "ad_revenue": usd,
            }
            for week, rows in weeks.items()
            for ads, usd in [_ads(rows)]
        ],
    }


def _users_of(sessions: list[Row], level: str) -> set[int]:
    return {row["user_id"] for row in sessions if level in ("all", row["level"])}


def _ads(sessions: list[Row]) -> tuple[int, Decimal]:
    usd = sum((row["total_ad_revenue"] or Decimal(0) for row in sessions), Decimal(0))
    return sum(row["num_ads_served"] for row in sessions), usd


def _stream_marts(tables: Tables) -> Tables:
    songs = {row["pk_song"]: row for row in tables["dim_songs"]}
    states = {row["pk_location"]: row["state_code"] for row in tables["dim_locations"]}
    streams = [
        {"event_date": row["event_datetime"].date(), "state_code": state, **songs[row["pk_song"]]}
        for row in tables["fact_listen_events"]
        for state in (states[row["pk_location"]], "ALL")
    ]

    def by(*columns: str) -> list[Row]:
        groups = _grouped(streams, lambda row: tuple(row[column] for column in columns))
        return [dict(zip(columns, key, strict=True)) | {"streams": len(rows)} for key, rows in groups.items()]

    by_state = by("event_date", "state_code")
    by_genre = by("event_date", "state_code", "genre")
    return {
        "mart_daily_streams": by("event_date", "state_code", "pk_song"),
        "mart_daily_song_streams": by("event_date", "state_code", "pk_song", "title", "artist"),
        "mart_daily_artist_streams": by("event_date", "state_code", "artist"),
        "mart_daily_genre_streams": [row | {"genre": row["genre"] or "Unknown"} for row in by_genre],
        "mart_daily_state_streams": [
            row | {"state": VARS["us_states"].get(row["state_code"], row["state_code"])}
            for row in by_state
            if row["state_code"] != "ALL"
        ],
    }
