"""The assets, in the order of the data: source, lake, reference, external_tables, warehouse, serving."""
