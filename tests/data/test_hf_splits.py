"""Data sets that the library opens or refuses, each refusal in one line; the Hub is replaced."""

import datasets
import pytest
from datasets.exceptions import DatasetNotFoundError

from ddcore.data.custom import parse
from ddcore.data.hf_splits import lies_in, open_splits, roots_of
from ddcore.errors import DDCoreError, UsageError


def opened(where, options=""):
    return open_splits(parse(f"hf:{where}{options}"))


def refused(where, options="", error=DDCoreError):
    with pytest.raises(error) as caught:
        opened(where, options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def hub(monkeypatch):
    """Return a function that puts an answer, or an error, in the place of the Hub."""

    def put(answer):
        def load_dataset(name, config=None):
            assert name == "some/animals" and config in (None, "small")
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)

    return put


@pytest.mark.parametrize("test", [0, 8])
def test_what_save_to_disk_wrote_is_mapped(write_saved, tmp_path, test):
    home = write_saved(tmp_path / "pets", "text", 30, test)
    splits = opened(home)
    assert {name: len(split) for name, split in splits.items()} == ({"train": 30, "test": 8} if test else {"train": 30})
    assert all(file["filename"].startswith(str(home)) for split in splits.values() for file in split.cache_files)


def test_parquet_and_pictures_are_opened_as_the_library_does(write_saved, write_pictures, tmp_path):
    saved = datasets.load_from_disk(str(write_saved(tmp_path / "pets", "image", 30)))
    (tmp_path / "parquet" / "data").mkdir(parents=True)
    for split in ("train", "test"):
        saved.to_parquet(tmp_path / "parquet" / "data" / f"{split}-00000-of-00001.parquet")
    splits = opened(tmp_path / "parquet")
    assert set(splits) == {"train", "test"} and splits["train"].features["label"].names == ["cat", "dog"]
    splits = opened(write_pictures(tmp_path / "photos", {"cat": 4, "dog": 4}))
    assert len(splits["train"]) == 8 and splits["train"].features["label"].names == ["cat", "dog"]


def test_a_changed_file_is_read_again(tmp_path):
    (tmp_path / "texts").mkdir()
    for text in ("one", "two"):
        datasets.Dataset.from_dict({"text": [text], "label": [1]}).to_parquet(tmp_path / "texts" / "train.parquet")
        assert opened(tmp_path / "texts")["train"]["text"][0] == text


def test_nothing_is_said_on_the_way(tmp_path, write_saved, capfd):
    datasets.load_from_disk(str(write_saved(tmp_path / "pets", "text", 30))).to_csv(tmp_path / "table" / "train.csv")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "train.parquet").write_bytes(b"PAR1 and no more")
    capfd.readouterr()
    opened(tmp_path / "table")
    refused(tmp_path / "bad")
    assert capfd.readouterr() == ("", "") and not datasets.are_progress_bars_disabled()


def test_a_folder_that_is_no_data_set(tmp_path):
    assert "holds no data set" in refused(tmp_path, error=UsageError)
    (tmp_path / "note.txt2").write_text("hello")
    assert "holds no data set" in refused(tmp_path, error=UsageError)
    assert "is not a folder" in refused(tmp_path / "note.txt2", error=UsageError)


def test_no_code_of_a_folder_is_run(tmp_path):
    home = tmp_path / "pets"
    home.mkdir()
    (home / "pets.py").write_text("import pathlib\npathlib.Path(__file__).with_name('ran').write_text('')\n")
    assert "pets.py is a loading script, and no code" in refused(home, error=UsageError)
    (home / "pets.py").rename(home / "other.py")
    assert "holds no data set" in refused(home, error=UsageError)
    assert [path.name for path in home.iterdir()] == ["other.py"]


@pytest.mark.parametrize("kind", ["arrow", "state", "splits", "parquet"])
def test_damaged_files_are_one_line(write_saved, tmp_path, kind):
    home = write_saved(tmp_path / "pets", "text", 30, 8)
    if kind == "parquet":
        datasets.load_from_disk(str(home))["train"].to_parquet(tmp_path / "parquet" / "train.parquet")
        home = tmp_path / "parquet"
    names = {"arrow": "train/data-00000-of-00001.arrow", "state": "test/state.json", "splits": "dataset_dict.json"}
    path = home / names.get(kind, "train.parquet")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert str(home) in refused(home)


def test_a_file_outside_the_folder_is_not_read(write_saved, tmp_path):
    home, other = (write_saved(tmp_path / name, "text", 30) for name in ("pets", "other"))
    state = home / "state.json"
    state.write_text(state.read_text().replace("data-00000", f"../{other.name}/data-00000"))
    assert "outside its folder, which is not read" in refused(home)


