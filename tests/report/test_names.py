from ddcore.report.names import dataset_name, family, gigabytes, seconds, spread


def test_numbers_as_text():
    assert spread({"mean": 0.5, "std": 0.1, "n": 2}) == "50.00 ± 10.00" and spread(None) == ""
    assert spread({"mean": 0.5, "std": 0.1, "n": 1}) == "50.00", "a single network has no spread"
    assert [seconds(each) for each in (None, 9.96, 10, 1234.5)] == ["", "10.0\xa0s", "10\xa0s", "1,234\xa0s"]
    assert gigabytes(None) == "" and gigabytes(3_900_000_000) == "3.90\xa0GB"


def test_names_of_data_sets_and_of_families():
    assert dataset_name("fashion_mnist") == "Fashion-MNIST" and dataset_name("own") == "own"
    score = {"members": 10, "method": "dm", "labels": "soft"}
    assert family(score, 100) == "selected or synthetic, soft labels"
    assert family({**score, "factor": 2}, 100) == "multi-formation"
    assert family({**score, "method": "random"}, 0) == "random, soft labels"
    assert family({**score, "labels": "crop"}, 0) == "selected or synthetic, labels by crop"
    assert family(score, 10) == "whole set, soft labels" and family({**score, "labels": "hard"}, 9) == "whole set"
    assert family({**score, "method": "whole without test members", "labels": "hard"}, 11) == "whole set"
