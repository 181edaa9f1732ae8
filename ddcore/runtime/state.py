"""A state of several parts as one flat dictionary of tensors: ``part.name``."""

from collections.abc import Mapping

from torch import Tensor

State = dict[str, Tensor]


def packed(parts: Mapping[str, Mapping[str, Tensor]]) -> State:
    """Return the tensors of all parts under ``part.name``; a part's name may hold dots."""
    return {f"{part}.{name}": tensor for part, state in parts.items() for name, tensor in state.items()}


def under(part: str, state: Mapping[str, Tensor]) -> State:
    """Return the tensors of one part by their own names; empty if there are none."""
    return {name[len(part) + 1 :]: tensor for name, tensor in state.items() if name.startswith(f"{part}.")}


def unpacked(state: Mapping[str, Tensor]) -> dict[str, State]:
    """Return the tensors by part, the part of a name ending at its first dot; names without a dot are left out."""
    parts = dict.fromkeys(name.partition(".")[0] for name in state if "." in name)
    return {part: under(part, state) for part in parts}
