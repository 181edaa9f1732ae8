"""One run, in one or many processes: its folder, files, checkpoints, signals, progress. Knows nothing of learning."""

from ddcore.runtime.bar import Bar
from ddcore.runtime.checkpoints import Checkpoints
from ddcore.runtime.estimates import check_room, needs, outlook, slowness
from ddcore.runtime.files import (
    Json,
    JSONObject,
    canonical,
    check_empty,
    check_links,
    check_space,
    file_name,
    file_names,
    files_digest,
    inside,
    load_tensors,
    parse_json,
    read_json,
    save_tensors,
    set_aside,
    tensors_digest,
    write_atomic,
    write_json,
)
from ddcore.runtime.gather import Share, agreed
from ddcore.runtime.launcher import arrival
from ddcore.runtime.lock import hold, wait_until_free
from ddcore.runtime.logs import LOG, log_to, show_warnings
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
from ddcore.runtime.precision import PRECISIONS, autocast, precise, precision, set_precision, timed_precisions
from ddcore.runtime.processes import Alone, Processes, open_processes
from ddcore.runtime.progress import Progress, shifted
from ddcore.runtime.run_folder import CONFIG, RESULT, Interval, Run, changed_inputs, other_commits, seed_folders
from ddcore.runtime.schema import LARGEST, Count, Schema, fault_of, read_object, schema_of
from ddcore.runtime.session import Session
from ddcore.runtime.signals import HELD, INTERRUPTED, Stopped, answer, asked, close, deferred, end_with_parent, listen
from ddcore.runtime.state import State, packed, under, unpacked
from ddcore.runtime.trackers import tracker
from ddcore.runtime.transfer import copied, copy_all, sent
from ddcore.runtime.watchdog import Peers, together

__all__ = [
    "CONFIG",
    "HELD",
    "INTERRUPTED",
    "LARGEST",
    "LOG",
    "PRECISIONS",
    "RESULT",
    "Alone",
    "Bar",
    "Checkpoints",
    "Count",
    "Interval",
    "JSONObject",
    "Json",
    "Peers",
    "Processes",
    "Progress",
    "Run",
    "Schema",
    "Session",
    "Share",
    "State",
    "Stopped",
    "agreed",
    "answer",
    "arrival",
    "asked",
    "autocast",
    "available",
    "available_cores",
    "bind",
    "canonical",
    "changed_inputs",
    "check_empty",
    "check_links",
    "check_room",
    "check_space",
    "close",
    "copied",
    "copy_all",
    "deferred",
    "end_with_parent",
    "environment",
    "fault_of",
    "file_name",
    "file_names",
    "files_digest",
    "forget_peak",
    "hold",
    "inside",
    "keep_freed_memory",
    "listen",
    "load_tensors",
    "log_to",
    "needs",
    "open_processes",
    "other_commits",
    "out_of_memory",
    "outlook",
    "packed",
    "parse_json",
    "peak",
    "precise",
    "precision",
    "read_json",
    "read_object",
    "save_tensors",
    "schema_of",
    "seconds_of",
    "seed_folders",
    "sent",
    "set_aside",
    "set_precision",
    "shifted",
    "show_warnings",
    "slowness",
    "tensors_digest",
    "timed_precisions",
    "together",
    "tracker",
    "under",
    "unpacked",
    "wait_until_free",
    "write_atomic",
    "write_json",
]
