"""What goes into a run, by content: the digests in its ``config.json`` and in the labels of its checkpoints."""

from collections.abc import Mapping
from pathlib import Path

from ddcore.data import Task
from ddcore.nets import is_custom, source_digest
from ddcore.runtime import Json, files_digest
from ddcore.sets import DistilledSet, set_folders
from ddcore.training.teacher import Teacher

FILES = {
    "teacher": ("teacher.safetensors", "weights-*.safetensors"),
    "weights": ("weights-*.safetensors",),
    "embedding": ("weights-0.safetensors",),
    "experts": ("experts.json",),
    "generator": ("generator.json", "generator.safetensors"),
    "set": ("set.json",),
}
"""Options that name the folder of an earlier run, and the files there that decide what a later run makes of it.

``set.json`` holds the digest of the set's tensors; ``experts.json`` stands for experts, which may be large.
"""
NETWORKS = ("net", "nets", "validation_net")
"""Options that name networks: of a custom one, the source file of its module decides the result, too."""


def inputs_of(task: Task, options: Mapping[str, Json], *, tested: bool = False) -> dict[str, str]:
    """Return short digests, by name, of the data and of everything that the options name.

    Args:
        task: gives ``data`` and, for texts, ``vocabulary``.
        options: by name, as for `read_inputs`.
        tested: whether the run reads the test set: then ``test`` is the digest of its members. The content of custom
            data covers them already.

    Raises:
        UsageError: see `read_inputs`.
        DDCoreError: a file cannot be read.
    """
    fingerprint = task.fingerprint
    data = {"data": fingerprint.content, "vocabulary": fingerprint.vocabulary}
    if tested and not task.content:
        data["test"] = task.load_test().digest
    return {name: digest for name, digest in data.items() if digest} | read_inputs(options)


def read_inputs(options: Mapping[str, Json]) -> dict[str, str]:
    """Return short digests, by name, of the earlier runs and the custom networks that options name.

    Args:
        options: by name; those of `FILES` hold a folder, a `Teacher` or a `DistilledSet`, those of `NETWORKS` names of
            networks, as a list or with commas between. Other values are ignored.

    Raises:
        UsageError: a custom network's module or function does not exist, or the module cannot be imported.
        DDCoreError: a file cannot be read.
    """
    given = {name: options.get(name) for name in FILES}
    nets = {name: _sources(value) for name in NETWORKS if isinstance(value := options.get(name), str | list)}
    return {name: digest for name, digest in nets.items() if digest} | {
        name: folder_digest(name, Path(value)) if isinstance(value, str | Path) else value.digest
        for name, value in given.items()
        if isinstance(value, str | Path | Teacher | DistilledSet) and value != ""
    }


def _sources(names: str | list[Json]) -> str:
    """Return the digests of the source files of custom networks, with commas between; empty without any."""
    each = names.split(",") if isinstance(names, str) else map(str, names)
    return ",".join(source_digest(name.strip()) for name in each if is_custom(name))


def folder_digest(name: str, folder: Path) -> str:
    """Return a short digest of the files in a folder that an option of `FILES` reads; empty if there are none.

    Raises:
        DDCoreError: a file cannot be read.
    """
    places = set_folders(folder) if name == "set" else [folder]
    paths = (path for place in places for pattern in FILES[name] for path in sorted(place.glob(pattern)))
    return files_digest(folder, paths)
