import json
from typing import Any, NotRequired, TypedDict

import pytest

from ddcore.errors import DDCoreError
from ddcore.runtime.schema import LARGEST, Count, fault_of, read_object, schema_of

SCHEMA = {"format": int, "names": [str], "rate?": (float, None), "parts?": {"*": {"steps": int}}, "notes?": dict}
SCHEMA |= {"maybe?": ({"n": Count}, None)}


@pytest.mark.parametrize(
    "more", [{}, {"rate": 1}, {"rate": 0.5}, {"rate": None}, {"parts": {"a": {"steps": 3, "x": []}}}, {"later": [1]}]
)
def test_a_value_of_the_right_shape_has_no_fault(more):
    assert fault_of({"format": 1, "names": ["a", ""], **more}, SCHEMA) == ""


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([], "its content is not an object"),
        ({"names": []}, "'format' is missing"),
        ({"format": True, "names": []}, "'format' is not a whole number"),
        ({"format": "1", "names": []}, "'format' is not a whole number"),
        ({"format": 1.0, "names": []}, "'format' is not a whole number"),
        ({"format": LARGEST + 1, "names": []}, "'format' is not a whole number"),
        ({"format": 1, "names": "ab"}, "'names' is not a list"),
        ({"format": 1, "names": ["a", 3]}, "'names[1]' is not a text"),
        ({"format": 1, "names": [], "rate": "much"}, "'rate' is not a number or null"),
        ({"format": 1, "names": [], "rate": float("nan")}, "'rate' is not a number or null"),
        ({"format": 1, "names": [], "parts": {"a": {"steps": "abc"}}}, "'parts.a.steps' is not a whole number"),
        ({"format": 1, "names": [], "parts": {"a": 3}}, "'parts.a' is not an object"),
        ({"format": 1, "names": [], "notes": []}, "'notes' is not an object"),
        ({"format": 1, "names": [], "rate": 1e19}, "'rate' is not a number or null"),
        ({"format": 1, "names": [], "maybe": {"n": 0}}, "'maybe.n' is not a whole number of 1 or more"),
        ({"format": 1, "names": [], "maybe": 0}, "'maybe' is not an object or null"),
    ],
)
def test_the_first_fault_is_named(value, fault):
    assert fault_of(value, SCHEMA) == fault


def test_a_file_of_another_shape_is_one_line(tmp_path):
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"format": 1, "names": ["a"]}))
    assert read_object(path, SCHEMA)["names"] == ["a"]
    path.write_text(json.dumps({"format": 1}))
    with pytest.raises(DDCoreError, match=r"record\.json is damaged: 'names' is missing"):
        read_object(path, SCHEMA)


class Inner(TypedDict):
    rate: float | None
    notes: dict[str, Any]


class Outer(TypedDict):
    names: list[str]
    parts: NotRequired[dict[str, Inner]]


def test_a_typed_dictionary_is_a_schema():
    inner = {"rate": (float, None), "notes": dict}
    assert schema_of(Outer) == {"names": [str], "parts?": {"*": inner}}
