"""The shape of a value in a JSON file: one description per kind of file, checked before anything is used."""

import types
import typing
from pathlib import Path
from typing import TypeAlias

from ddcore.errors import DDCoreError, require
from ddcore.runtime.files import Json, read_json

Schema: TypeAlias = type | list["Schema"] | tuple["Schema", ...] | dict[str, "Schema"] | None
"""What a value may be.

``int``, ``float`` (whole numbers, too), ``str``, ``bool``, ``dict`` (any object), None (null); ``[schema]`` a list; a
tuple of alternatives; or an object with the schema of each name: ``"name?"`` may be missing, ``"*"`` stands for every
name that is not listed. Names that are not listed are otherwise ignored.
"""


class Count(int):
    """In a schema: a whole number of 1 or more."""


LARGEST = 2**63 - 1
"""Largest number that a file may hold where a number is expected: sums and percentages of such numbers stay finite."""
WORDS: dict[type | None, str] = {
    int: "a whole number",
    Count: "a whole number of 1 or more",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "an object",
    None: "null",
}


def read_object(path: Path, schema: Schema, remedy: str = "") -> Json:
    """Return the value in a JSON file, once it is what the schema says; `remedy` ends the line if it is not.

    Raises:
        DDCoreError: the file is missing, cannot be read or is not JSON, or a value has another type; the line names it.
    """
    value = read_json(path)
    fault = fault_of(value, schema)
    require(not fault, f"{path} is damaged: {fault}{remedy and f': {remedy}'}", DDCoreError)
    return value


def fault_of(value: Json, schema: Schema, name: str = "") -> str:
    """Return the first place where a value is not what a schema says, in words; empty if there is none."""
    what = f"'{name}'" if name else "its content"
    if isinstance(schema, tuple):
        faults = [fault_of(value, each, name) for each in schema]
        within = (fault for fault in faults if not fault.startswith(f"{what} is not "))
        return "" if "" in faults else next(within, f"{what} is not {described(schema)}")
    if isinstance(schema, list):
        if not isinstance(value, list):
            return f"{what} is not a list"
        return next(filter(None, (fault_of(each, schema[0], f"{name}[{k}]") for k, each in enumerate(value))), "")
    if isinstance(schema, dict):
        return _object_fault(value, schema, name) if isinstance(value, dict) else f"{what} is not an object"
    return "" if _is(value, schema) else f"{what} is not {described(schema)}"


def schema_of(hint: Json) -> Schema:
    """Return the schema of a TypedDict, or of another type hint made of those and of JSON's own types."""
    if typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint)
        return {name + "?" * (name in hint.__optional_keys__): schema_of(each) for name, each in hints.items()}
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return tuple(map(schema_of, arguments))
    if origin is list:
        return [schema_of(arguments[0])]
    if origin is dict:
        return dict if arguments[1] is typing.Any else {"*": schema_of(arguments[1])}
    kind: Schema = None if hint is type(None) else hint
    return kind


def described(schema: Schema) -> str:
    """Return in words what a schema asks for."""
    if isinstance(schema, tuple):
        return " or ".join(map(described, schema))
    return "a list" if isinstance(schema, list) else "an object" if isinstance(schema, dict) else WORDS[schema]


def _object_fault(value: dict[str, Json], schema: dict[str, Schema], name: str) -> str:
    inside = f"{name}." if name else ""
    for key, each in schema.items():
        own = key.removesuffix("?")
        if own in value and (fault := fault_of(value[own], each, inside + own)):
            return fault
        if own not in value and key not in ("*", f"{own}?"):
            return f"'{inside}{own}' is missing"
    others = value.keys() - {key.removesuffix("?") for key in schema} if "*" in schema else ()
    return next(filter(None, (fault_of(value[key], schema["*"], inside + key) for key in others)), "")


def _is(value: Json, kind: type | None) -> bool:
    if kind is int or kind is Count:
        return type(value) is int and (1 if kind is Count else -LARGEST) <= value <= LARGEST
    if kind is float:
        return type(value) in (int, float) and abs(value) <= LARGEST
    return value is None if kind is None else isinstance(value, kind)
