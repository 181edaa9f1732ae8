"""The outer loop around every method that follows gradients, and the contract of a method."""

from ddcore.synthesis.contract import Finished, Group, Method, Part, Shard, Synthesis
from ddcore.synthesis.outer_loop import Loop, distilled_set, forget_checkpoint
from ddcore.synthesis.produce import select, synthesise
from ddcore.synthesis.validation import TrainedValidation, Validation

__all__ = [
    "Finished",
    "Group",
    "Loop",
    "Method",
    "Part",
    "Shard",
    "Synthesis",
    "TrainedValidation",
    "Validation",
    "distilled_set",
    "forget_checkpoint",
    "select",
    "synthesise",
]
