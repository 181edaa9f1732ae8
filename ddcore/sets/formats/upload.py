"""Upload of an exported folder to the Hugging Face Hub, by its library and with the login that it keeps."""

from pathlib import Path

from ddcore.errors import DDCoreError


def push_to_hub(folder: Path, name: str) -> str:
    """Upload a folder as a dataset repository and return its address; files that are there already are replaced.

    Args:
        folder: that `export_set` wrote.
        name: ``OWNER/NAME`` on the Hub; the repository is created if it is not there.

    Raises:
        DDCoreError: the Hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi

    try:
        client = HfApi()
        address = client.create_repo(name, repo_type="dataset", exist_ok=True)
        client.upload_folder(
            repo_id=name, repo_type="dataset", folder_path=folder, commit_message="Add a distilled set by ddcore"
        )
    except Exception as error:  # the library raises many kinds, by cause and version
        reason = " ".join(str(error).split())[:240] or type(error).__name__
        raise DDCoreError(f"{name} was not uploaded; the folder {folder} is complete: {reason}") from error
    return str(address)
