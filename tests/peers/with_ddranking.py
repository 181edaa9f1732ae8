"""Runs in an environment of its own, without ddcore: DD-Ranking reads exported sets and judges them on CIFAR-10.

It takes a folder with ``dc``, ``mtt``, ``datm``, ``png``, ``cifar`` and ``members.json``, and prints its findings as
JSON in the last line.
"""

import json
import sys
from pathlib import Path

import torch
from ddranking.metrics import LabelRobustScoreHard, LabelRobustScoreSoft, hard_label
from torchvision import transforms
from torchvision.datasets import cifar

home = Path(sys.argv[1])
members = json.loads((home / "members.json").read_text())
# A part of CIFAR-10 has other checksums than the whole.
cifar.check_integrity = lambda path, md5=None: Path(path).is_file()
# Version 0.2.0 counts each label-robust score twice, so that its table of results has columns of different lengths.
hard_label.save_results = lambda results, path: None


def tensors(path):
    return torch.load(path, weights_only=True)


(file,) = (home / "dc").iterdir()
images, labels = tensors(file)["data"][-1]
best, classes = tensors(home / "mtt" / "images_best.pt"), tensors(home / "mtt" / "labels_best.pt")
soft, rate = tensors(home / "datm" / "labels_best.pt"), tensors(home / "datm" / "lr_best.pt")

scale = transforms.Normalize([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010])
common = {
    "dataset": "CIFAR10",
    "real_data_path": str(home / "cifar"),
    "ipc": len(labels) // 10,
    "num_eval": 1,
    "num_epochs": 10,
    "step_size": 10,
    "real_batch_size": 64,
    "num_workers": 0,
    "device": "cpu",
    "data_aug_func": None,
    "custom_train_trans": transforms.Compose([transforms.ToTensor(), scale]),
}
score = LabelRobustScoreHard(**common, eval_full_data=True, save_path=str(home / "hard" / "scores.csv"))
own = torch.stack([score.dst_train[number][0] for number in members["numbers"]])
found = {
    "same": [float((each - own).abs().max()) for each in (images, best)],
    "labels": [labels.tolist(), classes.tolist(), [score.dst_train[number][1] for number in members["numbers"]]],
    "tensors": score.compute_metrics(image_tensor=images, hard_labels=labels, syn_lr=rate),
}
judge = LabelRobustScoreSoft(
    **common,
    teacher_model_names=[],
    soft_label_criterion="sce",
    loss_fn_kwargs={"temperature": 1.0},
    save_path=str(home / "soft" / "scores.csv"),
)
judge.test_interval = 10
found["soft"], _ = judge._compute_soft_label_metrics_helper(best, None, soft, float(rate))
found["folder"], _ = score._compute_hard_label_metrics_helper(None, str(home / "png"), None, float(rate), "syn")
print(json.dumps(found))
