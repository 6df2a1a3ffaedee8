"""The statistics of the original program, and the same ones of a run of this one.

Each statistic is a ratio of two sums over users, so that its sampling error follows from clusters of users (a
user's events resemble each other, so that plain errors would be far too small).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

CLUSTERS = 50
REFERENCE_USERS = 200_000  # five runs of 40,000
DATA = Path(
    os.environ.get("STREAMING_ASSETS_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)
STATISTICS = DATA / "eventsim_reference_stats.json"

# Rows of the reference -> (rows of the run, what each counts as).
SHARES = {
    "page_share/shares": ("views", "page"),
    "page_by_level/free/shares": ("views where level = 'free'", "page"),
    "page_by_level/paid/shares": ("views where level = 'paid'", "page"),
    "state_share/shares": ("views", "concat_ws('|', page, method, status, auth, level)"),
    "level_share/shares": ("views", "level"),
    "auth_share/shares": ("views", "auth"),
    "auth_level_share/shares": ("views", "auth || '|' || level"),
    "method_share/shares": ("views", "method"),
    "status_share/shares": ("views", "status::varchar"),
    "ad_revenue/shares": ("views where page = 'PlayAd'", "ad_revenue::varchar"),
    "listen_level_share/shares": ("listens", "level"),
    "start_state_mix/shares": ("sessions", "auth || '|' || level"),
    "first_session_of_users/mix/shares": ("sessions where first", "auth || '|' || level"),
    "first_session_of_users/page_share/shares": (
        "views where session in (select session from sessions where first)",
        "page",
    ),
    "time_page_view/hour_share": ("views", "(ts // 3600000 % 24)::varchar"),
    "time_page_view/dow_share": ("views", "((ts // 86400000 + 3) % 7)::varchar"),
    "time_session_start/hour_share": ("starts", "(ts // 3600000 % 24)::varchar"),
    "time_session_start/dow_share": ("starts", "((ts // 86400000 + 3) % 7)::varchar"),
    "gender_users/shares": ("users where gender is not null", "gender"),
    "state_pageviews_top20/shares": ("views", "state"),
    "user_agent_pageviews_top10/shares": ("views", "agent"),
    "artist_top20/shares": ("listens", "artist"),
    "song_top20/shares": ("listens", "artist || ' / ' || song"),
}

# The same of the users that were seen, which the reference has of one of its seeds only.
SHARES_OF_USERS = {
    "state_users_top20": "state",
    "user_agent_users_top20": "agent",
    "first_name_users_top10": "first_name",
    "last_name_users_top10": "last_name",
}

# Distributions of the reference -> (rows of the run, value). Tested by mean and at each quantile.
DISTRIBUTIONS = {
    "events_per_session": ("sessions", "events"),
    "songs_per_session": ("sessions", "songs"),
    "session_length_s": ("sessions", "seconds"),
    "first_session_of_users/events_per_session": ("sessions where first", "events"),
    "gaps_s/all": ("gaps", "gap"),
    "gaps_s/into_3xx": ("gaps where redirect", "gap"),
    "gaps_s/song_to_song": ("gaps where page = 'NextSong' and previous = 'NextSong'", "gap"),
    "gaps_s/song_to_ad": ("gaps where page = 'PlayAd' and previous = 'NextSong'", "gap"),
    "gaps_s/into_ordinary_page": ("gaps where not redirect and page not in ('NextSong', 'PlayAd')", "gap"),
    "gaps_s/into_NextSong_from_other": ("gaps where page = 'NextSong' and previous <> 'NextSong'", "gap"),
    "sessions_per_user_week": ("users", "sessions / weeks"),
    "events_per_user": ("users", "events"),
    "listen_duration": ("listens", "duration"),
}

# Means of the reference -> (rows of the run, value).
MEANS = {
    "share_users_with_event": ("users", "(events > 0)::int"),
    "session_starts_per_user_week": ("users", "starts / weeks"),
    "status_change/per_user_week": ("users", "changes / weeks"),
}

# Counts of the reference's 40,000 users -> (rows of the run that are counted).
COUNTS = {
    "ad_revenue/sum": ("views where page = 'PlayAd'", "ad_revenue"),
    "status_change/level/free": ("views where page = 'Submit Upgrade'", "1"),
    "status_change/level/paid": ("views where page = 'Submit Downgrade'", "1"),
    "session_records/start_item0": ("starts", "1"),
    "session_records/start_item_gt0": ("started_again", "1"),
    "session_records/end": ("ends", "1"),
    "sessions/started_in_window": ("starts", "1"),
    "auth_events/success/True": ("announced where auth = 'Logged In'", "1"),
    "auth_events/success/False": ("announced where auth <> 'Logged In'", "1"),
    "auth_events/level/free": ("announced where level = 'free'", "1"),
    "auth_events/level/paid": ("announced where level = 'paid'", "1"),
    "churned_users": ("views where page = 'Cancellation Confirmation'", "1"),
    "song_repeat/listens": ("listens", "1"),
}
PER_START_STATE = {
    "events": "events",
    "NextSong": "songs",
    "p_song": "(songs > 0)::int",
    "PlayAd": "ads",
    "Login": "logins",
    "SubmitUpgrade": "upgrades",
    "SubmitDowngrade": "downgrades",
    "p_one_event": "(events = 1)::int",
}


@dataclass(frozen=True)
class Estimate:
    """A ratio of sums, by cluster of users."""

    numerator: NDArray[np.float64]
    denominator: NDArray[np.float64]

    @property
    def value(self) -> float:
        return float(self.numerator.sum() / self.denominator.sum())

    @property
    def error(self) -> float:
        """The standard error, by the delete-one-cluster jackknife."""
        total, base = self.numerator.sum(), self.denominator.sum()
        without = (total - self.numerator) / (base - self.denominator)
        n = len(without)
        return float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))

    @property
    def events(self) -> float:
        return float(self.numerator.sum())


class Run:
    """The output files of a run of all topics, as views that the statistics are taken from."""

    def __init__(self, folder: Path, users: int, start: int, end: int) -> None:
        self._db = duckdb.connect()
        week = 7 * 86_400_000
        guard = end - int(1.5 * 86_400_000)
        self._db.execute(_VIEWS.format(folder=folder, users=users, weeks=(end - start) / week, guard=guard))

    def shares(self, rows: str, key: str) -> dict[str, Estimate]:
        counts = self._db.execute(
            f"select {key}, u % {CLUSTERS}, count(*) from (from {rows}) group by all"
        ).fetchall()
        keys: dict[str, NDArray[np.float64]] = {}
        total = np.zeros(CLUSTERS)
        for name, cluster, count in counts:
            keys.setdefault(name, np.zeros(CLUSTERS))[cluster] += count
            total[cluster] += count
        return {name: Estimate(by_cluster, total) for name, by_cluster in keys.items()}

    def mean(self, rows: str, value: str) -> Estimate:
        found = self._db.execute(
            f"select u % {CLUSTERS}, sum({value}), count(*) from (from {rows}) group by all"
        ).fetchall()
        sums, counts = np.zeros(CLUSTERS), np.zeros(CLUSTERS)
        for cluster, total, count in found:
            sums[cluster], counts[cluster] = float(total), count
        return Estimate(sums, counts)

    def per_user(self, rows: str, value: str) -> Estimate:
        users = self.mean("users", "1").denominator
        return Estimate(self.mean(rows, value).numerator, users)


def quantiles(distribution: dict[str, Any]) -> Iterator[tuple[str, float, float]]:
    """(name, probability, value) of each quantile that the reference has of a distribution."""
    for name, value in distribution.items():
        if name.startswith("q"):
            yield name, float(name[1:]) / 100, value


_VIEWS = """
create table views as
select ts, sessionId as session, sessionId % 1000000000 as u, page, auth, method, status, level,
       itemInSession as item, state, userAgent as agent, gender, firstName as first_name, lastName as last_name,
       userId as user_id, ad_revenue
