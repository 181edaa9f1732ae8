"""A made-up job folder, as run_all leaves it, with every kind of record and small real sets."""

import json
import math
from pathlib import Path

import pytest
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from ddcore.data.task import Scale
from ddcore.data.tokeniser import WORD
from ddcore.data.tokens import Tokens
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.origin import Origin

CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
FEELINGS = ("negative", "positive")
TEXT = "the film is ( not ) a great , moving story ; i don't like it ! well - made and funny . 10 / 10 <b> dull"


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def clothes(count: int) -> DistilledSet:
    draws = torch.Generator().manual_seed(count)
    y = torch.arange(count) % 10
    across = torch.linspace(-1, 1, 28)
    shape = (across[None, :, None] ** 2 + across[None, None, :] ** 2 - 0.08 * (y[:, None, None] + 2)).neg() * 6
    x = torch.sigmoid(shape + torch.randn(count, 28, 28, generator=draws) * 0.6)[:, None]
    soft = 6 * torch.nn.functional.one_hot(y, 10).float()
    return DistilledSet(
        "images",
        (x - 0.29) / 0.35,
        y,
        Origin("fashion_mnist", CLOTHES, "frepo", {"steps": 300, "lr": 0.001}),
        Scale((0.29,), (0.35,)),
        soft,
        4.0,
    )


def reviews(count: int) -> tuple[DistilledSet, Tokenizer]:
    vocabulary = {"[PAD]": 0, "[UNK]": 1, **{word: i + 2 for i, word in enumerate(dict.fromkeys(TEXT.split()))}}
    tokeniser = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokeniser.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)
    draws = torch.Generator().manual_seed(count)
    texts = [torch.randint(2, len(vocabulary), (60 + 40 * (i % 11),), generator=draws).tolist() for i in range(count)]
    y = torch.arange(count) % 2
    soft = torch.stack([1.0 - y, y.float()], 1) * 3
    made = DistilledSet("tokens", Tokens.of(texts), y, Origin("imdb", FEELINGS, "cover"), Scale(max_tokens=512), soft)
    return made, tokeniser


def stage(root: Path, folder: str, command: str, seconds: float, memory: float, metrics: list[dict]) -> None:
    place = root / folder
    command = f"scripts/{command} --out {place}"
    write(place / "config.json", {"stage": "stage", "options": {}, "command": command})
    write(
        place / "environment.json",
        {
            "commit": "0123456789abcdef",
            "dirty": False,
            "python": "3.11.2",
            "torch": "2.15.0",
            "numpy": "2.4.0",
            "device": "cpu",
            "cpu": "Example CPU @ 2.50GHz",
            "cores": 2,
            "threads": 2,
            "processes": 1,
            "started": "2026-11-21T04:00:00Z",
        },
    )
    write(
        place / "result.json",
        {"seconds": seconds, "peak_memory_bytes": int(memory * 1e9), "peak_gpu_memory_bytes": None},
    )
    lines = "".join(json.dumps(line) + "\n" for line in metrics)
    (place / "metrics.jsonl").write_text(lines + ('{"step": 9' if metrics else ""))
    (place / "done").touch()


def scores(
    root: Path,
    folder: str,
    dataset: str,
    made: dict,
    nets: dict[str, tuple[str, list[float], float]],
    seeds: list[int],
    labels: str = "own",
) -> None:
    classes, tested = (10, 10_000) if dataset == "fashion_mnist" else (2, 25_000)
    written = {}
    for asked, (net, values, seconds) in nets.items():
        mean = sum(values) / len(values)
        spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1)) if len(values) > 1 else 0.0
        wrong = (1 - mean) / (classes - 1)
        counts = [
            [
                round(tested / classes * (mean if i == j else wrong * (1 + 0.7 * math.sin(3 * i + 5 * j))))
                for j in range(classes)
            ]
            for i in range(classes)
        ]
        written[asked] = {
            "net": net,
            "accuracy": {"mean": mean, "std": spread, "n": len(values), "values": values},
            "seconds": seconds,
            "confusion": counts,
        }
    recipe = {"steps": 2000, "batch_size": 128, "lr": 0.01, "flip": True}
    write(
        root / folder / "scores.json",
        {
            "protocol": {
                "dataset": dataset,
                "set": made,
                "labels": labels,
                "recipe": "own",
                "recipes": {"default": recipe},
                "seeds": seeds,
                "profile": "cpu",
                "train_members": made["members"],
                "test_members": tested,
                "train_tokens": 101_318 if dataset == "imdb" and made["members"] < 1000 else None,
                "tested_on": "test",
            },
            "nets": written,
        },
    )


def a_set(root: Path, method: str, members: int, labels: str, folder: str = "") -> dict:
    made = {"method": method, "members": members, "budget": members, "labels": labels, "options": {"seed": 0}}
    return {**made, "path": str(root / folder)} if folder else made


