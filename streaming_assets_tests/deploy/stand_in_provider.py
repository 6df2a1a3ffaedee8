"""A provider that knows the Google provider's schema and nothing of Google.

Terraform reattaches to it (`TF_REATTACH_PROVIDERS`), so `validate` and `plan` check every name, type and
reference without a network, an account or the provider's binary. What Google would compute is planned as
unknown, as the real provider does, or as a readable text, so that outputs can be looked at.
The messages of the plugin protocol, version 5, are few enough to be written by hand.
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import msgpack

from streaming_assets_tests.deploy.provider_schema import Attribute, Block, Schema

NESTING = {"single": 1, "list": 2, "set": 3}
UNKNOWN = msgpack.ExtType(0, b"\0")
ADDRESS = "hashicorp/google"


@contextmanager
def running(schema: Schema, socket: Path, readable: bool) -> Iterator[str]:
    """Serve on a socket; yields the value of `TF_REATTACH_PROVIDERS`.

    Args:
        schema: what the provider offers.
        socket: path of the socket, made here.
        readable: plan what Google would compute as `<resource.attribute>` rather than as unknown.
    """
    server = grpc.server(ThreadPoolExecutor(4), handlers=[_Handler(schema, readable)])
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    address = {"Network": "unix", "String": str(socket)}
    try:
        yield json.dumps(
            {
                ADDRESS: {
                    "Protocol": "grpc",
                    "ProtocolVersion": 5,
                    "Pid": os.getpid(),
                    "Test": True,
                    "Addr": address,
                }
            }
        )
    finally:
        server.stop(0).wait()


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, schema: Schema, readable: bool) -> None:
        self._schema = schema
        self._readable = readable

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        if not method.startswith("/tfplugin5.Provider/"):
            return None
        answer = getattr(self, method.rsplit("/", 1)[1], lambda request: b"")
        return grpc.unary_unary_rpc_method_handler(lambda request, context: answer(request))

    def GetSchema(self, request: bytes) -> bytes:
        return _message(1, _schema(self._schema.provider)) + b"".join(
            _message(tag, _message(1, name.encode()) + _message(2, _schema(block)))
            for tag, blocks in ((2, self._schema.resources), (3, self._schema.data))
            for name, block in blocks.items()
        )

    def PrepareProviderConfig(self, request: bytes) -> bytes:
        return _message(1, _fields(request)[1])

    def PlanResourceChange(self, request: bytes) -> bytes:
        fields = _fields(request)
        kind = fields[1].decode()
        return _message(1, _computed(self._schema.resources[kind], fields[3], kind, self._readable))

    def ReadDataSource(self, request: bytes) -> bytes:
        fields = _fields(request)
        kind = fields[1].decode()
        return _message(1, _computed(self._schema.data[kind], fields[2], kind, readable=True))


def _computed(block: Block, dynamic_value: bytes, kind: str, readable: bool) -> bytes:
    """A value of the resource with what Google would compute filled in; what is written only is left out."""
    value = msgpack.unpackb(_fields(dynamic_value)[1], ext_hook=msgpack.ExtType, strict_map_key=False)
    if value is not None:
        for name, attribute in block.attributes.items():
            if name.endswith("_wo"):
                value[name] = None
            elif value.get(name) is None and attribute.computed:
                text = f"<{kind}.{name}>" if attribute.type == "string" else None
                value[name] = text if readable else UNKNOWN
    return _message(1, cast(bytes, msgpack.packb(value)))


def _schema(block: Block) -> bytes:
    return _message(2, _block(block))


def _block(block: Block) -> bytes:
    encoded = b"".join(_message(2, _attribute(name, a)) for name, a in block.attributes.items())
    for name, nested in block.blocks.items():
        limits = _number(4, int(nested.required)) + _number(5, int(nested.once))
        limits = b"" if nested.nesting == "single" else limits
        encoded += _message(
            3,
            _message(1, name.encode())
            + _message(2, _block(nested.block))
            + _number(3, NESTING[nested.nesting])
            + limits,
        )
    return encoded


def _attribute(name: str, attribute: Attribute) -> bytes:
    flags = {4: attribute.required, 5: attribute.optional, 6: attribute.computed, 10: name.endswith("_wo")}
    return (
        _message(1, name.encode())
        + _message(2, json.dumps(attribute.type).encode())
        + b"".join(_number(tag, int(flag)) for tag, flag in flags.items())
    )


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(tag: int, number: int) -> bytes:
    return _varint(tag << 3) + _varint(number) if number else b""


def _message(tag: int, content: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(content)) + content


def _fields(message: bytes) -> dict[int, bytes]:
    """The length-delimited fields of a message by tag; numbers are passed over."""
    found, at = {}, 0

    def varint() -> int:
        nonlocal at
        number = shift = 0
        while True:
            byte = message[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while at < len(message):
        key = varint()
        size = varint()
        if key & 7 == 2:
            found[key >> 3] = message[at : at + size]
            at += size
    return found
