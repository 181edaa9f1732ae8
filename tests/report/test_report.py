import json
import re
import shutil
from pathlib import Path

import pytest

from ddcore.errors import DDCoreError, UsageError
from ddcore.report.collect import curves_of, open_folders, open_job
from ddcore.report.make_report import collect, make_report
from ddcore.report.records import Scrub, read_records
from ddcore.training.inputs import folder_digest


@pytest.fixture(scope="module")
def report(whole_job):
    assert make_report([whole_job], whole_job / "report") == []
    return whole_job / "report"


def rows_of(records, name):
    return next(result["rows"] for result in records["results"] if result["name"] == name)


def test_results_are_weighed_against_their_goals(report):
    records = read_records(report)
    whole, half = rows_of(records, "Fashion-MNIST, whole set")[0], rows_of(records, "IMDB, 12,500 reviews")[0]
    assert whole["met"] is True and whole["score"]["mean"] == pytest.approx(0.9261)
    assert half["met"] is False and half["loss"]["n"] == 5 and half["loss"]["paired"]
    convnet = rows_of(records, "Fashion-MNIST, 600 members")[1]
    assert convnet["met"] is True and convnet["score"]["net"] == "convnet"
    assert convnet["seconds"] == 498 + 320 + 95 and convnet["peak_memory_bytes"] == 2_900_000_000


def test_what_did_not_run_says_so(report):
    page, twin = (report / "report.html").read_text(), (report / "report.md").read_text()
    for text in (page, twin):
        assert "not run: needs imdb/half-random" in text and "at least 92.5 % (aim: 93 %)" in text
        assert "failed: error: imdb.parquet is truncated: remove it and run again" in text
        assert "5 of 6 results reach their goals." in text and "Below its goal: IMDB, 12,500 reviews." in text


