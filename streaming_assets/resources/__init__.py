"""What assets work on: the warehouse, dbt, the lake. The one place, beside settings, that knows the target."""
