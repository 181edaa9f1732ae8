"""The outer loop around every method that follows gradients, and the contract of a method."""

from ddcore.synthesis.contract import GradientMethod, Group, Part, StagedMethod, Synthesis, Unrolling, made_images
from ddcore.synthesis.outer_loop import Loop, forget_checkpoint
from ddcore.synthesis.produce import select, synthesise

__all__ = [
    "GradientMethod",
    "Group",
    "Loop",
    "Part",
    "StagedMethod",
    "Synthesis",
    "Unrolling",
    "forget_checkpoint",
    "made_images",
    "select",
    "synthesise",
]
