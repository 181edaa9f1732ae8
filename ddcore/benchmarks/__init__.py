"""Measurements of speed and memory, beside the usual implementations."""

from ddcore.benchmarks.registry import BENCHMARKS
from ddcore.benchmarks.rows import Result, append_rows

__all__ = ["BENCHMARKS", "Result", "append_rows"]
