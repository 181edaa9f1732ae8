"""The dataset card of an exported set: what the Hub shows, and how anybody trains on the set."""

from pathlib import Path

import torch

from ddcore.data import DATASETS, is_custom
from ddcore.errors import DDCoreError, require
from ddcore.runtime import write_atomic
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.contract import Notes
from ddcore.sets.formats.wording import WORDED

CARD = "README.md"
MOST = 2**20
"""Bytes of a card that is read."""
# The Hub's identifiers of the licences that publishers state; any other is named in the text.
LICENCES = {"MIT": "mit", "CC BY 4.0": "cc-by-4.0", "CC BY-SA 3.0": "cc-by-sa-3.0", "none stated": "unknown"}
TRAINING = """```python
import torch
from datasets import load_dataset
from torchvision.transforms.functional import pil_to_tensor

folder = "FOLDER"  # where this page lies, or its name on the Hub
rows = load_dataset(folder, split="train")
x = torch.stack([pil_to_tensor(row["image"]) for row in rows]).float() / 255
mean, std = torch.tensor({mean}).view(-1, 1, 1), torch.tensor({std}).view(-1, 1, 1)
x = (x - mean) / std  # normalise the real test images alike
y = torch.tensor(rows["soft_label"])  # probabilities, one row per member

net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(x[0].numel(), y.shape[1]))  # yours in its place
optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
for step in range(100):
    members = torch.randperm(len(x))[:256]
    loss = torch.nn.functional.cross_entropy(net(x[members]), y[members])
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
```"""
TRAINING_ON_TEXTS = """```python
import torch
from datasets import load_dataset
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

folder = "FOLDER"  # where this page lies, or its name on the Hub
rows = load_dataset(folder, split="train")
texts = list(rows["text"])
y = torch.tensor(rows["soft_label"])  # probabilities, one row per member
tokeniser = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # yours in its place
tokeniser.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
trainer = trainers.WordPieceTrainer(vocab_size=8000, special_tokens=["[PAD]", "[UNK]"], show_progress=False)
tokeniser.train_from_iterator(texts, trainer)
tokeniser.enable_truncation(512)
tokeniser.enable_padding()
x = torch.tensor([each.ids for each in tokeniser.encode_batch(texts)])

words = torch.nn.EmbeddingBag(tokeniser.get_vocab_size(), 64, padding_idx=0)
net = torch.nn.Sequential(words, torch.nn.Linear(64, y.shape[1]))  # yours in its place
optimiser = torch.optim.AdamW(net.parameters(), lr=0.01)
for step in range(100):
    members = torch.randperm(len(x))[:32]
    loss = torch.nn.functional.cross_entropy(net(x[members]), y[members])
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
```"""


def write_card(small: DistilledSet, folder: Path, notes: Notes) -> None:
    """Write README.md with its front matter in YAML.

    Raises:
        UsageError: the licence of a custom data set is not said.
        DDCoreError: the folder cannot be written.
    """
    from huggingface_hub import DatasetCardData

    require(
        bool(notes.licence) or not is_custom(small.dataset),
        f"the licence of {small.dataset} is not known: give --licence NAME",
    )
    stated = notes.licence or DATASETS[small.dataset].licence if small.dataset in DATASETS else notes.licence
    identifier = LICENCES.get(stated, stated if notes.licence else "other")
    front = DatasetCardData(
        license=identifier,
        pretty_name=_title(small),
        task_categories=["image-classification" if small.kind == "images" else "text-classification"],
        size_categories=["n<1K" if len(small) < 1000 else "1K<n<10K" if len(small) < 10**4 else "10K<n<100K"],
        tags=["dataset-distillation", "ddcore"],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
    )
    write_atomic(folder / CARD, f"---\n{front.to_yaml()}\n---\n\n{_text(small, stated, notes)}".encode())


