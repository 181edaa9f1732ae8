import huggingface_hub
import pytest

from ddcore.errors import DDCoreError
from ddcore.sets.formats.upload import push_to_hub


def test_a_folder_is_uploaded_by_the_library(tmp_path, monkeypatch):
    calls = []

    class Client:
        def create_repo(self, name, **options):
            calls.append(("create", name, options))
            return f"https://huggingface.co/datasets/{name}"

        def upload_folder(self, **options):
            calls.append(("upload", options.pop("repo_id"), options))

    monkeypatch.setattr(huggingface_hub, "HfApi", Client)
    assert push_to_hub(tmp_path, "me/small") == "https://huggingface.co/datasets/me/small"
    (create, name, how), (upload, again, what) = calls
    assert (create, upload, name, again) == ("create", "upload", "me/small", "me/small")
    assert how == {"repo_type": "dataset", "exist_ok": True}
    assert what["folder_path"] == tmp_path and what["repo_type"] == "dataset"


def test_a_refusal_of_the_hub_is_one_line(tmp_path, monkeypatch):
    class Client:
        def create_repo(self, *_, **__):
            raise ConnectionError("401\n\nlog in first")

    monkeypatch.setattr(huggingface_hub, "HfApi", Client)
    with pytest.raises(DDCoreError, match=r"me/small was not uploaded; .* is complete: 401 log in first"):
        push_to_hub(tmp_path, "me/small")
