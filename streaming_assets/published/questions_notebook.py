"""The worked example of `streaming-assets notebook`, which copies this file for its user: a marimo notebook."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Questions")

with app.setup:
    import html

    import duckdb
    import marimo as mo
    import plotly.express as px

    from streaming_assets.published.asking import open_snapshot
    from streaming_assets.published.manifest import SnapshotError
    from streaming_assets.settings import load_settings


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Questions to the site's events

    Three answers to begin with. This file is yours: change it, add cells, keep it where you like. `site` is the
    published snapshot, read-only; `\\d` of `streaming-assets sql` lists its tables and columns. Times are UTC.
    Ctrl-Shift-R, or the button at the lower right, runs all cells that have not run yet.
    """)
    return


@app.cell(hide_code=True)
def _():
    newest = mo.ui.run_button(label="Take up the newest snapshot")
    opened = []
    newest
    return newest, opened


@app.cell
def _(newest, opened):
    newest.value  # a click runs this cell again
    while opened:  # while one is open, DuckDB would give the same one again
        opened.pop().close()
    try:
        site = open_snapshot(load_settings().published_dir)
    except SnapshotError as nothing:
        mo.stop(True, mo.callout(str(nothing), kind="warn"))
    opened.append(site)
    try:
        as_of, listens = site.execute(
            "select (select as_of from snapshot), (select count(*) from fact_listen_events)"
        ).fetchone()
    except duckdb.CatalogException:
        mo.stop(True, mo.callout("Facts are not published here: they are asked in BigQuery.", kind="warn"))
    mo.stop(
        not listens,
        mo.callout(
            "There are no listens yet: start `make dev`, or materialise hours with "
            "`streaming-assets backfill`, then take up the newest snapshot.",
            kind="warn",
        ),
    )
    mo.md(f"Data up to **{as_of:%Y-%m-%d %H:%M} UTC**.")
    return as_of, site


@app.cell
def _(as_of, site):
    plays = mo.sql(
        f"""
        with latest as (
            select locations.state, songs.title, listens.user_id
            from fact_listen_events as listens
            inner join dim_locations as locations using (pk_location)
            inner join dim_songs as songs using (pk_song)
            where listens.event_datetime >= timestamp '{as_of}' - interval 24 hours
        )
        select state, count(*) as plays, count(distinct user_id) as listeners, mode(title) as song
        from latest
        group by state
        order by plays desc, state
        """,
        engine=site,
        output=False,
    )
    mo.ui.table(plays, label="Plays by state in the last 24 hours, with a song that was played most")
    return (plays,)


@app.cell
def _(plays):
    # Plotly takes what looks like HTML in a text for markup; names are text.
    by_state = px.bar(
        plays.head(15).assign(state=lambda rows: rows["state"].map(html.escape)),
        x="plays",
        y="state",
        title="Plays by state in the last 24 hours",
    )
    by_state.update_yaxes(autorange="reversed", title=None, type="category")
    by_state
    return (by_state,)


@app.cell
def _(as_of, site):
    retention = mo.sql(
        f"""
        with weeks as (
            select distinct user_id, date_trunc('week', session_start_datetime)::date as week
            from fact_session_events
        ),
        cohorts as (
            select user_id, week, min(week) over (partition by user_id) as cohort from weeks
        )
        select
            cohort,
            date_diff('week', cohort, week) as weeks_later,
            count(*) as users,
            count(*) / first(count(*)) over (partition by cohort order by week) as share
        from cohorts
        where week + interval 7 days <= timestamp '{as_of}'  -- the week that is still running tells nothing yet
        group by cohort, week
        order by cohort, weeks_later
        """,
        engine=site,
        output=False,
    )
    return (retention,)


@app.cell
def _(retention):
    mo.stop(retention.empty, mo.md("Retention: no week is over yet."))
    triangle = px.imshow(
        retention.pivot(index="cohort", columns="weeks_later", values="share"),
        x=[str(later) for later in sorted(retention["weeks_later"].unique())],
        y=[f"{cohort:%Y-%m-%d}" for cohort in sorted(retention["cohort"].unique())],
        labels={"x": "weeks later", "y": "first seen in the week of", "color": "share"},
        text_auto=".0%",
        zmin=0,
        zmax=1,
        title="Retention: of those first seen in a week, the share with a session so many weeks later",
    )
    triangle.update_xaxes(type="category")
    triangle.update_yaxes(type="category")
    triangle
    return (triangle,)


@app.cell
def _(site):
    sessions = mo.sql(
        """
        select session_seconds // 900 * 15 as from_minutes, count(*) as sessions
        from fact_session_events
        group by from_minutes
        order by from_minutes
        """,
        engine=site,
        output=False,
    )
    lengths = px.bar(
        sessions,
        x="from_minutes",
        y="sessions",
        labels={"from_minutes": "minutes, in steps of 15"},
        title="Length of sessions",
    )
    lengths
    return lengths, sessions


if __name__ == "__main__":
    app.run()
