"""Fixtures that tests of several parts share."""

from streaming_assets_tests.postgres import postgres

__all__ = ["postgres"]
