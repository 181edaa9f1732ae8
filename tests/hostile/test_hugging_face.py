"""Damaged folders of the Hugging Face library: read or refused in one line, and the process lives on."""

import random

import fuzz
import pytest

from ddcore import load_task

FILES = ("train/data-00000-of-00001.arrow", "train/state.json", "test/dataset_info.json", "dataset_dict.json")


@pytest.mark.parametrize("kind", ["image", "text"])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_data_set_is_read_or_refused_in_one_line(write_saved, tmp_path, monkeypatch, file, kind):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    home = write_saved(tmp_path / "pets", kind, 30, 8)
    whole, draws = (home / file).read_bytes(), random.Random(f"{file} {kind}")
    cases = [fuzz.damaged(whole, draws) for _ in range(fuzz.CASES)]
    for number, content in enumerate([*cases, *(fuzz.json_cases(whole, 1) if file.endswith("json") else ())]):
        (home / file).unlink()  # what is mapped must not change under the reader
        (home / file).write_bytes(content)
        try:
            said = fuzz.read_or_refused(lambda: load_task(f"hf:{home}", tmp_path).load_test())
        except Exception as fault:
            raise AssertionError(f"case {number} of {file} is a fault") from fault
        assert said.startswith("Examples") or str(home) in said or "no word" in said or "are all the same" in said
