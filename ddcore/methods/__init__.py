"""The ways to synthesise a set, by name."""

from ddcore.methods.frepo import FRePo

METHODS: dict[str, type] = {
    "frepo": FRePo,
}
