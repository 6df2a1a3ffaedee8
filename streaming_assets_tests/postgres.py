"""A PostgreSQL server for tests, on a free port, with its data in a folder that goes with it."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[str], str]]:
    """A function that makes a database and returns its address; the server is the tests' own."""
    installed = map(str, Path("/usr/lib/postgresql").glob("*/bin"))  # Debian leaves them out of PATH
    binaries = os.pathsep.join([os.environ.get("PATH", ""), *installed])
    initdb, server = shutil.which("initdb", path=binaries), shutil.which("postgres", path=binaries)
    if not initdb or not server:
        pytest.skip("PostgreSQL's initdb and postgres are not installed")
    import psycopg2

    folder = tempfile.mkdtemp(prefix="postgres-")
    account: dict[str, Any] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        account = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, "nobody", "nogroup")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    data = f"{folder}/data"
    subprocess.run(
        [initdb, "-D", data, "-U", "dagster", "-A", "trust", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, cwd=folder, **account,
    )  # fmt: skip
    process = subprocess.Popen(
        [server, "-D", data, "-p", str(port), "-c", "fsync=off", "-k", folder, "-h", "127.0.0.1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, **account,
    )  # fmt: skip
    try:
        where = f"host=127.0.0.1 port={port} user=dagster"
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg2.connect(f"{where} dbname=postgres").close()
                break
            except psycopg2.OperationalError:
                assert time.monotonic() < deadline, "PostgreSQL did not answer within 60 s"
                time.sleep(0.1)

        def make(name: str) -> str:
            connection = psycopg2.connect(f"{where} dbname=postgres")
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {name}")
            connection.close()
            return f"postgresql+psycopg2://dagster@127.0.0.1:{port}/{name}"

        yield make
    finally:
        process.send_signal(signal.SIGINT)  # the fast shutdown: it does not wait for clients
        process.wait(timeout=30)
        shutil.rmtree(folder)
