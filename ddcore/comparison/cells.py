"""The shapes of the files of a cell."""

from ddcore.runtime import Schema

SCORE: Schema = {"mean": float, "std": float, "n": int, "values": [float]}
COST: dict[str, Schema] = {
    "seconds": float,
    "peak_memory_bytes": (int, None),
    "peak_gpu_memory_bytes": (int, None),
}
PACE: Schema = {"steps": int}
WHERE: Schema = {"commit?": str, "device?": str, "cpu?": str, "started?": str}
CELL: Schema = {
    "title": str,
    "way": str,
    "labels": str,
    "several_a_slot": bool,
    "pace": (PACE, None),
    **COST,
    "scores": {"*": {"*": SCORE}},
    "own_steps": ({"labels": str}, None),
    "environment?": WHERE,
    "draw?": int,
    "of?": int,
    "factor?": int,
    "tiles?": int,
    "controls?": [str],
}
REAL: Schema = {"title": str, "score": (SCORE, None)}
NOTES: Schema = {
    "provenance": {"validation_accuracy_at_start?": float, "validation_accuracy?": float},
    "sha256?": str,
}
"""The shapes of the files of a cell: its environment, its result and that of its set, its pace, the whole training
set's result, and the notes of its set."""
