"""Makes the bundled data files and the default configuration: `python -m streaming_assets.simulator.making`."""
