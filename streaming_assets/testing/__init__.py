"""What tests and benchmarks share; the product imports nothing of it."""

from streaming_assets.settings import PROJECT_ROOT

CACHE = PROJECT_ROOT / ".local" / "cache"  # what they fetch or make once
