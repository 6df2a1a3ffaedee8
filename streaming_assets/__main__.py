"""`streaming-assets`, and `python -m streaming_assets`: the command line, or what is wrong with a contract.

Contracts are read when the package's modules are imported, which is before any command can say something of them.
"""

import sys

from streaming_assets.contracts import ContractError


def main() -> None:
    """Run the command line; a contract that does not hold together ends it with a message, not a trace."""
    try:
        from streaming_assets.cli import main as run
    except ContractError as error:
        print(f"contract: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    run()


if __name__ == "__main__":
    main()
