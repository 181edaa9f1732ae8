import base64
import hashlib
import re

import pytest

from ddcore.errors import DDCoreError
from ddcore.report.document import Facts, Lines, Picture, Section
from ddcore.report.html import render
from ddcore.report.tables import Table

HOSTILE = "</script><script>alert(1)</script>\" onload='x' {{ 7 * 7 }} {% raw %} $&"


def page(folder, *blocks):
    return render(HOSTILE, [Section("part", HOSTILE, list(blocks))], folder)


def test_a_browser_runs_the_pages_own_script_alone(tmp_path):
    shown = page(tmp_path, HOSTILE)
    (script,) = re.findall(r"<script>(.*?)</script>", shown, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', shown)
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def test_names_are_never_markup(tmp_path):
    (tmp_path / "a.svg").write_bytes(b"<svg/>")
    member = {"label": HOSTILE, "probability": 0.5, "words": 2, "text": HOSTILE}
    blocks = [
        HOSTILE,
        Table((HOSTILE, HOSTILE), [(HOSTILE, HOSTILE)]),
        Picture("a.svg", HOSTILE, HOSTILE),
        Facts([(HOSTILE, HOSTILE)]),
        Lines([(HOSTILE, [HOSTILE])]),
        {"dataset": "x", "title": HOSTILE, "members": [member]},
    ]
    shown = page(tmp_path, *blocks)
    assert shown.count("<script") == shown.count("</script") == 1 and "{{ 7 * 7 }}" in shown
    assert "onload" not in re.sub(r"&#34;[^<]*", "", shown)
    assert shown.count("&lt;script&gt;alert(1)") >= 17


def test_a_cell_names_its_column_for_narrow_screens_and_says_how_it_stands(tmp_path):
    rows = [("a", "yes", "1"), ("b", "no", "2"), ("c", "failed: x", "3")]
    shown = page(tmp_path, Table(("result", "met", "reached"), rows, strong=[1], numbers=(2,)))
    cells = re.findall(r'<td class="(\w+)" data-name="(\w+)">([^<]*)</td>', shown)
    assert cells == [
        *(("yes", "met", "yes"), ("number", "reached", "1"), ("no", "met", "no"), ("number", "reached", "2")),
        *(("fault", "met", "failed: x"), ("number", "reached", "3")),
    ]
    assert shown.count('<tr class="strong"><th scope="row">b</th>') == 1
    assert re.findall(r'<th scope="col"( class="number")?>', shown) == ["", "", ' class="number"']


def test_only_grids_of_members_have_a_lens(tmp_path):
    (tmp_path / "a.svg").write_bytes(b"<svg/>")
    (tmp_path / "b.png").write_bytes(b"png")
    shown = page(tmp_path, Picture("a.svg", "a", "a"), Picture("b.png", "b", "b", pixels=True))
    assert re.findall(r'<img class="(\w+)" src="data:([^;]*);', shown) == [
        ("chart", "image/svg+xml"),
        ("pixels", "image/png"),
    ]


def test_a_missing_picture_is_one_line(tmp_path):
    with pytest.raises(DDCoreError, match=r"a\.svg is missing: write the report again from its runs"):
        page(tmp_path, Picture("a.svg", "a", "a"))
