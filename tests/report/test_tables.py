from ddcore.report.tables import most_accurate, results_table


def row(**changes):
    score = {"mean": 0.8, "std": 0.01, "values": [0.79, 0.81], "tested_on": "test", "seconds": 2.0, "seeds": [0]}
    loss = {"mean": 0.1, "std": 0.02, "n": 2, "paired": True}
    fixed = {"label": "", "goal": "", "aim": "", "met": None, "seconds": 3.0, "peak_memory_bytes": None, "fault": ""}
    fixed |= {"commands": []}
    return {**fixed, "score": score, "loss": loss, **changes}


def test_a_row_says_what_was_reached_and_on_what():
    tested = {**row()["score"], "tested_on": "validation"}
    rows = [row(goal="80 %", met=True), row(label="below", above_random=False), row(score=tested, above_random=True)]
    table = results_table(
        {"stages": [], "results": [{"name": "one", "rows": rows}, {"name": "two", "rows": [row(score=None)]}]}
    )
    assert table.strong == [0, 3]
    first, second, third, missing = ([*each] for each in table.rows)
    assert first[:5] == ["one", "80 %", "yes", "80.00 ± 1.00 (2)", "−10.00 ± 2.00"]
    assert second[:4] == ["– below", "", "", "80.00 ± 1.00 (2), not above random"]
    assert third[3] == "80.00 ± 1.00 (2) on validation"
    assert missing[3] == "" and first[5:7] == ["2.0\xa0s", "3.0\xa0s"]


def test_a_set_by_multi_formation_is_class_v():
    rows = [row(score={**row()["score"], "factor": 3}), row()]
    table = results_table({"stages": [], "results": [{"name": "one", "rows": rows}]})
    assert [each[0] for each in table.rows] == ["one (class V: 9 images decoded from each stored one)", "one"]


def test_a_packed_set_stands_beside_its_tokens_and_the_texts_it_was_cut_from():
    packed = {**row()["score"], "tokens": 127720, "sources": 9900}
    rows = [row(score=packed), row(label="alike", score={**packed, "sources": None})]
    table = results_table({"stages": [], "results": [{"name": "one", "rows": rows}]})
    assert table.rows[0][0] == "one (127,720 tokens cut from 9,900 training texts)" and table.rows[1][0] == "– alike"


def test_runs_without_goals_are_summed_up_by_their_most_accurate_set():
    def scored(method, mean, members=100, labels="hard"):
        more = {"dataset": "cifar10", "method": method, "members": members, "labels": labels, "net": "convnet"}
        return row(score={**row()["score"], **more, "mean": mean})

    rows = [scored("random", 0.5), scored("dm", 0.6), scored("random", 0.7, 10), scored("dm", 0.4, 10, "soft")]
    rows.append(row(score={**rows[1]["score"], "mean": 0.9, "tested_on": "validation"}))
    assert most_accurate({"results": [{"name": "one", "rows": rows}]}) == [
        "CIFAR-10, 100 members: dm reaches 60.00 % in 2.0\xa0s; random members reach 50.00 %.",
        "CIFAR-10, 10 members: random reaches 70.00 % in 2.0\xa0s.",
    ]
