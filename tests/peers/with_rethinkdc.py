"""Runs in an environment of its own, without ddcore: the readers of rethinkdc read exported sets.

It takes a folder with ``png`` and ``hf``, and prints its findings as JSON in the last line.
"""

import json
import sys
from pathlib import Path

import torch
from datasets import load_dataset
from rethinkdc.imagenet_ipc import HFDatasetAdapter, ImageFolderIPC
from torchvision import transforms

home = Path(sys.argv[1])
pixels = transforms.PILToTensor()
# Version 0.3.2 is older than an argument of torchvision's, and takes any entry of the folder for one of the classes.
make_dataset = ImageFolderIPC.make_dataset
ImageFolderIPC.make_dataset = staticmethod(lambda *words, allow_empty=False, **named: make_dataset(*words, **named))
(home / "png" / "labels.csv").rename(home / "labels.csv")
folder = ImageFolderIPC(str(home / "png"), transform=pixels, image_number=2)
hub = load_dataset(str(home / "hf"), cache_dir=str(home / "cache")).rename_column("label", "class_id")
table = HFDatasetAdapter(hub, transform=pixels)
found = {}
for name, data in (("folder", folder), ("table", table)):
    members = [data[i] for i in range(len(data))]
    torch.save(torch.stack([image for image, _ in members]), home / f"{name}.pt")
    found[name] = [label for _, label in members]
print(json.dumps(found))
