"""Small real files in the publishers' formats, and toy tasks, for every test."""

import ctypes
import gzip
import io
import os
import random
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

# Compiling takes longer than all that a test computes; the tests of the compiled step switch it on again.
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

# What a shell starts in the background ignores Ctrl-C, and so would every program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))
sys.path.insert(0, str(Path(__file__).parent / "toys"))

from toys import striped, toy_task

from ddcore.data.task import Task


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Start the global generators alike for each test and its fixtures, whatever ran before it in its process."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks gain nothing from a second thread, and wait for it where the cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def toy() -> Task:
    """Two classes, 120 + 40 grey images of 8x8."""
    return toy_task()


def write_idx(folder: Path, name: str, array: torch.Tensor, *, packed: bool = False) -> Path:
    """Write a uint8 tensor in the IDX format of MNIST."""
    folder.mkdir(parents=True, exist_ok=True)
    head = struct.pack(">HBB", 0, 8, array.ndim) + b"".join(struct.pack(">I", n) for n in array.shape)
    path = folder / name
    path.write_bytes(head + array.to(torch.uint8).numpy().tobytes())
    if packed:
        (folder / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    return path


@pytest.fixture(name="write_idx")
def _write_idx() -> Callable[..., Path]:
    return write_idx


@pytest.fixture
def idx_data(tmp_path: Path) -> Path:
    """A data folder with a tiny Fashion-MNIST: 200 + 50 images of 28x28, ten classes."""
    raw = tmp_path / "data" / "FashionMNIST" / "raw"
    for part, n in (("train", 200), ("t10k", 50)):
        made = striped(n, side=28, classes=10)
        write_idx(raw, f"{part}-images-idx3-ubyte", made.x[:, 0])
        write_idx(raw, f"{part}-labels-idx1-ubyte", made.y)
    return tmp_path / "data"


@pytest.fixture
def real_data() -> Path:
    """The folder of the real data sets; skips where it isn't there."""
    path = Path(os.environ.get("DDCORE_DATA", "data"))
    if not (path / "FashionMNIST").is_dir():
        pytest.skip("real data not found: set DDCORE_DATA")
    return path


def write_reviews(folder: Path, split: str, count: int) -> Path:
    """Write made-up reviews in IMDB's parquet layout, sorted by label as the real ones are."""
    import datasets

    words = {0: ["awful", "dull", "waste"], 1: ["great", "moving", "superb"]}
    rows = []
    for i in range(count):
        label = int(i >= count // 2)
        mood = words[label][i % 3]
        text = f"I saw film {i % 7} (on tv).<br /><br />The plot was {mood}, and the cast was {mood}! It doesn't end."
        rows.append({"text": text, "label": label})
    path = folder / "imdb" / "plain_text" / f"{split}-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows).to_parquet(path)
    return path


@pytest.fixture
def review_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a tiny IMDB, 80 + 20 reviews, and a cache of its own."""
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    for split, count in (("train", 80), ("test", 20)):
        write_reviews(tmp_path / "data", split, count)
    return tmp_path / "data"


@pytest.fixture
def review_task(review_data: Path) -> Task:
    """The tiny IMDB as a task."""
    from ddcore.data.imdb import imdb

    return imdb(review_data)


def write_pictures(home: Path, counts: dict[str, int], side: int = 12, mode: str = "L", suffix: str = "png") -> Path:
    """Write a folder a class; a picture's class is the place of a bright stripe, as in `striped`."""
    from PIL import Image

    for number, (name, count) in enumerate(counts.items()):
        (home / name).mkdir(parents=True, exist_ok=True)
        made = striped(count * len(counts), side, classes=len(counts))
        for i, picture in enumerate(made.x[made.y == number]):
            Image.fromarray(picture[0].numpy()).convert(mode).save(home / name / f"{i:03}.{suffix}")
    return home


@pytest.fixture(name="write_pictures", scope="session")
def _write_pictures() -> Callable[..., Path]:
    return write_pictures


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A folder of 60 grey PNG files of 12x12 pixels in two classes."""
    return write_pictures(tmp_path / "pets", {"cat": 30, "dog": 30})


def write_table(path: Path, count: int, classes: tuple[str, ...] = ("bad", "good")) -> Path:
    """Write made-up texts as CSV with the columns text and label; a text's first word tells its class."""
    rows = [
        f'"It was {classes[i % len(classes)]}ly made, number {i}.",{classes[i % len(classes)]}' for i in range(count)
    ]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return path


@pytest.fixture(name="write_table", scope="session")
def _write_table() -> Callable[..., Path]:
    return write_table


@pytest.fixture
def remarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CSV file of 80 texts in two classes, and a cache of its own."""
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    return write_table(tmp_path / "remarks.csv", 80)


def write_saved(home: Path, kind: str, count: int, test: int = 0) -> Path:
    """Write images or texts of two classes as the `datasets` library saves them, `test` of them as a test split."""
    import datasets

    names, bars = ["cat", "dog"], datasets.are_progress_bars_disabled()
    x = striped(count + test, 12).x[:, 0].numpy()
    members = {
        "image": lambda i: {"bytes": encoded(x[i]), "path": None},
        "text": lambda i: f"It was {names[i % 2]}ly made, number {i}.",
    }
    column = datasets.Image() if kind == "image" else datasets.Value("string")
    features = datasets.Features({kind: column, "label": datasets.ClassLabel(names=names)})
    rows = [{kind: members[kind](i), "label": i % 2} for i in range(count + test)]
    whole = datasets.Dataset.from_list(rows, features=features)
    datasets.disable_progress_bars()
    if test:
        train = whole.select(range(count))
        whole = datasets.DatasetDict(train=train, test=whole.select(range(count, count + test)))
    whole.save_to_disk(home)
    if not bars:
        datasets.enable_progress_bars()
    return home


def encoded(pixels: np.ndarray) -> bytes:
    """Return pixels as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(name="write_saved", scope="session")
def _write_saved() -> Callable[..., Path]:
    return write_saved


@contextmanager
def locked_up(*paths: Path, mode: int = 0) -> Iterator[None]:
    """Give the paths a mode, by default one that lets nobody in, and take from the test root's right to go anywhere.

    Root keeps its name, so that Python's packages, which may be root's alone, can still be imported.
    """
    modes = [path.stat().st_mode for path in paths]
    for path in paths:
        path.chmod(mode)
    libc, header, sets = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    effective = sets[0]
    sets[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of capabilities(7)
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = effective
        assert libc.capset(header, sets) == 0
        for path, before in zip(paths, modes, strict=True):
            path.chmod(before)


@pytest.fixture(name="locked_up")
def _locked_up() -> Callable[..., AbstractContextManager[None]]:
    return locked_up


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A folder that the test cannot enter, not even as root, with a folder inside."""
    folder = tmp_path / "locked"
    (folder / "inside").mkdir(parents=True)
    with locked_up(folder):
        yield folder
