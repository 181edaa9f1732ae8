"""Sets of format 1, which earlier versions wrote: their record as one of format 2."""

from ddcore.runtime import JSONObject

# Every network's recipe held the fields of all networks: here, those that only the n-gram model reads.
SHARED, LINEAR = ("steps",), ("ngrams", "min_members", "ratio_power", "intercept", "strength")


def from_format_1(record: JSONObject) -> JSONObject:
    """Return a record of format 1 as one of format 2.

    Each network's recipe keeps the fields that this network reads; the recipe ``default``, which any network may
    take, keeps all.

    Raises:
        AttributeError, KeyError, TypeError: a part is missing or of the wrong kind.
    """
    return {**record, "format": 2, "recipes": {net: _own(net, fields) for net, fields in record["recipes"].items()}}


def _own(net: str, fields: JSONObject) -> JSONObject:
    if net == "default":
        return fields
    return {name: value for name, value in fields.items() if name in SHARED or (name in LINEAR) == (net == "linear")}