def test_the_page_stands_alone(report):
    page = (report / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources and all(source.startswith(("data:image/", "#")) for source in sources)
    content = re.sub(r"<script>.*?</script>", "", page, count=1, flags=re.DOTALL)
    assert "<script" not in content and "@import" not in content and "url(" not in content
    images = re.findall(r"<img[^>]*>", page)
    assert len(images) == 6 and all(re.search(r'alt="[^"]{30,}"', image) for image in images)
    anchors = re.findall(r'href="#([^"]*)"', page)
    assert all(f'id="{anchor}"' in page for anchor in anchors)
    assert "&lt;b&gt;" in page and "<b> dull" not in page


def test_the_twin_has_every_section_and_picture(report):
    page, twin = (report / "report.html").read_text(), (report / "report.md").read_text()
    assert re.findall(r"<h2>(.*?)</h2>", page) == re.findall(r"^## (.*)$", twin, re.M)
    for file in re.findall(r"\]\((figures/[^)]*)\)", twin):
        assert (report / file).stat().st_size > 1000


def test_every_row_has_the_commands_that_repeat_it(report):
    records = read_records(report)
    assert rows_of(records, "Fashion-MNIST, 600 members")[0]["commands"] == [
        "python scripts/train_baseline.py --part fit --out runs/fashion_mnist/teacher",
        "python scripts/distill.py frepo --budget 600 --teacher runs/fashion_mnist/teacher "
        "--out runs/fashion_mnist/small",
        "python scripts/evaluate.py --set runs/fashion_mnist/small --nets default,convnet "
        "--out runs/fashion_mnist/small-eval",
    ]


def test_no_path_of_this_machine_is_kept(report, whole_job):
    for name in ("records.json", "report.md", "report.html"):
        text = (report / name).read_text()
        assert str(whole_job) not in text and "/tmp/somewhere" not in text and "/data/here" not in text


def test_twenty_readable_members_of_both_classes(report):
    (sample,) = read_records(report)["samples"]
    assert len(sample["members"]) == 20
    assert {member["label"] for member in sample["members"]} == {"negative", "positive"}
    assert all(0.9 < member["probability"] < 1 for member in sample["members"])


def test_a_report_can_be_written_anew_from_its_records(report, tmp_path):
    before = (report / "report.html").read_bytes(), (report / "report.md").read_bytes()
    make_report([report], tmp_path / "again")
    assert ((tmp_path / "again/report.html").read_bytes(), (tmp_path / "again/report.md").read_bytes()) == before


def test_damaged_files_are_named_and_the_rest_is_shown(job):
    (job / "imdb/small-eval/scores.json").write_text('{"protocol": ')
    (job / "fashion_mnist/small/set.safetensors").write_bytes(b"torn")
    (job / "fashion_mnist/teacher/result.json").write_text("[")
    problems = make_report([job], job / "report")
    assert len(problems) == 3 and all("\n" not in line for line in problems)
    text = " ".join(problems)
    assert "runs/imdb/small-eval/scores.json is damaged" in text and "runs/fashion_mnist/small/set.safetensors" in text
    assert problems[0] in (report := (job / "report/report.html").read_text()).replace("&#x27;", "'")
    assert "88.23 ± 0.10 (3)" in report


WRONG = [
    ("fashion_mnist/small-eval/scores.json", {"nets": 3}, "'protocol' is missing"),
    ("fashion_mnist/teacher/result.json", {"seconds": "long"}, "'seconds' is not a number or null"),
    ("fashion_mnist/teacher/result.json", {"peak_memory_bytes": 1.5}, "'peak_memory_bytes' is not a whole number or"),
    ("fashion_mnist/teacher/result.json", [], "its content is not an object"),
    ("fashion_mnist/teacher/config.json", {"command": 3}, "'command' is not a text"),
    ("fashion_mnist/teacher/environment.json", [3], "its content is not an object"),
    ("job.json", {"stages": 3}, "'stages' is not a list"),
    ("job.json", {"stages": [{"seconds": "long"}]}, "'stages[0].seconds' is not a number or null"),
    ("job.json", {"results": [{"rows": [{"bar": {"value": "much"}}]}]}, "'results[0].rows[0].bar.value' is not a"),
]


@pytest.mark.parametrize(("file", "content", "said"), WRONG)
def test_a_file_with_fields_of_the_wrong_type_is_unreadable_and_the_rest_is_shown(job, file, content, said):
    (job / file).write_text(json.dumps(content))
    records = collect([job], job / "report")
    (problem,) = records["problems"]
    assert f"{file} is damaged: {said}" in problem and sum(len(result["rows"]) for result in records["results"]) > 9


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stages": 3}, "'stages' is not a list"),
        ({"seconds": "long"}, "'seconds' is not a number or null"),
        ({"curves": [{"stage": "a", "dataset": "b", "key": "c", "steps": [1], "values": []}]}, "has not a value for"),
        ({"confusions": [{"dataset": "a", "title": "b", "classes": ["c"], "counts": [[1, 2]]}]}, "has not a count for"),
        ({"results": [{"name": "a", "dataset": "b", "rows": []}]}, "the result 'a' has no rows"),
        ({"results": [{"name": "a", "dataset": "b", "rows": [{}]}]}, "'results[0].rows[0].label' is missing"),
    ],
)
def test_records_of_the_wrong_shape_are_one_line(report, tmp_path, change, said):
    (tmp_path / "records.json").write_text(json.dumps(read_records(report) | change))
    with pytest.raises(DDCoreError, match=r"records\.json is damaged") as error:
        make_report([tmp_path], tmp_path)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_steps_and_values_that_no_picture_can_show_are_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = ['{"step": Infinity, "loss": 1}', '{"step": -1, "loss": 1}', f'{{"step": 1, "loss": 1{"0" * 400}}}']
    path.write_text("\n".join([*lines, "[" * 200_000, '{"step": 2, "loss": NaN}', '{"step": 3, "loss": 2}']))
    (curve,) = curves_of(path, "a", "toy")
    assert (curve["steps"], curve["values"]) == ([3], [2.0])


