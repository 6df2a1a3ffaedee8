"""Kafka Connect's REST interface: what of it the project uses."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from streaming_assets.ingestion.kafka_files import KafkaSetupError

_ASK_AGAIN_SECONDS = 0.5


class ConnectRest:
    """A Connect cluster at `url`. Each call raises KafkaSetupError if it does not answer or refuses."""

    def __init__(self, url: str, timeout_seconds: float = 10.0) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout_seconds

    def config(self, connector: str) -> dict[str, str] | None:
        """The settings of a connector; None if there is none of that name."""
        return self._call("GET", f"/connectors/{connector}/config")

    def status(self, connector: str) -> dict[str, Any] | None:
        """State, tasks and traces of a connector; None if there is none of that name."""
        return self._call("GET", f"/connectors/{connector}/status")

    def problems(self, config: Mapping[str, str]) -> list[str]:
        """What Connect and the plugin have against these settings."""
        plugin = config["connector.class"].rpartition(".")[2]
        # Connect wants the name among the settings here, though it is in the address elsewhere.
        body = {"name": "validated", **config}
        answer = self._call("PUT", f"/connector-plugins/{plugin}/config/validate", body)
        if answer is None:
            raise KafkaSetupError(f"{self.url} has no plugin {plugin}: put it on the worker's plugin.path")
        values = [entry["value"] for entry in answer["configs"]]
        return [f"{value['name']}: {error}" for value in values for error in value["errors"]]

    def apply(self, connectors: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Make or change the connectors that are not yet as wanted, and return their names."""
        changed = [name for name, config in connectors.items() if differences(self.config(name), config)]
        for name in changed:
            self._call("PUT", f"/connectors/{name}/config", connectors[name])
        return changed

    def _call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON; None for 404. While its workers share out their work Connect says 409: ask again."""
        deadline = time.monotonic() + self._timeout
        while True:
            request = urllib.request.Request(
                self.url + path,
                method=method,
                data=None if body is None else json.dumps(body).encode(),
                headers={"content-type": "application/json"},
            )
            try:
                with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    return None
                if error.code != 409 or time.monotonic() > deadline:
                    reason = _reason(error)
                    raise KafkaSetupError(
                        f"Connect at {self.url} refuses {method} {path}: {reason}"
                    ) from error
            except (OSError, ValueError) as error:
                raise KafkaSetupError(f"Connect at {self.url} does not answer: {error}") from error
            time.sleep(_ASK_AGAIN_SECONDS)


def differences(
    there: Mapping[str, str] | None, wanted: Mapping[str, str]
) -> list[tuple[str, str | None, str | None]]:
    """(setting, value there, value wanted) where they differ, None for absent."""
    now = {key: value for key, value in (there or {}).items() if key != "name"}  # Connect adds the name
    keys = sorted(now.keys() | wanted.keys())
    return [(key, now.get(key), wanted.get(key)) for key in keys if now.get(key) != wanted.get(key)]


def _reason(error: urllib.error.HTTPError) -> str:
    said = error.read().decode(errors="replace")
    try:
        return json.loads(said)["message"]
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {said[:200]}"
