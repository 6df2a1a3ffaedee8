"""Google's REST interfaces without Google: requests are held to the discovery documents that its client library ships.

A discovery document lists each method's path, parameters and the schema of its body. `Recorder` stands in for the HTTP
session of a client: it checks and keeps every request, and lets a function answer it.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import requests
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match


@dataclass(frozen=True)
class Sent:
    """One request: discovery id of its method (`bigquery.tables.insert`), path and query parameters, JSON body."""

    method: str
    parameters: dict[str, str]
    body: Any


Answer = Callable[[Sent], tuple[int, Any]]


class Discovery:
    """One interface, such as `bigquery.v2`."""

    def __init__(self, name: str) -> None:
        self._document, self._schemas = _described(name)

    def check(self, verb: str, url: str, data: Any) -> Sent:
        """The request, understood.

        Raises:
            AssertionError: no method has this path, a parameter is none of its own, or the body breaks its schema.
        """
        split = urlsplit(url)
        method, in_path = self._method(verb, split.path)
        query = {name: values[-1] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
        allowed = {**method.get("parameters", {}), **self._document.get("parameters", {}), "uploadType": {}}
        if method["id"] == "bigquery.jobs.get":
            allowed["projection"] = {}  # Google's own client sends it
        unknown = query.keys() - allowed.keys()
        assert not unknown, f"{method['id']} has no parameter {sorted(unknown)}"
        body = None if data is None else json.loads(data)
        if body is not None:
            error = best_match(self._validator(method["request"]["$ref"]).iter_errors(body))
            assert error is None, f"{method['id']}, {error.json_path}: {error.message}"
        return Sent(method["id"], in_path | query, body)

    def _validator(self, of: str) -> Draft202012Validator:
        return Draft202012Validator({"$ref": f"#/$defs/{of}", "$defs": self._schemas})

    def _method(self, verb: str, path: str) -> tuple[dict[str, Any], dict[str, str]]:
        for method in _methods(self._document):
            paths = [self._document["servicePath"] + method["path"]]
            protocols = method.get("mediaUpload", {}).get("protocols", {})
            paths += [protocol["path"] for protocol in protocols.values()]
            for template in paths:
                match = re.fullmatch(_path_pattern(template, method["parameters"]), path.lstrip("/"))
                if match and method["httpMethod"] == verb:
                    return method, {name: unquote(value) for name, value in match.groupdict().items()}
        raise AssertionError(f"no method is {verb} {path}")


class Recorder:
    """A session for a client's `_http`; `sent` has all requests, in order."""

    is_mtls = False

    def __init__(self, discovery: str, answer: Answer) -> None:
        self._discovery, self._answer = Discovery(discovery), answer
        self.sent: list[Sent] = []

    def request(
        self, method: str, url: str, data: Any = None, headers: Any = None, **_: Any
    ) -> requests.Response:
        content_type = (
            dict(headers or {}).get("content-type") or dict(headers or {}).get("Content-Type") or ""
        )
        is_upload = method == "PUT"  # the bytes of a resumable upload follow the request that announced it
        sent = (
            self.sent[-1]
            if is_upload
            else self._discovery.check(method, url, _metadata(data, str(content_type)))
        )
        if not is_upload:
            self.sent.append(sent)
        status, body = self._answer(sent)
        response = requests.Response()
        response.status_code = status
        response._content = json.dumps(body).encode()
        response.headers["Content-Type"] = "application/json"
        response.headers["Location"] = url  # where a resumable upload goes on
        response.request = requests.Request(method, url).prepare()
        return response

    def close(self) -> None:
        """Nothing is held."""


@cache
def _described(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document of an interface, and the schemas of its bodies by name."""
    documents = files("googleapiclient") / "discovery_cache" / "documents"
    document = json.loads((documents / f"{name}.json").read_text())
    return document, {name: _json_schema(schema) for name, schema in document["schemas"].items()}


def _path_pattern(template: str, parameters: dict[str, Any]) -> str:
    """A path such as `v1/{+subscription}:pull` as a regular expression with a group for each parameter."""

    def group(match: re.Match[str]) -> str:
        return f"(?P<{match[1]}>{parameters[match[1]].get('pattern', '[^/]+').strip('^$')})"

    return re.sub(r"\{\+?(\w+)\}", group, template.lstrip("/"))


def _metadata(data: Any, content_type: str) -> Any:
    """The JSON part of a request: all of it, or the first part of a multipart upload."""
    boundary = re.search(r'boundary="?([^";\']+)', content_type)
    if boundary is None or data is None:
        return data or None
    raw = data if isinstance(data, bytes) else data.encode()
    part = raw.split(f"--{boundary[1]}".encode())[1]
    return part.split(b"\r\n\r\n", 1)[1].strip()


def _methods(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from node.get("methods", {}).values()
    for resource in node.get("resources", {}).values():
        yield from _methods(resource)


def _json_schema(node: dict[str, Any]) -> dict[str, Any]:
    """A discovery schema as JSON Schema: no property but those that it names, and none that only the server sets."""
    if "$ref" in node:
        return {"$ref": f"#/$defs/{node['$ref']}"}
    kind = node.get("type", "any")
    schema: dict[str, Any] = {} if kind == "any" else {"type": kind}
    if "enum" in node:
        schema["enum"] = node["enum"]
    if kind == "array":
        schema["items"] = _json_schema(node["items"])
    if kind == "object":
        writable = {
            name: value for name, value in node.get("properties", {}).items() if not value.get("readOnly")
        }
        schema["properties"] = {name: _json_schema(value) for name, value in writable.items()}
        more = node.get("additionalProperties")
        schema["additionalProperties"] = _json_schema(more) if more else False
    return schema
