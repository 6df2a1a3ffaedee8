"""Does the code server list its repositories? Exit code 1, with what it says, if not.

A port that is open says less: the process with the definitions may be gone behind it, or have failed to load them.
Asked every few seconds, so without importing Dagster, which takes seconds: the call is Dagster's ListRepositories,
whose request is empty.

Usage: lists_repositories.py [ADDRESS]   (default 127.0.0.1:4000)
"""

import sys

import grpc


def answer(address: str) -> bytes:
    """What it answers, serialised by Dagster: the repositories, or an error. Raises grpc.RpcError without an answer."""
    with grpc.insecure_channel(address) as channel:
        return channel.unary_unary("/api.DagsterApi/ListRepositories")(b"", timeout=8)


if __name__ == "__main__":
    try:
        said = answer(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:4000")
    except grpc.RpcError as error:
        sys.exit(f"no answer: {error}")
    if b'"ListRepositoriesResponse"' not in said:
        sys.exit(said.decode(errors="replace"))
