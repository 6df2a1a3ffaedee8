"""The tables' home: its interface, and DuckDB and BigQuery behind one factory."""
