import json
from pathlib import Path

import pytest

from ddcore.data.tokeniser import encode, load_tokeniser, readable, save_tokeniser, spaced, train_tokeniser
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


def words(tokeniser, text):
    return [tokeniser.id_to_token(number) for number in encode(tokeniser, [text]).values.tolist()]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("这部电影很好，我喜欢", ["这", "部", "电", "影", "很", "好", "，", "我", "喜", "欢"]),
        ("悪い映画。Nice ドラマ 2回", ["悪", "い", "映", "画", "。", "nice", "ド", "ラ", "マ", "2", "回"]),
        ("ร์ดี ดี", ["ร์", "ดี", "ดี"]),
        ("좋은 영화, don't", ["좋은", "영화", ",", "don't"]),
    ],
)
def test_a_character_is_a_word_in_scripts_without_blanks(text, parts, tmp_path):
    tokeniser = train_tokeniser([text], rarest=1)
    assert words(tokeniser, text) == parts
    save_tokeniser(tokeniser, tmp_path / "tokeniser.json")
    assert load_tokeniser(tmp_path / "tokeniser.json").to_str() == tokeniser.to_str()


def test_characters_are_joined_again():
    texts = ["这部电影很好，我喜欢！", "good (really)."]
    tokeniser = train_tokeniser(texts, rarest=1)
    assert list(readable(tokeniser, encode(tokeniser, texts))) == texts
    assert spaced("好 a坏b") == " 好  a 坏 b"


def test_texts_with_blanks_keep_the_rule_of_earlier_versions():
    assert r"\\w+(?:'\\w+)*|[^\\w\\s]" in train_tokeniser(["schön été слово"], rarest=1).to_str()


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts.update(truncation={"direction": "Right", "max_length": 1, "strategy": "LongestFirst"}),
        lambda parts: parts.update(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        lambda parts: parts.update(pre_tokenizer={"type": "FixedLength", "length": 0}),
        lambda parts: parts["pre_tokenizer"]["pattern"].update(Regex="(a+)+$"),
        lambda parts: parts["model"]["vocab"].update(good=-1),
        lambda parts: parts["model"]["vocab"].update(good=7.5),
        lambda parts: parts["model"]["vocab"].update({"[PAD]": 1, "[UNK]": 0}),
        lambda parts: parts["model"]["vocab"].update({"\ud800": len(parts["model"]["vocab"])}),
        lambda parts: parts.update(model=[]),
        lambda parts: parts.clear(),
    ],
)
def test_a_strangers_tokeniser_gives_its_words_or_one_line(change, tmp_path):
    path = tmp_path / "tokeniser.json"
    parts = json.loads(train_tokeniser(TEXTS, rarest=1).to_str())
    change(parts)
    path.write_text(json.dumps(parts), encoding="utf-8")
    try:
        assert words(load_tokeniser(path), "good film") == ["good", "film"]
    except DDCoreError as error:
        assert str(error) == f"{path} is damaged: it is not a tokeniser's JSON as ddcore writes it"


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"model": 1' + b"0" * 5000 + b"}", b"\xff\xfe", b"[]", b"7"])
def test_damaged_json_of_any_kind_is_one_line(content, tmp_path):
    (tmp_path / "tokeniser.json").write_bytes(content)
    with pytest.raises(DDCoreError, match="is damaged: it is not a tokeniser's JSON"):
        load_tokeniser(tmp_path / "tokeniser.json")


def test_files_are_utf_8_in_every_locale(tmp_path, monkeypatch):
    read = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda self, encoding="iso-8859-1", errors=None: read(self, encoding, errors)
    )
    save_tokeniser(train_tokeniser(["schön"], rarest=1), tmp_path / "tokeniser.json")
    assert load_tokeniser(tmp_path / "tokeniser.json").id_to_token(2) == "schön"
