"""A deployment on Google Cloud, looked at from outside."""
