"""As much of JSON Schema as the schema of definitions uses, checked by hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
#: What only tells, and what is checked below.
TOLD = {"$schema", "$defs", "title", "description", "default", "format"}
CHECKED = {
    "$ref",
    "anyOf",
    "type",
    "enum",
    "const",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "required",
}


def parts_of(schema: object) -> Iterator[Schema]:
    """Walk over a schema and every schema in it."""
    if not isinstance(schema, dict):
        return
    yield schema
    for keyword in ("$defs", "properties", "patternProperties"):
        for part in schema.get(keyword, {}).values():
            yield from parts_of(part)
    for keyword in ("items", "additionalProperties", "propertyNames"):
        yield from parts_of(schema.get(keyword))
    for keyword in ("anyOf", "prefixItems"):
        for part in schema.get(keyword, ()):
            yield from parts_of(part)


def accepts(schema: object, value: object, root: Schema) -> bool:
    """Tell whether a value fits a schema."""
    if not isinstance(schema, dict):
        return schema is not False
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        if not accepts(target, value, root):
            return False
    if "anyOf" in schema and not any(
        accepts(part, value, root) for part in schema["anyOf"]
    ):
        return False
    return _is_plainly_right(schema, value) and _has_right_parts(schema, value, root)


def _is_plainly_right(schema: Schema, value: object) -> bool:
    kind = schema.get("type")
    if kind is not None:
        is_swapped = isinstance(value, bool) and kind in {"integer", "number"}
        if is_swapped or not isinstance(value, TYPES[kind]):
            return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if isinstance(value, str):
        return bool(re.search(schema.get("pattern", ""), value)) and (
            schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1e9)
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        return bool(
            schema.get("minimum", value) <= value <= schema.get("maximum", value)
            and value > schema.get("exclusiveMinimum", float("-inf"))
            and value < schema.get("exclusiveMaximum", float("inf"))
        )
    return True


def _has_right_parts(schema: Schema, value: object, root: Schema) -> bool:
    if isinstance(value, list):
        firsts = schema.get("prefixItems", [])
        rest = value[len(firsts) :]
        return (
            schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 1e9)
            and all(
                accepts(part, item, root)
                for part, item in zip(firsts, value, strict=False)
            )
            and all(accepts(schema.get("items"), item, root) for item in rest)
        )
    if not isinstance(value, dict):
        return True
    if any(name not in value for name in schema.get("required", ())):
        return False
    names = schema.get("propertyNames")
    return all(
        accepts(names, name, root) and _fits(schema, name, part, root)
        for name, part in value.items()
    )


def _fits(schema: Schema, name: str, part: object, root: Schema) -> bool:
    found = [
        each
        for pattern, each in schema.get("patternProperties", {}).items()
        if re.search(pattern, name)
    ]
    if name in schema.get("properties", {}):
        found.append(schema["properties"][name])
    if not found:
        found.append(schema.get("additionalProperties"))
    return all(accepts(each, part, root) for each in found)
