"""The Google provider's schema, read from the typed bindings that its makers generate from it.

The bindings are a package of JavaScript, one file a resource. What a file says of an attribute: its name and
type (the getter), whether it may be set (a setter) and left out (a reset method); of a nested block: its
class, and whether it may be repeated. Pure functions; `conftest.py` fetches the package.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

DATA = "data-google-"
SCALARS = {"String": "string", "Number": "number", "Boolean": "bool"}

_CLASS = re.compile(r"^class (\w+) extends cdktf\.(\w+) \{\n", re.M)
_GETTER = re.compile(
    r"get (\w+)\(\) \{\s+return (cdktf\.Fn\.tolist\()?this\.get(\w+)Attribute\('(\w+)'\)", re.S
)
_MAP = re.compile(r'new cdktf\.(\w+)Map\(this, "(\w+)"\)')
_NESTED = re.compile(
    r"// (?P<name>\w+) - computed: (?P<computed>\w+), optional: (?P<optional>\w+), "
    r"required: (?P<required>\w+)\s+"
    r"this\._\w+ = new (?P<cls>\w+?)(?P<many>List|OutputReference)\(this, \"\w+\"(?:, (?P<set>\w+))?\)"
)
_PROVIDER = re.compile(
    r"^ +(\w+): \{\n +value: [^\n]*\n +isBlock: false,\n +type: \"\w+\",\n +storageClassType: \"(\w+)\"", re.M
)


@dataclass(frozen=True)
class Attribute:
    """One attribute; `type` is Terraform's JSON notation, such as `"string"` or `["list", "string"]`."""

    type: Any
    required: bool = False
    optional: bool = False
    computed: bool = False


@dataclass(frozen=True)
class Nested:
    """One kind of nested block: `nesting` is single, list or set; `single` blocks are given once."""

    block: "Block"
    nesting: str
    required: bool = False
    once: bool = False


@dataclass(frozen=True)
class Block:
    """A resource, a data source, the provider, or a nested block."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    blocks: dict[str, Nested] = field(default_factory=dict)


@dataclass(frozen=True)
class Schema:
    """The provider's arguments, and the blocks of its resources and data sources by their Terraform names."""

    provider: Block
    resources: dict[str, Block]
    data: dict[str, Block]


def schema(sources: dict[str, str]) -> Schema:
    """The schema of the bindings `sources`: source by folder, `provider` among them."""
    found = Schema(provider(sources["provider"]), {}, {})
    for folder, source in sources.items():
        if folder.startswith(DATA):
            found.data["google_" + folder.removeprefix(DATA).replace("-", "_")] = resource(source)
        elif folder != "provider":
            found.resources["google_" + folder.replace("-", "_")] = resource(source)
    return found


def resource(source: str) -> Block:
    """The block of the resource or data source whose bindings are `source`."""
    classes: dict[str, str] = {}
    top = ""
    for match in _CLASS.finditer(source):
        body = source[match.end() : source.index("\n}\n", match.end())]
        classes[match[1]] = body
        if match[2] in ("TerraformResource", "TerraformDataSource"):
            top = body
    return _block(top, classes)


def provider(source: str) -> Block:
    """The provider's own arguments; its nested blocks are left out."""
    body = source[source.index("synthesizeHclAttributes()") :]
    types = {
        "string": "string",
        "boolean": "bool",
        "number": "number",
        "stringList": ["list", "string"],
        "stringMap": ["map", "string"],
    }
    return Block({name: Attribute(types[kind], optional=True) for name, kind in _PROVIDER.findall(body)})


def _block(body: str, classes: dict[str, str]) -> Block:
    block = Block()
    setters = set(re.findall(r"\bset (\w+)\(value\)", body))
    resets = {name[0].lower() + name[1:] for name in re.findall(r"\breset(\w+)\(\)", body)}
    for getter, as_set, kind, name in _GETTER.findall(body):
        settable = getter in setters
        optional = settable and getter in resets
        block.attributes[name] = Attribute(
            _type(kind, bool(as_set)),
            required=settable and not optional,
            optional=optional,
            computed=not settable or (optional and not name.endswith("_wo")),
        )
    for kind, name in _MAP.findall(body):
        block.attributes[name] = Attribute(["map", SCALARS[kind]], computed=True)
    for match in _NESTED.finditer(body):
        inner = _block(classes[match["cls"] + "OutputReference"], classes)
        if match["computed"] == "true" and match["optional"] == "false":
            block.attributes[match["name"]] = Attribute(["list", _object(inner)], computed=True)
            continue
        once = match["many"] == "OutputReference"
        nesting = "single" if match["name"] == "timeouts" else "set" if match["set"] == "true" else "list"
        block.blocks[match["name"]] = Nested(inner, nesting, match["required"] == "true", once)
    return block


def _type(kind: str, as_set: bool) -> Any:
    if kind in SCALARS:
        return SCALARS[kind]
    for suffix, collection in (("List", "set" if as_set else "list"), ("Map", "map")):
        if kind.endswith(suffix):
            return [collection, SCALARS.get(kind.removesuffix(suffix) or "String", "string")]
    raise ValueError(f"the bindings have a kind of attribute that is not known here: {kind}")


def _object(block: Block) -> Any:
    return [
        "object",
        {name: attribute.type for name, attribute in block.attributes.items()}
        | {name: ["list", _object(nested.block)] for name, nested in block.blocks.items()},
    ]


def used(configuration: str) -> Iterator[str]:
    """Folders of the bindings that a Terraform configuration needs, such as `storage-bucket`."""
    yield "provider"
    for kind, name in sorted(set(re.findall(r'^(resource|data) "google_(\w+)"', configuration, re.M))):
        yield (DATA if kind == "data" else "") + name.replace("_", "-")
