"""DD-Ranking reads our exports, and its evaluators train on them.

Of version 0.2.0, `GeneralEvaluator` cannot be built (it reads ``use_torchvision``, a name that it does not have), and
`LabelRobustScoreSoft.compute_metrics` ends where it labels random images (an argument and ``teacher_model`` are
missing). So the hard score runs whole, and of the soft one the training on soft labels.
"""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ddcore import select
from ddcore.data.task import Task
from ddcore.sets.formats.exporting import export_set


def write_cifar(folder: Path, task: Task) -> None:
    """Write images in the files in which the publisher of CIFAR-10 has them."""
    folder.mkdir(parents=True)
    parts = [task.train[members] for members in torch.arange(len(task.train)).chunk(5)]
    named = {f"data_batch_{number}": part for number, part in enumerate(parts, 1)} | {"test_batch": task.load_test()}
    for name, part in named.items():
        content = {"data": part.x.flatten(1).numpy(), "labels": part.y.tolist()}
        (folder / name).write_bytes(pickle.dumps(content))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(task.classes)}))


@pytest.mark.peers
@pytest.mark.real_data
def test_its_evaluators_read_and_judge_our_files(cifar, tmp_path, answer):
    small = select(cifar, 20).class_by_class()
    logits = torch.nn.functional.one_hot(small.y, 10) * 4.0
    home = tmp_path / "home"
    for name in ("dc", "mtt", "png"):
        export_set(small, home / name, name)
    export_set(replace(small, soft=logits, temperature=2.0), home / "datm", "datm")
    write_cifar(home / "cifar" / "cifar-10-batches-py", cifar)
    (home / "members.json").write_text(json.dumps({"numbers": small.indices.tolist()}))
    found = answer("ddranking==0.2.0", "with_ddranking.py", home)
    # The exported real members equal, bit for bit, the ones that DD-Ranking normalises itself.
    assert found["same"] == [0, 0] and found["labels"] == [small.y.tolist()] * 3
    scores = found["tensors"]
    assert {name for name in scores if name.endswith("_mean")} == {
        "hard_label_recovery_mean",
        "improvement_over_random_mean",
        "label_robust_score_mean",
    }
    assert abs(scores["hard_label_recovery_mean"]) < 60 and abs(scores["improvement_over_random_mean"]) < 60
    # Its seeds come from the clock; ten steps on two images per class gave 11 to 15 %.
    assert 2 < found["soft"] < 60 and 2 < found["folder"] < 60
