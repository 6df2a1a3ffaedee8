"""What is wrong now, looked at once: `streaming-assets status`, alerts and metrics all read the same list."""
