"""Ingestion: brokers, clients, the sink from Kafka to the lake, replay. Knows nothing of Dagster."""
