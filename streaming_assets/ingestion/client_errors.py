"""Why a Kafka client gets no answer: its calls only say that they timed out, its callback says why."""

from confluent_kafka import KafkaError, KafkaException


class LastError:
    """A client's `error_cb` that remembers the newest cause, such as a refused connection or a wrong password."""

    def __init__(self) -> None:
        self._cause = ""

    def __call__(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # follows each cause and tells nothing
            self._cause = error.str()

    def reason(self, error: KafkaException) -> str:
        """The cause if one is known, else what the failed call said."""
        return self._cause or error.args[0].str()
