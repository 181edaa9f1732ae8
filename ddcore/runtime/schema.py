"""The shape of a value in a JSON file: one description per kind of file, checked before anything is used."""

import math
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

LARGEST = 2**63 - 1
"""Largest whole number that a file may hold where a whole number is expected."""
WORDS: dict[type | None, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "an object",
    None: "null",
}


def read_object(path: Path, schema: Schema) -> Json:
    """Return the value in a JSON file, once it is what the schema says.

    Raises:
        DDCoreError: the file is missing, cannot be read or is not JSON, or a value has another type; the line names it.
    """
    value = read_json(path)
    fault = fault_of(value, schema)
    require(not fault, f"{path} is damaged: {fault}", DDCoreError)
    return value


def fault_of(value: Json, schema: Schema, name: str = "") -> str:
    """Return the first place where a value is not what a schema says, in words; empty if there is none."""
    what = f"'{name}'" if name else "its content"
    if isinstance(schema, tuple):
        faults = [fault_of(value, each, name) for each in schema]
        return "" if "" in faults else f"{what} is not {' or '.join(map(described, schema))}"
    if isinstance(schema, list):
        if not isinstance(value, list):
            return f"{what} is not a list"
        return next(filter(None, (fault_of(each, schema[0], f"{name}[{k}]") for k, each in enumerate(value))), "")
    if isinstance(schema, dict):
        return _object_fault(value, schema, name) if isinstance(value, dict) else f"{what} is not an object"
    return "" if _is(value, schema) else f"{what} is not {described(schema)}"


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
    if kind is int:
        return type(value) is int and abs(value) <= LARGEST
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return value is None if kind is None else isinstance(value, kind)
