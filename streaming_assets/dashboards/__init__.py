"""The two dashboards: the published snapshot, the queries over it, and the Dash app that shows them."""
