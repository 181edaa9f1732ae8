"""The ways to synthesise a set, by name."""

from ddcore.methods.cover import Cover
from ddcore.methods.frepo import FRePo

METHODS: dict[str, type] = {
    "cover": Cover,
    "frepo": FRePo,
}
