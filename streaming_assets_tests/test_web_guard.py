"""Which requests are answered, by their headers."""

import pytest

from streaming_assets.settings import load_settings
from streaming_assets.web_guard import Guard

GUARD = Guard("dagster.example.com,box")
JSON = {"content-type": "application/json; charset=utf-8"}


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:3000", None),
        ("localhost:3000", "http://localhost:3000"),
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("[::1]:3000", "http://[::1]:3000"),
        ("10.4.0.7:3000", None),  # a probe asks for the container's address
        ("LocalHost.:3000", None),
        ("box", "http://BOX"),
        ("dagster.example.com", "https://dagster.example.com"),
        ("127.0.0.1:3000", "https://dagster.example.com"),  # a proxy that asks by another name
    ],
)
def test_own_names_and_pages_are_answered(host: str, origin: str | None) -> None:
    headers = {"host": host} | ({"origin": origin} if origin else {})
    assert GUARD.refusal("GET", headers.get) is None
    assert GUARD.refusal("POST", (headers | JSON).get) is None


@pytest.mark.parametrize(
    ("host", "origin", "told"),
    [
        ("evil.example:3000", None, "STREAMING_ASSETS_ALLOWED_HOSTS=evil.example"),
        ("evil.example:3000", "http://evil.example:3000", "STREAMING_ASSETS_ALLOWED_HOSTS=evil.example"),
        ("localhost.evil.example", None, "the name 'localhost.evil.example'"),
        ("user@localhost@evil.example", None, "evil.example"),
        ("", None, "the name ''"),
        ("[::1", None, "the name '[::1'"),
        ("localhost:3000", "http://evil.example", "Pages of http://evil.example may not"),
        ("localhost:3000", "http://localhost:8050", "Pages of http://localhost:8050 may not"),
        ("127.0.0.1:3000", "http://localhost:3000", "Pages of http://localhost:3000 may not"),
        ("localhost:3000", "http://10.0.0.9:3000", "Pages of http://10.0.0.9:3000 may not"),
        ("localhost:3000", "null", "Pages of null may not"),
        ("localhost:3000", "", "Pages of  may not"),
        ("localhost:3000", "http://localhost:3000.evil.example", "may not"),
    ],
)
def test_other_names_and_other_sites_pages_are_refused_with_the_way_out(
    host: str, origin: str | None, told: str
) -> None:
    headers = {"host": host} | ({"origin": origin} if origin is not None else {})
    for refusal in (GUARD.refusal("GET", headers.get), GUARD.refusal("POST", (headers | JSON).get)):
        assert refusal is not None
        assert refusal.status == 403
        assert told in refusal.message
        assert "STREAMING_ASSETS_ALLOWED_HOSTS" in refusal.message


def test_the_name_that_it_listens_on_is_its_own() -> None:
    given = {"bind_host": "Box.local", "allowed_hosts": "stats.example.com"}
    settings = load_settings().changed(**given)
    guard = Guard(settings.host_names)
    for name in ("box.local:3000", "stats.example.com"):
        assert guard.refusal("GET", {"host": name}.get) is None
    assert guard.refusal("GET", {"host": "evil.example"}.get)


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "text/plain; application/json", "application/x-www-form-urlencoded"]
)
def test_what_any_page_may_post_is_refused(kind: str | None) -> None:
    headers = {"host": "localhost"} | ({"content-type": kind} if kind else {})
    refusal = GUARD.refusal("POST", headers.get)
    assert refusal is not None
    assert (refusal.status, "application/json" in refusal.message) == (415, True)
    assert GUARD.refusal("GET", headers.get) is None