def check_card(folder: Path) -> tuple[str, ...]:
    """Return lines for the user on the dataset card of a folder.

    Raises:
        DDCoreError: the card is too large, its front matter is no YAML, or it states no licence.
    """
    from huggingface_hub import metadata_load

    card = folder / CARD
    if not card.exists():
        return ("no dataset card: licence, method and normalisation are not stated",)
    require(card.is_file() and card.stat().st_size <= MOST, f"{card} is not a dataset card: too large", DDCoreError)
    try:
        front = metadata_load(card)
    except Exception as error:  # the library and its YAML reader raise many kinds
        raise DDCoreError(f"the front matter of {card} is not readable YAML") from error
    licence = front.get("license") if isinstance(front, dict) else None
    require(
        isinstance(licence, str | list) and bool(licence),
        f"{card} states no licence: ask who published the set, and add 'license:' to its front matter",
        DDCoreError,
    )
    return (f"licence on the dataset card: {str(licence)[:80]}",)


def _title(small: DistilledSet) -> str:
    """Return the title of the card."""
    name = DATASETS[small.dataset].title if small.dataset in DATASETS else small.dataset
    return f"{name}, {len(small):,} members by {small.method}"


def _text(small: DistilledSet, licence: str, notes: Notes) -> str:
    """Return the text of the card in Markdown."""
    real = DATASETS.get(small.dataset)
    counts = torch.bincount(small.y, minlength=len(small.classes)).tolist()
    per_class = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    factor = small.origin.factor
    facts = {
        "real data set": f"{real.title} ({real.citation})" if real else small.dataset,
        "licence of the real data set": licence,
        "method": small.method,
        "options": ", ".join(f"{name} {value}" for name, value in small.options.items()),
        "members": f"{len(small):,}, per class {per_class}",
        "kind": f"class V: {factor**2} members decoded from each stored image" if factor > 1 else "",
        "small images": f"{small.origin.tiles**2} in each member" if small.origin.tiles > 1 else "",
        "labels": small.labels + (f", {_exact_labels(small)} in `exact`" if small.soft is not None else ""),
        "normalisation": f"mean {_numbers(small.mean)}, standard deviation {_numbers(small.std)} (pixels from 0 to 1)"
        if small.kind == "images"
        else "",
        "members in the table": _exactness(small),
        "digest": small.digest,
    }
    rows = "\n".join(f"| {name} | {_cell(text)} |" for name, text in facts.items() if text)
    scores = "\n".join(f"| {_cell(what)} | {_cell(accuracy)} |" for what, accuracy in notes.scores)
    measured = f"\n\n## Scores\n\n| network | test accuracy, % |\n|---|---|\n{scores}" if scores else ""
    code = TRAINING if small.kind == "images" else TRAINING_ON_TEXTS
    training = code.format(mean=list(small.mean), std=list(small.std))
    recipes = ", ".join(small.recipes)
    own = f" The set holds recipes for: {recipes}." if recipes else ""
    return (
        f"# {_title(small)}\n\nA small training set that stands for a large one: train a network on it, and test it on "
        f"the real test set.\n\n| | |\n|---|---|\n{rows}{measured}\n\n## How to train on it\n\n{training}\n\n"
        f'With ddcore: `ddcore.DistilledSet.load("exact")`, or `scripts/evaluate.py --set exact`.{own}\n'
    )


def _exact_labels(small: DistilledSet) -> str:
    """Return in words what the tensor of soft labels holds."""
    return f"logits at temperature {small.temperature:g}" if small.temperature else "regression targets"


def _exactness(small: DistilledSet) -> str:
    """Return what stands for a member in the table."""
    if small.kind == "embeddings":
        return "the words nearest to its vectors; `exact` holds the vectors"
    if small.kind == "tokens":
        own = WORDED not in small.provenance
        return "its source text: case and punctuation as they were" if own else "the words of its tokens, in lower case"
    if isinstance(small.x, torch.Tensor) and small.x.dtype == torch.uint8:
        return "exact: the members are pixels of 8 bits"
    return "its picture, rounded to 8 bits and clamped; `exact` holds the tensors without rounding"


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)


def _cell(text: str) -> str:
    """Return a text that stays in its cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").split())
