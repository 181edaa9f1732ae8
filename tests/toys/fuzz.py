"""Damaged and hostile content, drawn with a fixed seed: JSON values, the bytes of JSON files, and of pictures."""

import json
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

from ddcore.errors import DDCoreError

# How many cases of each kind: few in the suite, many where tests/hostile.sh asks for them.
CASES = int(os.environ.get("DDCORE_HOSTILE_CASES", "40"))

VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    10**18,
    10**5000,
    "",
    ".",
    "..",
    "/../../x",
    "../payload.png",
    "os:system",
    "evil:build",
    "<img src=x onerror=alert(1)>",
    "$$",
    "$0_$50",
    "\ud800",
    "\x00",
    "a" * 300,
    "1",
    [],
    [1],
    ["a"],
    [[]],
    {},
    {"a": 1},
    {"net": "os:system"},
)
TEXTS = (
    b"",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b"null",
    b"[]",
    b"[" * 200_000,
    b'{"a":' * 100_000,
    b'{"format": ' + b"9" * 5000 + b"}",
    b'"\\ud800"',
    b"<!DOCTYPE html><html></html>",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


def with_other_value(value: Any, draws: random.Random) -> Any:
    """Return a JSON value in which one place holds something else, or is gone, or is there twice."""
    value = json.loads(json.dumps(value))
    *outer, last = draws.choice(list(places(value)))
    inside = value
    for key in outer:
        inside = inside[key]
    how = draws.random()
    if how < 0.1:
        del inside[last]
    elif how < 0.2 and isinstance(inside, list):
        inside.append(inside[last])
    else:
        inside[last] = draws.choice(VALUES)
    return value


def damaged(content: bytes, draws: random.Random) -> bytes:
    """Return bytes that were cut, changed at a few places, doubled in part, or filled with zeros."""
    how, place = draws.randrange(5), draws.randrange(max(1, len(content)))
    if how == 0:
        return content[:place]
    if how == 1:
        return content[:place] + content[place // 2 :]
    if how == 2:
        return content[:place] + bytes(len(content) - place)
    changed = bytearray(content)
    for _ in range(1 if how == 3 else 12):
        changed[draws.randrange(len(changed))] = draws.randrange(256)
    return bytes(changed)


def written(value: Any) -> bytes:
    """Return JSON as a stranger's program writes it: with NaN, infinite numbers and lone surrogates."""
    import sys

    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(value).encode()
    finally:
        sys.set_int_max_str_digits(4300)


def read_or_refused(read: Callable[[], object]) -> str:
    """Return what was read as text, or the line of the error that refuses it; any other exception is a fault."""
    try:
        return str(read())[:200]
    except DDCoreError as error:
        line = str(error)
        assert line and "\n" not in line and len(line) < 2000, line[:3000]
        return line


def json_cases(whole: bytes, seed: int) -> Iterator[bytes]:
    """Yield the damaged contents of a JSON file: fixed ones, then values and bytes changed at drawn places."""
    draws = random.Random(seed)
    value = json.loads(whole)
    yield from TEXTS
    for number in range(CASES):
        yield damaged(whole, draws) if number % 5 == 4 else written(with_other_value(value, draws))
