"""A cluster that asks for TLS and a password: the commands and a Connect worker reach it, the secret is never shown."""
# pyright: reportPrivateImportUsage=false

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from streaming_assets.ingestion import connect
from streaming_assets.ingestion.kafka_local import KafkaLocalError, downloads, processes
from streaming_assets.ingestion.kafka_local.services import (
    BROKER,
    CONTROLLER,
    HOST,
    SERVICES,
    Place,
    broker_address,
    java_command,
)
from streaming_assets.settings import load_settings
from streaming_assets_tests.tools import need

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("connect")]

USER, PASSWORD = "streaming", "open sesame, 100 %"


@dataclass
class SecureBroker:
    """A broker; `address` speaks SASL_SSL only."""

    address: str
    place: Place
    variables: dict[str, str]


@pytest.fixture(scope="module")
def secure_broker(tmp_path_factory: pytest.TempPathFactory, kafka_downloads: Path) -> Iterator[SecureBroker]:
    """A broker with a TLS listener and one user, who has to give a SCRAM password."""
    openssl = need("openssl")
    home = tmp_path_factory.mktemp("secure")
    key, certificate = home / "key.pem", home / "certificate.pem"
    request = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=broker",
        "-addext",
    ]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, *request, f"subjectAltName=IP:{HOST}", *files], check=True, capture_output=True)
    (home / "keystore.pem").write_text(key.read_text() + certificate.read_text())
    (home / "password").write_text(PASSWORD)

    place = Place(home, kafka_downloads, home / "plugins", home / "buckets", "lake")
    ports = {name: processes.free_port() for name in (BROKER, CONTROLLER, "secure")}
    try:
        launch = SERVICES[BROKER].prepare(place, ports, print)
    except KafkaLocalError as error:
        pytest.skip(str(error))
    plain, secure = broker_address(ports), f"{HOST}:{ports['secure']}"
    listeners = f"PLAINTEXT://{plain},SECURE://{secure}"
    with (home / "broker" / "broker.properties").open("a") as properties:
        properties.write(
            f"listeners={listeners},CONTROLLER://{HOST}:{ports[CONTROLLER]}\n"
            f"advertised.listeners={listeners}\n"
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL\n"
            "listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512\n"
            "listener.name.secure.scram-sha-512.sasl.jaas.config="
            "org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
            "listener.name.secure.ssl.keystore.type=PEM\n"
            f"listener.name.secure.ssl.keystore.location={home / 'keystore.pem'}\n"
        )
    mark = processes.spawn(launch.command, place.log(BROKER), launch.environment)
    try:
        ready = lambda: SERVICES[BROKER].ready(place, ports)  # noqa: E731
        processes.wait_ready(BROKER, mark, ready, place.log(BROKER), 60)
        credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        user = UserScramCredentialUpsertion(USER, credential, PASSWORD.encode())
        client = AdminClient({"bootstrap.servers": plain})
        client.alter_user_scram_credentials([user])[USER].result(30)
        yield SecureBroker(
            secure,
            place,
            {
                "STREAMING_ASSETS_HOME": str(home / "project"),
                "STREAMING_ASSETS_KAFKA_BOOTSTRAP_SERVERS": secure,
                "STREAMING_ASSETS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
                "STREAMING_ASSETS_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
                "STREAMING_ASSETS_KAFKA_SASL_USERNAME": USER,
                "STREAMING_ASSETS_KAFKA_SASL_PASSWORD_FILE": str(home / "password"),
                "STREAMING_ASSETS_KAFKA_CA_FILE": str(certificate),
            },
        )
    finally:
        processes.stop(mark, 30)


def run(broker: SecureBroker, *arguments: str, **more: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "streaming_assets.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=broker.place.home,
        env={**os.environ, **broker.variables, **more},
    )
    return done.returncode, done.stdout + done.stderr


def test_topics_are_made_and_the_password_is_not_shown(secure_broker: SecureBroker) -> None:
    code, said = run(secure_broker, "topics", "--apply", "--environment", "local")
    assert code == 0, said
    _, again = run(secure_broker, "topics", "--environment", "local")
    _, settings = run(secure_broker, "settings")

    assert "all as wanted" in again
    assert USER in settings
    assert PASSWORD not in said + again + settings


def test_who_is_not_let_in_is_told_why(secure_broker: SecureBroker) -> None:
    code, said = run(secure_broker, "topics", STREAMING_ASSETS_KAFKA_SASL_USERNAME="stranger")

    assert code == 1
    assert re.match(rf"kafka: Kafka at {secure_broker.address} does not answer: .*invalid credentials", said)
    assert PASSWORD not in said


def test_a_worker_comes_up_with_the_rendered_settings(
    secure_broker: SecureBroker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in secure_broker.variables.items():
        monkeypatch.setenv(name, value)
    url = f"http://{HOST}:{processes.free_port()}"
    security = connect.worker_security(load_settings())
    properties = tmp_path / "worker.properties"
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "other").write_text("a secret of somebody else")
    # References as whoever reaches the REST interface may write them, too.
    others = {
        "sasl.oauthbearer.sub.claim.name": f"${{directory:{tmp_path / 'keys'}:other}}",
        "sasl.oauthbearer.scope.claim.name": "${env:SECRET_OF_SOMEBODY}",
    }
    given = security | {"listeners": url, "plugin.path": str(tmp_path)} | others
    properties.write_text(connect.worker_properties(given))
    log = tmp_path / "worker.log"
    jars = downloads.kafka_jars(secure_broker.place.downloads, print)
    main = "org.apache.kafka.connect.cli.ConnectDistributed"

    mark = processes.spawn(
        java_command(downloads.java(), jars, 256, main, str(properties)),
        log,
        {
            "CONNECT_BOOTSTRAP_SERVERS": secure_broker.address,
            "CONNECT_REPLICATION_FACTOR": "1",
            "SECRET_OF_SOMEBODY": "another secret of somebody else",
        },
    )
    try:
        processes.wait_ready("worker", mark, lambda: answers(f"{url}/connectors"), log, 90)
    finally:
        processes.stop(mark, 30)

    said = log.read_text()
    assert re.search(r"security.protocol = SASL_SSL", said)
    assert PASSWORD not in said + properties.read_text()
    assert re.search(r"sasl.oauthbearer.scope.claim.name = \$\{env:SECRET_OF_SOMEBODY\}", said)
    assert re.search(r"sasl.oauthbearer.sub.claim.name = \$\{directory:.*:other\}", said)
    assert "secret of somebody else" not in said


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