def test_names_that_look_like_formulas_are_drawn_as_they_are(job):
    text = (job / "job.json").read_text().replace("Fashion-MNIST teacher", "$$").replace("IMDB small", "$0_$50")
    (job / "job.json").write_text(text)
    for folder in ("small-eval", "baseline"):
        path = job / "fashion_mnist" / folder / "scores.json"
        path.write_text(path.read_text().replace('"resnet-s2d"', '"$x^{"').replace('"dataset": "', '"dataset": "$^$'))
    assert make_report([job], job / "report") == []


@pytest.fixture
def unbalanced(job):
    """The scores of one data set are measured by balanced accuracy, with every measure."""
    for path in job.glob("fashion_mnist/*/scores.json"):
        content = json.loads(path.read_text())
        content["protocol"]["measure"] = "balanced_accuracy"
        for score in content["nets"].values():
            score["balanced_accuracy"] = {**score["accuracy"], "mean": score["accuracy"]["mean"] - 0.1}
            score["log_loss"] = {"mean": 0.25, "std": 0.01, "n": 3, "values": [0.25] * 3}
            score["recall"] = {"bag": 0.99, "coat": 0.4, "hat": None}
        path.write_text(json.dumps(content))
    return job


def test_other_measures_have_a_table_and_the_headline_is_named(unbalanced):
    assert make_report([unbalanced], unbalanced / "report") == []
    text = (unbalanced / "report/report.md").read_text()
    assert "82.61 ± 0.10 (3) balanced accuracy" in text and "## Other measures" in text
    (line,) = [line for line in text.splitlines() if line.startswith("| Fashion-MNIST, whole set |") and "0.25" in line]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:] == ["92.61 ± 0.10", "82.61 ± 0.10", "0.2500 ± 0.0100", "coat 40.0, bag 99.0"]


def test_a_row_that_is_not_above_random_is_marked(job):
    records = collect([job], job / "report")
    small, convnet, hard, random = rows_of(records, "Fashion-MNIST, 600 members")
    assert small["above_random"] is True and "above_random" not in random
    assert "above_random" not in convnet and "above_random" not in hard  # no random row on that network or labels
    path = job / "fashion_mnist/small-eval/scores.json"
    content = json.loads(path.read_text())
    content["nets"]["default"]["accuracy"]["mean"] = 0.8612
    path.write_text(json.dumps(content))
    make_report([job], job / "report")
    assert "86.12 ± 0.10 (3), not above random" in (job / "report/report.md").read_text()


