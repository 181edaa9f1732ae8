"""The chosen changes of tests/mutations.py in reports and what follows them."""

from change import change

REPORTED = [
    change("report/names.py", 'if values["n"] > 1 else', 'if values["n"] > 2 else', "tests/report/test_names.py"),
    change(
        "report/tables.py",
        'row.get("above_random") is False',
        'row.get("above_random") is True',
        "tests/report/test_tables.py",
    ),
    change(
        "report/tables.py",
        'if score["tested_on"] == "test" else f" on',
        'if score["tested_on"] != "test" else f" on',
        "tests/report/test_tables.py",
    ),
    change("report/comparison.py", "cell['seconds'] / 60", "cell['seconds'] / 6", "tests/report/test_comparison.py"),
    change(
        "report/comparison.py",
        '_points(cell, kind, "ior")',
        '_points(cell, kind, "lrs")',
        "tests/report/test_comparison.py",
    ),
    change(
        "training/scores.py", "{-100 * loss['mean']:+.2f}", "{100 * loss['mean']:+.2f}", "tests/training/test_scores.py"
    ),
    change(
        "training/scores.py",
        'score["mean"] >= goal["value"]',
        'score["mean"] <= goal["value"]',
        "tests/training/test_scores.py",
    ),
]