from read_json('{folder}/page_view_events.json', format = 'newline_delimited', columns = {{
    ts: 'BIGINT', sessionId: 'BIGINT', page: 'VARCHAR', auth: 'VARCHAR', method: 'VARCHAR', status: 'INTEGER',
    level: 'VARCHAR', itemInSession: 'INTEGER', state: 'VARCHAR', userAgent: 'VARCHAR', gender: 'VARCHAR',
    firstName: 'VARCHAR', lastName: 'VARCHAR', userId: 'BIGINT', ad_revenue: 'DOUBLE'}});
create table listens as
select sessionId % 1000000000 as u, artist, song, duration, level
from read_json('{folder}/listen_events.json', format = 'newline_delimited', columns = {{
    sessionId: 'BIGINT', artist: 'VARCHAR', song: 'VARCHAR', duration: 'DOUBLE', level: 'VARCHAR'}});
create table bounds as
select ts, sessionId as session, sessionId % 1000000000 as u, isEnd as is_end
from read_json('{folder}/session_start_end_events.json', format = 'newline_delimited', columns = {{
    ts: 'BIGINT', sessionId: 'BIGINT', isEnd: 'BOOLEAN'}});
create view starts as select * from bounds where not is_end;
create view ends as select * from bounds where is_end;
create table moves as
select *, status between 300 and 398 as redirect, lag(page) over w as previous, (ts - lag(ts) over w) / 1000.0 as gap,
       lag(page) over w as before
from views window w as (partition by session order by item);
create view gaps as select * from moves where gap is not null;
-- The original keeps the previous page across a redirect, so that logins and starts are announced again.
create table remembered as
select *, last_value(case when not redirect and before is not null then before end ignore nulls)
    over (partition by session order by item rows unbounded preceding) as remembered from moves;
create view announced as select * from remembered where remembered = 'Login';
create view started_again as
select * from remembered where remembered is null and item > 0 and session in (select session from starts);
create table sessions as
select session, any_value(u) as u, session < 1000000000 as first, count(*) as events,
       arg_min(auth, item) as auth, arg_min(level, item) as level, (max(ts) - min(ts)) / 1000.0 as seconds,
       count(*) filter (page = 'NextSong') as songs, count(*) filter (page = 'PlayAd') as ads,
       count(*) filter (page = 'Login') as logins, count(*) filter (page = 'Submit Upgrade') as upgrades,
       count(*) filter (page = 'Submit Downgrade') as downgrades
from views where session in (select session from starts where ts < {guard}) group by session;
create table users as
select u, coalesce(v.events, 0) as events, coalesce(v.sessions, 0) as sessions, v.gender,
       v.state, v.agent, v.first_name, v.last_name,
       coalesce(s.starts, 0) as starts, coalesce(v.changes, 0) as changes, {weeks} as weeks
from range(1, {users} + 1) as everyone(u)
left join (select u, count(*) filter (user_id is not null) as events,
                  count(distinct session) filter (user_id is not null) as sessions, max(gender) as gender,
                  max(state) as state, max(agent) as agent, max(first_name) as first_name, max(last_name) as last_name,
                  count(*) filter (page in ('Submit Upgrade', 'Submit Downgrade')) as changes
           from views group by u) as v using (u)
left join (select u, count(*) as starts from starts group by u) as s using (u);
"""