@pytest.mark.parametrize("name", ["README.md", ".huggingface.yaml"])
@pytest.mark.parametrize(
    "files", ["../private.parquet", "{}/private.parquet", "https://example.org/a.parquet", "zip://a::http://b.org/c"]
)
def test_files_that_a_description_names_elsewhere_are_not_looked_for(write_saved, tmp_path, monkeypatch, name, files):
    folder = tmp_path / "parquet"
    saved = datasets.load_from_disk(str(write_saved(tmp_path / "pets", "text", 30)))
    saved.to_parquet(tmp_path / "private.parquet")
    saved.to_parquet(folder / "train.parquet")
    configs = "license_link: https://example.org\nconfigs:\n- config_name: default\n  data_files: {}\n"
    text = configs.format("train.parquet")
    (folder / name).write_text(f"---\n{text}---\n" if name == "README.md" else text)
    assert len(opened(folder)["train"]) == 30
    (folder / name).write_text((folder / name).read_text().replace("train.parquet", files.format(tmp_path)))
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *words, **more: pytest.fail("it was looked for"))
    assert f"parquet/{name} names files outside the folder, which are not read" in refused(folder)


def test_a_folder_behind_a_link_is_opened(write_pictures, tmp_path):
    home = write_pictures(tmp_path / "photos", {"cat": 4, "dog": 4})
    (tmp_path / "link").symlink_to(home)
    splits, roots = opened(tmp_path / "link"), roots_of(parse(f"hf:{tmp_path / 'link'}"))
    paths = [cell["path"] for cell in splits["train"].cast_column("image", datasets.Image(decode=False))["image"]]
    assert len(paths) == 8 and all(lies_in(path, roots) for path in paths)
    outside = ("other.png", "link/../other.png", "link2/000.png")
    assert not any(lies_in(str(tmp_path / path), roots) for path in outside) and not lies_in("000.png", roots)


def test_a_folder_that_may_not_be_entered_is_one_line(write_saved, tmp_path, locked_up):
    home = write_saved(tmp_path / "pets", "text", 30)
    with locked_up(home / "data-00000-of-00001.arrow"):
        assert "cannot be" in refused(home) and "Permission denied" in refused(home)


def test_several_configurations_are_asked_for(tmp_path):
    home = tmp_path / "pets"
    for name in ("large", "small"):
        datasets.Dataset.from_dict({"text": [name], "label": [1]}).to_parquet(home / name / "train.parquet")
    configs = "".join(f"- config_name: {name}\n  data_dir: {name}\n" for name in ("large", "small"))
    (home / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    said = refused(home, error=UsageError)
    assert "add ,config=NAME" in said and "'large', 'small'" in said
    assert opened(home, ",config=small")["train"]["text"][0] == "small"
    assert "'tiny'" in refused(home, ",config=tiny")


def test_a_saved_folder_has_no_configurations(write_saved, tmp_path):
    assert "has no ,config=" in refused(write_saved(tmp_path / "pets", "text", 30), ",config=x", UsageError)


def test_a_name_on_the_hub(hub):
    split = datasets.Dataset.from_dict({"text": ["a"], "label": [1]})
    hub(datasets.DatasetDict(train=split))
    assert len(opened("some/animals")["train"]) == 1
    hub(split)
    assert len(opened("some/animals", ",config=small")["train"]) == 1
    assert parse("hf:some/animals").place == "'some/animals' on the Hugging Face Hub"


GATED = "Dataset 'some/animals' is a gated dataset on the Hub. You must be authenticated to access it."


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ConnectionError("Couldn't reach 'some/animals' on the Hub"),
            "the Hugging Face Hub cannot be reached: connect",
        ),
        (
            DatasetNotFoundError(GATED),
            "is gated: ask for access at https://huggingface.co/datasets/some/animals and log",
        ),
        (DatasetNotFoundError("doesn't exist on the Hub"), "is no folder here and no data set on the Hugging Face Hub"),
        (RuntimeError("Dataset scripts are no longer supported, but found animals.py"), "scripts are no longer"),
        (OSError(28, "No space left on device", "/cache/x"), "/cache/x cannot be read or written: No space left"),
        (ValueError("one line\nand another"), "one line and another"),
    ],
)
def test_what_the_hub_refuses_is_one_line(hub, error, line):
    hub(error)
    assert line in refused("some/animals")


def test_streaming_sets_are_refused_with_the_reason(hub):
    stream = datasets.Dataset.from_dict({"text": ["a"]}).to_iterable_dataset()
    for answer in (stream, datasets.IterableDatasetDict(train=stream)):
        hub(answer)
        assert "streaming data set, which gives no member by its number" in refused("some/animals", error=UsageError)


def test_a_picture_on_the_hub_lies_in_the_library_s_cache():
    roots = roots_of(parse("hf:some/animals"))
    assert lies_in(f"{datasets.config.HF_CACHE_HOME}/hub/x.png", roots) and not lies_in("/etc/x.png", roots)
