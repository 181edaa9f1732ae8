import pytest

from ddcore.data.tokeniser import encode, load_tokeniser, readable, save_tokeniser, train_tokeniser
from ddcore.errors import DDCoreError

TEXTS = ["Good film.<br /><br />Good, isn't it?", "good GOOD film . once"]


def test_words_are_lower_case_and_ids_count_down_by_frequency():
    tokeniser = train_tokeniser(TEXTS, rarest=1)
    vocabulary = tokeniser.get_vocab()
    assert vocabulary["[PAD]"] == 0 and vocabulary["[UNK]"] == 1 and vocabulary["good"] == 2
    assert "isn't" in vocabulary and "?" in vocabulary and "br" not in vocabulary


def test_rare_and_new_words_are_unknown():
    tokeniser = train_tokeniser(TEXTS)
    tokens = encode(tokeniser, ["good once", "", "zzz"])
    assert tokens.lengths.tolist() == [2, 0, 1]
    assert tokens.values.tolist() == [2, 1, 1]


def test_tokens_become_a_readable_text_again(tmp_path):
    tokeniser = train_tokeniser(TEXTS, rarest=1)
    save_tokeniser(tokeniser, tmp_path / "tokeniser.json")
    again = load_tokeniser(tmp_path / "tokeniser.json")
    assert list(readable(again, encode(tokeniser, TEXTS))) == ["good film. good, isn't it?", "good good film. once"]


def test_a_damaged_tokeniser_is_named(tmp_path):
    (tmp_path / "tokeniser.json").write_text('{"version": ')
    with pytest.raises(DDCoreError, match=r"tokeniser\.json is damaged"):
        load_tokeniser(tmp_path / "tokeniser.json")
    with pytest.raises(DDCoreError, match="missing"):
        load_tokeniser(tmp_path / "other.json")
