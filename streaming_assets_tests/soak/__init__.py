"""The kill soak: the running system under SIGKILL, its tables held to a record of what Kafka acknowledged."""
