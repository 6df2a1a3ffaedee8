"""From the settings to a stack, and from a running one to topics, connectors, addresses for the rest."""

import re
from pathlib import Path

from streaming_assets.ingestion import connect, topics
from streaming_assets.ingestion.connect_rest import ConnectRest
from streaming_assets.ingestion.kafka_local import KafkaLocalError
from streaming_assets.ingestion.kafka_local.downloads import Echo
from streaming_assets.ingestion.kafka_local.services import BROKER, EMULATOR, WORKER, Place
from streaming_assets.ingestion.kafka_local.stack import Stack
from streaming_assets.settings import Settings, env_name

_BUCKET_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*[a-zA-Z0-9]")


def place_of(settings: Settings) -> Place:
    """Where the stack of these settings lives.

    The emulator serves the lake itself: for a lake in a folder, that folder is the bucket, so whoever
    reads the folder sees what Connect writes; for `gs://bucket` it keeps the bucket in a folder of its own.

    Raises:
        KafkaLocalError: the lake's folder has a name that no bucket can have.
    """
    assert settings.kafka.downloads is not None  # both are filled by the settings' validator
    assert settings.kafka.plugins is not None
    if settings.lake.url.startswith("gs://"):
        bucket, _, prefix = settings.lake.url.removeprefix("gs://").strip("/").partition("/")
        buckets = settings.kafka_home / "buckets"
    else:
        lake = Path(settings.lake.url).expanduser().absolute()
        buckets, bucket, prefix = lake.parent, lake.name, ""
    if not _BUCKET_NAME.fullmatch(bucket):
        raise KafkaLocalError(
            f"the emulator can't serve {settings.lake.url}: a bucket's name takes letters, digits and . _ -"
        )
    return Place(
        home=settings.kafka_home,
        downloads=settings.kafka.downloads,
        plugins=settings.kafka.plugins,
        buckets=buckets,
        bucket=bucket,
        prefix=prefix and f"{prefix}/",
    )


def make_topics(stack: Stack, settings: Settings, echo: Echo) -> None:
    """Make the topics of a running broker as kafka/topics.yaml has them, and say what can't be done."""
    client = topics.connect({"bootstrap.servers": stack.address(BROKER)})
    for change in topics.reconcile(client, topics.wanted_topics("local", settings)):
        done = "made" if change.what == "topic" else f"now {change.wanted}"
        echo(f"{change.topic.name}: {change.what} {change.refusal or done}")


def make_connectors(stack: Stack, settings: Settings, echo: Echo) -> None:
    """Give a running worker its connectors.

    Raises:
        KafkaSetupError: it does not take them.
    """
    wanted = connect.connectors("local", settings, connector_values(stack))
    for name in ConnectRest(stack.address(WORKER)).apply(wanted):
        echo(f"connector {name}: set")


def connector_values(stack: Stack) -> dict[str, str]:
    """What of the connectors' settings only a running stack knows.

    Raises:
        KafkaLocalError: the emulator does not run.
    """
    endpoint = stack.address(EMULATOR)
    if not endpoint:
        raise KafkaLocalError("the GCS emulator does not run: start it with `streaming-assets kafka up`")
    return {"endpoint": endpoint, "bucket": stack.place.bucket, "prefix": stack.place.prefix}


def environment(stack: Stack) -> dict[str, str]:
    """What points the rest of the project at the running services."""
    addresses = {state.name: state.address for state in stack.states()}
    names = {
        BROKER: env_name("kafka_bootstrap_servers"),
        WORKER: env_name("kafka_connect_url"),
        EMULATOR: "STORAGE_EMULATOR_HOST",
    }
    return {variable: addresses[name] for name, variable in names.items() if addresses[name]}


def environment_file(place: Place) -> Path:
    """The file that holds `environment` while the stack is up."""
    return place.home / "env"


def write_environment(stack: Stack) -> None:
    """Put `environment` in its file, which a shell and python-dotenv can read; none if nothing runs."""
    file, variables = environment_file(stack.place), environment(stack)
    if not variables:
        file.unlink(missing_ok=True)
        return
    file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
