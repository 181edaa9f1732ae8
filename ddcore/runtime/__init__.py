"""One run, in one or many processes: its folder, files, checkpoints, signals, progress. Knows nothing of learning."""

from ddcore.runtime.bar import Bar
from ddcore.runtime.checkpoints import Checkpoints
from ddcore.runtime.estimates import check_room, needs, outlook
from ddcore.runtime.files import (
    Json,
    JSONObject,
    check_space,
    load_tensors,
    read_json,
    save_tensors,
    set_aside,
    write_atomic,
    write_json,
)
from ddcore.runtime.gather import Share, agreed
from ddcore.runtime.launcher import arrival
from ddcore.runtime.lock import hold
from ddcore.runtime.logs import LOG, log_to
from ddcore.runtime.machine import (
    available,
    available_cores,
    bind,
    environment,
    forget_peak,
    keep_freed_memory,
    out_of_memory,
    peak,
    seconds_of,
)
from ddcore.runtime.processes import Alone, Processes, open_processes
from ddcore.runtime.progress import Progress, shifted
from ddcore.runtime.run_folder import Interval, Run
from ddcore.runtime.session import Session
from ddcore.runtime.signals import HELD, INTERRUPTED, Stopped, answer, asked, close, deferred, end_with_parent, listen
from ddcore.runtime.state import State, packed, under, unpacked
from ddcore.runtime.trackers import tracker
from ddcore.runtime.watchdog import Peers, together

__all__ = [
    "HELD",
    "INTERRUPTED",
    "LOG",
    "Alone",
    "Bar",
    "Checkpoints",
    "Interval",
    "JSONObject",
    "Json",
    "Peers",
    "Processes",
    "Progress",
    "Run",
    "Session",
    "Share",
    "State",
    "Stopped",
    "agreed",
    "answer",
    "arrival",
    "asked",
    "available",
    "available_cores",
    "bind",
    "check_room",
    "check_space",
    "close",
    "deferred",
    "end_with_parent",
    "environment",
    "forget_peak",
    "hold",
    "keep_freed_memory",
    "listen",
    "load_tensors",
    "log_to",
    "needs",
    "open_processes",
    "out_of_memory",
    "outlook",
    "packed",
    "peak",
    "read_json",
    "save_tensors",
    "seconds_of",
    "set_aside",
    "shifted",
    "together",
    "tracker",
    "under",
    "unpacked",
    "write_atomic",
    "write_json",
]
