"""What a view of each Looker Studio chart costs on BigQuery: the table in docs/looker-studio.md.

    python benchmarks/dashboards_looker.py

BigQuery bills a query by the logical bytes of the columns that it names, in the partitions that it can't rule
out: 8 bytes a number or date, 2 and its UTF-8 length a text. Rows a day are those that benchmarks/dashboards.py
draws from 2 million listens over 385,252 songs; lengths of titles and artists are those of the bundled songs.
"""

from pathlib import Path

import yaml

ROWS_A_DAY = 1_625_117  # of mart_daily_song_streams, 329,000 of them in the rollup
DAYS = 30
SONGS = 385_252
LEAST = 10 * 2**20  # bytes that a query is billed for each table at least
BYTES = {"event_date": 8, "state_code": 4, "pk_song": 34, "title": 22, "artist": 16, "streams": 8}
SMALL = ["Total users", "Conversion rate", "Weekly recurring revenue", "ARPU of the free tier"]
LARGE = {
    "Streams by state": ("event_date", "state_code", "streams"),
    "Top genres": ("event_date", "state_code", "pk_song", "streams"),
    "Top artists": ("event_date", "state_code", "artist", "streams"),
    "Top songs": ("event_date", "state_code", "pk_song", "title", "artist", "streams"),
}
GENRE_LOOKUP = SONGS * (BYTES["pk_song"] + 10)  # pk_song and genre of dim_songs, which the genres join


def main() -> None:
    prices = yaml.safe_load((Path(__file__).parent / "prices.yaml").read_text())["prices"]
    usd = prices["query_tib"]["usd"] / 2**40
    charts = {f"KPI: {name}": LEAST for name in [*SMALL, "Daily active users", "Daily advertising revenue"]}
    for name, columns in LARGE.items():
        rows = ROWS_A_DAY * DAYS * sum(BYTES[column] for column in columns)
        charts[f"Music: {name}"] = rows + (GENRE_LOOKUP if name == "Top genres" else 0)
    print("| chart | bytes billed | USD a view |\n|---|---:|---:|")
    for name, size in charts.items():
        print(f"| {name} | {size / 1e6:,.0f} MB | {size * usd:.5f} |")
    for page in ("KPI", "Music"):
        size = sum(size for name, size in charts.items() if name.startswith(page))
        print(f"| **{page} page** | {size / 1e6:,.0f} MB | {size * usd:.5f} |")
        if page == "Music":
            print(
                f"\n20 people who look at the music page twice a working day and change its filters three times each: "
                f"{size * usd * 20 * 2 * 4 * 21:,.0f} USD a month"
            )


if __name__ == "__main__":
    main()
