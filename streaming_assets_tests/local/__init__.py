"""Tests of the local system's plan and state."""
