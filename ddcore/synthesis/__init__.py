"""The outer loop around every method that follows gradients, and the contract of a method."""

from ddcore.synthesis.contract import Finished, Group, Method, Part, Preset, Shard, Synthesis
from ddcore.synthesis.multi_formation import begun
from ddcore.synthesis.outer_loop import Loop, forget_checkpoint
from ddcore.synthesis.produce import select_set, synthesise
from ddcore.synthesis.validation import TrainedValidation, Validation

__all__ = [
    "Finished",
    "Group",
    "Loop",
    "Method",
    "Part",
    "Preset",
    "Shard",
    "Synthesis",
    "TrainedValidation",
    "Validation",
    "begun",
    "forget_checkpoint",
    "select_set",
    "synthesise",
]