def test_a_job_that_has_not_begun_gives_a_report(tmp_path):
    job = {
        "results": [
            {
                "name": "A",
                "dataset": "digits",
                "goal": "over 90 %",
                "bar": {"kind": "at_least", "value": 0.9},
                "scores": "digits/eval/scores.json",
                "rows": [],
            }
        ],
        "stages": [{"name": "a", "dataset": "digits", "folder": "digits/eval", "status": "pending"}],
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    assert make_report([tmp_path], tmp_path / "report") == []
    assert "0 of 1 results reach their goals." in (tmp_path / "report/report.md").read_text()


def test_run_folders_without_a_job_are_grouped_by_budget(job, tmp_path):
    folders = [job / "fashion_mnist/small-eval", job / "fashion_mnist/small-random-eval", job / "imdb/baseline"]
    records = collect(folders, tmp_path / "report")
    assert [result["name"] for result in records["results"]] == ["fashion_mnist, 600 members", "imdb, 25,000 members"]
    assert [row["score"]["net"] for row in records["results"][0]["rows"]] == ["resnet-s2d", "convnet", "resnet-s2d"]
    make_report(folders, tmp_path / "report")


def test_folders_that_hold_nothing_are_refused(tmp_path):
    with pytest.raises(UsageError, match="is not a folder of runs"):
        collect([tmp_path / "nowhere"], tmp_path / "out")
    with pytest.raises(UsageError, match=r"no job\.json, records\.json or scores\.json under"):
        collect([tmp_path], tmp_path / "out")
    (tmp_path / "job.json").write_text('{"results": [')
    with pytest.raises(DDCoreError, match=r"job\.json is damaged"):
        collect([tmp_path], tmp_path / "out")


def test_half_written_and_repeated_metrics_are_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2, "loss": 3}\n{"step": 1, "loss": 4, "note": "x"}\n{"step": 2, "loss": 1}\n{"step": 3')
    (curve,) = curves_of(path, "a", "toy")
    assert (curve["key"], curve["steps"], curve["values"]) == ("loss", [1, 2], [4.0, 1.0])


@pytest.mark.parametrize(
    "file", ["../payload.png", "/etc/x.png", "figures/../../x.png", "figures/a/b.png", "figures/.x.png", "figures/x.py"]
)
def test_records_name_no_picture_elsewhere(job, tmp_path, file):
    make_report([job], tmp_path / "report")
    (tmp_path / "payload.png").write_bytes(b"theirs")
    records = json.loads((tmp_path / "report" / "records.json").read_text())
    records["grids"][0]["file"] = file
    (tmp_path / "report" / "records.json").write_text(json.dumps(records))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for out in (tmp_path / "report", tmp_path / "report" / "again"):
        with pytest.raises(DDCoreError, match=r"records\.json is damaged: it names the picture"):
            make_report([tmp_path / "report"], out)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_links_out_of_a_report_are_not_followed(job, tmp_path):
    make_report([job], tmp_path / "report")
    picture = next((tmp_path / "report" / "figures").glob("*.png"))
    secret = picture.rename(tmp_path / "secret.png")
    picture.symlink_to(secret)
    with pytest.raises(DDCoreError, match="leads out of"):
        make_report([tmp_path / "report"], tmp_path / "again")
    with pytest.raises(UsageError, match="is a link out of"):
        make_report([job], tmp_path / "report")


def test_a_page_of_others_is_not_overwritten(job, tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.md").write_text("years of work")
    with pytest.raises(UsageError, match=r"holds a report\.md of something else: choose another --out"):
        make_report([job], tmp_path / "report")
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["report.md"]


@pytest.mark.parametrize("link", [False, True])
def test_a_jobs_record_is_not_followed_out_of_its_folder(job, tmp_path, link):
    outside = (job / "fashion_mnist" / "small").rename(tmp_path.parent / f"{tmp_path.name}-outside-{link}")
    if link:
        (job / "fashion_mnist" / "small").symlink_to(outside)
    else:
        for path in job.rglob("*.json"):
            path.write_text(path.read_text().replace('fashion_mnist/small"', f'../{outside.name}"'))
            path.write_text(path.read_text().replace('runs/fashion_mnist/small"', f'{outside}"'))
    make_report([job], tmp_path / "report")
    grids = json.loads((tmp_path / "report" / "records.json").read_text())["grids"]
    assert all("600" not in grid["file"] for grid in grids)


def test_scores_of_a_set_that_was_made_again_since_are_not_shown(job):
    place = job / "fashion_mnist" / "small-eval"
    config = json.loads((place / "config.json").read_text())
    entry = {"scores": "fashion_mnist/small-eval/scores.json"}
    for digest, known in ((folder_digest("set", job / "fashion_mnist" / "small"), True), ("0" * 16, False)):
        (place / "config.json").write_text(json.dumps({**config, "inputs": {"set": digest}}))
        collector = open_job(job)
        row = collector.row(entry)
        assert bool(row["score"]) == known and ("has the scores of an earlier set than" in row["fault"]) != known
        assert len(collector.problems) == (not known)


def test_runs_that_were_put_aside_are_not_in_a_report_of_folders(job):
    shutil.copytree(job / "imdb", job / "imdb" / "small-eval.old-1")
    counts = [len(open_folders([folder])[1][0]["rows"]) for folder in (job / "imdb", job / "imdb" / "small-eval.old-1")]
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("data", ["/home/me/runs/data", "/home/me/data"])
def test_paths_are_named_by_the_longest_folder_that_holds_them(data):
    scrub = Scrub(Path("/home/me/runs"), data)
    assert (
        scrub(f"{data}/imdb.parquet is cut off, see /home/me/runs/logs")
        == "data/imdb.parquet is cut off, see runs/logs"
    )