@pytest.fixture(scope="session")
def whole_job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder for tests that change nothing in it."""
    return make_job(tmp_path_factory.mktemp("whole") / "runs")


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """The job folder; its ``job.json`` speaks of six results, a failed stage and one that never ran."""
    return make_job(tmp_path / "runs")


def make_job(root: Path) -> Path:
    fm, im = "fashion_mnist", "imdb"
    stages = []

    def ran(name: str, folder: str, command: str, seconds: float, memory: float, metrics: tuple = ()) -> None:
        stage(root, folder, command, seconds, memory, list(metrics))
        stages.append(
            {
                "name": name,
                "dataset": folder.split("/")[0],
                "command": command.split(),
                "folder": folder,
                "status": "done",
                "seconds": seconds,
                "peak_memory_bytes": int(memory * 1e9),
                "error": None,
            }
        )

    def falling(last: int, key: str, low: float, high: float) -> list[dict]:
        steps = range(0, last + 1, max(1, last // 80))
        shares = [math.exp(-6 * s / last) * (1 + 0.05 * math.sin(s)) for s in steps]
        return [{"step": s, "seconds": s / 9, key: low + (high - low) * v} for s, v in zip(steps, shares, strict=True)]

    ran(
        "Fashion-MNIST teacher",
        f"{fm}/teacher",
        "train_baseline.py --part fit",
        498,
        2.1,
        falling(3750, "loss", 0.2, 2.2),
    )
    ran(
        "Fashion-MNIST baseline",
        f"{fm}/baseline",
        "train_baseline.py --dataset fashion_mnist --data /data/here",
        509,
        2.2,
        falling(3750, "loss", 0.21, 2.3),
    )
    ran("Fashion-MNIST half", f"{fm}/half", "select_subset.py el2n --budget 30000", 12, 1.2)
    ran("Fashion-MNIST half, soft", f"{fm}/half-eval", "evaluate.py --nets default", 505, 2.1)
    ran(
        "Fashion-MNIST small",
        f"{fm}/small",
        f"distill.py frepo --budget 600 --teacher {root}/{fm}/teacher",
        320,
        2.9,
        [
            {"step": s, "validation accuracy": 0.885 - 0.02 * math.exp(-s / 60), "loss": 0.1 + math.exp(-s / 70)}
            for s in range(0, 301, 20)
        ],
    )
    ran(
        "Fashion-MNIST small, soft",
        f"{fm}/small-eval",
        f"evaluate.py --set {root}/{fm}/small --nets default,convnet",
        95,
        1.6,
    )
    ran("Fashion-MNIST small, hard", f"{fm}/small-hard-eval", "evaluate.py --labels hard", 93, 1.6)
    ran("Fashion-MNIST random, soft", f"{fm}/small-random-eval", "evaluate.py --nets default", 92, 1.6)
    ran("IMDB baseline", f"{im}/baseline", "train_baseline.py --dataset imdb", 66, 3.1, falling(60, "loss", 0.1, 1.0))
    ran("IMDB half", f"{im}/half-eval", "evaluate.py --set runs/imdb/half", 44, 3.0)
    ran(
        "IMDB small",
        f"{im}/small",
        "distill.py cover --budget 250",
        81,
        3.4,
        [{"step": s, "seconds": s, "validation": 0.86 - 0.1 * math.exp(-s / 50)} for s in range(0, 251, 25)],
    )
    ran("IMDB small, evaluated", f"{im}/small-eval", "evaluate.py --nets default,bag,cnn", 120, 2.0)

    whole = a_set(root, "whole", 60_000, "hard")
    scores(root, f"{fm}/baseline", fm, whole, {"default": ("resnet-s2d", [0.9262, 0.9251, 0.9270], 168.2)}, [0, 1, 2])
    scores(
        root,
        f"{fm}/half-eval",
        fm,
        a_set(root, "el2n", 30_000, "soft", f"{fm}/half"),
        {"default": ("resnet-s2d", [0.9259, 0.9249, 0.9257], 167.1)},
        [0, 1, 2],
    )
    small = a_set(root, "frepo", 600, "soft", f"{fm}/small")
    scores(
        root,
        f"{fm}/small-eval",
        fm,
        small,
        {
            "default": ("resnet-s2d", [0.8831, 0.8812, 0.8826], 14.8),
            "convnet": ("convnet", [0.8702, 0.8695, 0.8711], 16.9),
        },
        [0, 1, 2],
    )
    scores(
        root, f"{fm}/small-hard-eval", fm, small, {"default": ("resnet-s2d", [0.8342, 0.8327], 14.7)}, [0, 1], "hard"
    )
    scores(
        root,
        f"{fm}/small-random-eval",
        fm,
        a_set(root, "random", 600, "soft"),
        {"default": ("resnet-s2d", [0.8601, 0.8588, 0.8634], 14.8)},
        [0, 1, 2],
    )
    whole = a_set(root, "whole", 25_000, "hard")
    scores(root, f"{im}/baseline", im, whole, {"default": ("linear", [0.9211], 24.1)}, [0])
    scores(
        root,
        f"{im}/half-eval",
        im,
        a_set(root, "margin", 12_500, "hard", f"{im}/half"),
        {"default": ("linear", [0.9188, 0.9192, 0.9185, 0.9190, 0.9181], 12.2)},
        [0],
    )
    scores(
        root,
        f"{im}/small-eval",
        im,
        a_set(root, "cover", 250, "soft", f"{im}/small"),
        {
            "default": ("linear", [0.8571, 0.8560, 0.8569], 2.1),
            "bag": ("bag", [0.8432, 0.8411, 0.8440], 9.8),
            "cnn": ("cnn", [0.8466, 0.8461, 0.8479], 30.2),
        },
        [0, 1, 2],
    )

    clothes(600).save(root / fm / "small")
    texts, tokeniser = reviews(250)
    texts.save(root / im / "small")
    tokeniser.save(str(root / im / "small" / "tokeniser.json"))

    stages += [
        {
            "name": "IMDB random, hard",
            "dataset": im,
            "command": ["evaluate.py"],
            "folder": f"{im}/random-eval",
            "status": "failed",
            "seconds": 3.1,
            "peak_memory_bytes": 10**9,
            "error": "error: /tmp/somewhere/else/imdb.parquet is truncated: remove it and run again",
        },
        {
            "name": "IMDB half, random",
            "dataset": im,
            "command": ["evaluate.py"],
            "folder": f"{im}/half-random-eval",
            "status": "skipped",
            "seconds": None,
            "peak_memory_bytes": None,
            "error": "not run: needs imdb/half-random",
        },
    ]

    def row(label: str, folder: str, net: str = "default", **more: object) -> dict:
        return {"label": label, "scores": f"{folder}/scores.json", "net": net, **more}

    def at_least(value: float) -> dict:
        return {"kind": "at_least", "value": value}

    def loses(value: float, dataset: str) -> dict:
        return {"kind": "loses_less_than", "value": value, "baseline": f"{dataset}/baseline/scores.json"}

    def result(name: str, goal: str, bar: dict, folder: str, rows: list[dict]) -> dict:
        return {
            "name": name,
            "dataset": folder.split("/")[0],
            "goal": goal,
            "bar": bar,
            "net": "default",
            "label": "",
            "aim": "",
            "scores": f"{folder}/scores.json",
            "rows": rows,
        }

    results = [
        result("Fashion-MNIST, whole set", "at least 92.5 %", at_least(0.925), f"{fm}/baseline", []),
        result(
            "Fashion-MNIST, 30,000 members",
            "loses at most 0.2 points",
            loses(0.002, fm),
            f"{fm}/half-eval",
            [row("random, hard labels", f"{fm}/half-random-eval")],
        ),
        result(
            "Fashion-MNIST, 600 members",
            "at least 88.0 %",
            at_least(0.88),
            f"{fm}/small-eval",
            [
                row("on the ConvNet", f"{fm}/small-eval", "convnet", goal="at least 86.5 %", bar=at_least(0.865)),
                row("hard labels", f"{fm}/small-hard-eval", goal="at least 83 %", bar=at_least(0.83)),
                row("random, same soft labels", f"{fm}/small-random-eval"),
            ],
        ),
        result("IMDB, whole set", "at least 92.0 %", at_least(0.92), f"{im}/baseline", []),
        result(
            "IMDB, 12,500 reviews",
            "loses at most 0.2 points",
            loses(0.002, im),
            f"{im}/half-eval",
            [row("random, hard labels", f"{im}/half-random-eval")],
        ),
        result(
            "IMDB, 250 members",
            "at least 85.5 %",
            at_least(0.855),
            f"{im}/small-eval",
            [
                row("embedding bag", f"{im}/small-eval", "bag", goal="at least 84 %", bar=at_least(0.84)),
                row("CNN", f"{im}/small-eval", "cnn", goal="at least 84.5 %", bar=at_least(0.845)),
                row("random reviews, hard labels", f"{im}/random-eval"),
            ],
        ),
    ]
    results[0]["aim"] = "93 %"
    write(
        root / "job.json",
        {
            "profile": "cpu",
            "seeds": 3,
            "seed": 0,
            "data": "/data/here",
            "results": results,
            "started": "2026-11-21T04:00:00Z",
            "seconds": 2310.0,
            "stages": stages,
        },
    )
    return root
