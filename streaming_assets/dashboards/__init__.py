"""The dashboards: the queries over the published snapshot, and the Dash app that shows them."""
