"""The ledger of test readings: every scoring of a set on a test set that led to a figure or to a changed setting.

One JSON object per line, in the order of the readings; a line is never changed. A report says from it how often the
test set was read before a figure was measured.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NotRequired, TypedDict

from ddcore.errors import DDCoreError, require
from ddcore.runtime import JSONObject, fault_of, parse_json, read_object, schema_of, write_atomic
from ddcore.training.protocols import protocol_name
from ddcore.training.scores import ROUNDING, Score, label_of, read_scores, score_of

FIGURE, DECISION = "figure", "decision"
WHY = (FIGURE, DECISION)
LEDGER, SCORES = "ledger.jsonl", "scores.json"


class Reading(TypedDict):
    """One test score of one network on one set.

    `date` is that of the run, or of the commit that first holds the figure. `subject` says what was scored, see
    `subject_of`: readings of equal data set, subject and network are readings of the same kind. `set` is the SHA-256
    of the set's tensors, None if the set is not there. `score` is a fraction, None if no record holds it. `why` is
    ``figure``, or ``decision`` if the score led to a changed setting.
    """

    date: str
    commit: str | None
    dataset: str
    subject: str
    set: str | None
    method: str
    options: JSONObject | None
    net: str
    protocol: str
    score: float | None
    why: str
    note: NotRequired[str]


class Place(TypedDict):
    """A score's place among the readings of its kind: the `number` of `of`, after so many `decisions`."""

    number: int
    of: int
    decisions: int


def subject_of(score: Score) -> str:
    """Return what a score was measured of: number of members, method, labels, and what networks they began as."""
    changes = score.get("changes") or {}
    prefix, subset = score.get("prefix"), score.get("subset")
    cut = " of a larger ordered set" if prefix else " drawn from a larger set" if subset else ""
    aim = "poison" if "turned" in changes else f"{score['labels']} labels"
    trained = ", networks trained before" if "before" in changes and aim != "poison" else ""
    return f"{score['members']:,} members by {score['method']}{cut}, {aim}{trained}"


def readings_of(path: Path, content: JSONObject, where: JSONObject, why: str = FIGURE) -> list[Reading]:
    """Return the readings in a ``scores.json``: one per network; none if it was not measured on the test set.

    Args:
        path: of the file, for messages.
        content: of the file, from `read_scores`.
        where: the environment of the run: its commit, and when it started.
        why: in `WHY`.
    """
    protocol = content["protocol"]
    if protocol.get("tested_on", "test") != "test":
        return []
    source, seeds = protocol.get("set") or {}, ", ".join(map(str, protocol.get("seeds", [])))
    how = f"{protocol_name(protocol)} protocol, profile {protocol.get('profile', 'unknown')}, seeds {seeds}"
    scores = [score_of(path, content, net) for net in content["nets"]]
    return [
        Reading(
            date=str(where.get("started") or ""),
            commit=where.get("commit"),
            dataset=score["dataset"],
            subject=subject_of(score),
            set=source.get("sha256"),
            method=score["method"],
            options=source.get("options"),
            net=score["net"],
            protocol=how,
            score=score["mean"],
            why=why,
        )
        for score in scores
    ]


def read_ledger(path: Path) -> list[Reading]:
    """Return the readings in a ledger; none if there is no such file.

    Raises:
        DDCoreError: the file cannot be read, or a line is damaged; the message has its number.
    """
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise DDCoreError(f"the ledger {path} cannot be read: {reason}") from error
    readings: list[Reading] = []
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        place = f"{path}, line {number},"
        reading = parse_json(line, Path(place))
        fault = fault_of(reading, schema_of(Reading))
        if not fault and reading["why"] not in WHY:
            fault = f"'why' is not {' or '.join(WHY)}"
        require(not fault, f"{place} is damaged: {fault}: take the line from the history of the file", DDCoreError)
        readings.append(reading)
    return readings


def append_readings(path: Path, readings: Sequence[Reading]) -> int:
    """Append readings to a ledger, made if it is not there, and return how many of them were new.

    A reading with the same subject, network, set and score as an earlier one tells nothing new and is not added. The
    file is replaced atomically, under a lock of its folder.

    Raises:
        DDCoreError: a line of the ledger is damaged, or it cannot be written.
    """
    with _locked(path.parent):
        earlier = read_ledger(path)
        known, new = {_key(each) for each in earlier}, []
        for each in readings:
            if _key(each) not in known:
                known.add(_key(each))
                new.append(each)
        if new:
            lines = [json.dumps(each, allow_nan=False) + "\n" for each in (*earlier, *new)]
            write_atomic(path, "".join(lines).encode())
    return len(new)


def place_of(readings: Sequence[Reading], score: Score) -> Place | None:
    """Return a score's place among the readings of its kind; None if the ledger does not hold it."""
    kind = (score["dataset"], subject_of(score), score["net"])
    return place_among(readings, kind, score.get("sha256"), score["mean"])


def place_among(
    readings: Sequence[Reading], kind: tuple[str, str, str], sha256: str | None, mean: float
) -> Place | None:
    """Return the place of a score; `kind` is its data set, subject and network, `sha256` its set, if it is known."""
    alike = [each for each in readings if _kind(each) == kind]
    mine = [
        number
        for number, each in enumerate(alike)
        if each["score"] is not None
        and abs(each["score"] - mean) <= ROUNDING
        and (not sha256 or each["set"] in (None, sha256))
    ]
    if not mine:
        return None
    decisions = sum(each["why"] == DECISION for each in alike[: mine[-1]])
    return Place(number=mine[-1] + 1, of=len(alike), decisions=decisions)


def publish(path: Path | None, run: Path, why: str) -> str:
    """Append the readings of a finished run to a ledger, and return a line on it; empty without a ledger.

    Args:
        path: of the ledger, or None.
        run: the run folder, with ``scores.json`` and ``environment.json``.
        why: in `WHY`.

    Raises:
        DDCoreError: as `append_readings`; or a file of the run is damaged.
    """
    if path is None:
        return ""
    where = read_object(run / "environment.json", {"commit?": str, "started?": str})
    readings = readings_of(run / SCORES, read_scores(run / SCORES), where, why)
    return f"{path}: {append_readings(path, readings)} of {len(readings)} test readings are new"


def _key(reading: Reading) -> tuple[str | float | None, ...]:
    score = None if reading["score"] is None else round(reading["score"], 9)
    told = reading.get("note") if score is None else None
    return *_kind(reading), reading["set"], score, told


def _kind(reading: Reading) -> tuple[str, str, str]:
    """Return data set, subject and network; lines of earlier versions call a control by its method's name alone."""
    method, subject = reading["method"], reading["subject"]
    label = label_of(method, reading["options"])
    subject = subject if label in subject else subject.replace(f" by {method}", f" by {label}", 1)
    return reading["dataset"], subject, reading["net"]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let other processes that write in a folder wait; where the file system has no locks, nobody waits."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise DDCoreError(f"cannot write in {folder}: {error.strerror}") from error
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
