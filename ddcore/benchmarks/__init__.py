"""Measurements of speed and memory, beside the usual implementations."""

from ddcore.benchmarks.registry import BENCHMARKS
from ddcore.benchmarks.rows import CaseResult, append_rows

__all__ = ["BENCHMARKS", "CaseResult", "append_rows"]
