"""Kafka, Kafka Connect and a GCS emulator as processes of this machine, without Docker.

`processes` starts and stops processes, `downloads` finds or fetches what they run, `services` says how each
is run and when it is ready, `stack` brings them up and down together, `commands` is the command line.
"""

from streaming_assets.ingestion.kafka_files import KafkaSetupError


class KafkaLocalError(KafkaSetupError):
    """Something can't be run here; the message says what and the way out."""
