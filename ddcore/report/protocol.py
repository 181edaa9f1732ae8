"""How the accuracies of a report were measured, in words."""

import json

from ddcore.report.names import dataset_name, machine
from ddcore.report.records import Records, rows_of, scores_on_test
from ddcore.runtime import JSONObject
from ddcore.training import DISTINCT, Score, labels_of, percent, protocol_name
from ddcore.unroll import STARTS

SHORT = 10
SHOWN = ("torch", "torchvision", "triton", "accelerate", "numpy")


def device_line(records: Records) -> str:
    """Return sentences on where the runs took place: each machine with its versions, time, commits.

    Stages of earlier versions do not name their machine: then that of the first run stands for all, and is said to.
    """
    machines = [name for stage in records["stages"] for name in stage.get("machines", [])]
    known = "; on ".join(dict.fromkeys(machines))
    if not records["environment"]:
        return "The machine is not recorded."
    ran = f"Ran on {known}" if known else f"The first stage ran on {machine(records['environment'])}"
    start = f", started {records['started']}" if records["started"] else ""
    seconds = [stage["seconds"] for stage in records["stages"] if stage["seconds"] is not None]
    spent = f" Its {len(seconds)} stages took {sum(seconds) / 60:.0f} minutes together." if seconds else ""
    missing = sum(not stage.get("machines") for stage in records["stages"])
    unknown = f" The machines of {missing} stages are not on record." if missing else ""
    return f"{ran}{start}.{unknown}{spent} {commit_line(records)}"


def commit_line(records: Records) -> str:
    """Return a sentence on the commits of the rows."""
    names = [name for name in str(records["environment"].get("commit") or "unknown").split(", ") if name != "unknown"]
    if len(names) == 1:
        return f"All rows were made at commit {names[0][:SHORT]}."
    return f"The rows come from {len(names)} commits." if names else "The commit of the rows is not on record."


def protocol_line(records: Records) -> str:
    """Return a sentence or two on how accuracies were measured."""
    tests = {score["dataset"]: score["test_members"] for score in scores_on_test(records)}
    sizes = ", ".join(f"{dataset_name(name)} {count:,}" for name, count in tests.items())
    profile = f" Profile {records['profile']}." if records["profile"] else ""
    known = any(row["score"] and row["score"].get("changes") for _, row in rows_of(records))
    nets = "Freshly initialised networks" + " (rows with a before and after: networks trained before)" * known
    tested = f"{nets}, tested on the real test members ({sizes or 'none yet'})."
    return " ".join([tested, *shared_lines(records), *unmatched_lines(records), f"{readings_line(records)}{profile}"])


def unmatched_lines(records: Records) -> list[str]:
    """Return a sentence on rows of soft labels without their controls: the same set's hard labels, random members."""
    scores = scores_on_test(records)
    known = {(score["method"], score["labels"], *_task_of(score)) for score in scores}
    chosen = [each for each in scores if each["method"] not in ("random", "whole") and not each.get("changes")]
    soft = [(score["method"], _task_of(score)) for score in chosen if score["labels"] == "soft"]
    missing = sum(not {(method, "hard", *same), ("random", "soft", *same)} <= known for method, same in soft)
    if not missing:
        return []
    return [
        f"{missing} of {len(soft)} rows with soft labels lack a row of the same method with hard labels, or one of "
        "random members with soft labels: what the members add to their labels is not claimed for them."
    ]


def _task_of(score: Score) -> tuple[str, str, int]:
    return score["dataset"], score["net"], score["members"]


def shared_lines(records: Records) -> list[str]:
    """Return a sentence for each baseline that left out training members which are test members, too."""
    lines, scores = [], scores_on_test(records)
    whole = {(score["dataset"], score["net"]): score for score in scores if score["method"] == "whole"}
    for score in scores:
        if score["method"] == DISTINCT and (all_members := whole.get((score["dataset"], score["net"]))):
            count = all_members["members"] - score["members"]
            lines.append(
                f"{count:,} of the {all_members['members']:,} training members of {dataset_name(score['dataset'])} are "
                f"test members, too: without them {score['net']} reaches {percent(score['mean'])} % instead of "
                f"{percent(all_members['mean'])} %."
            )
    return lines


def readings_line(records: Records) -> str:
    """Return sentences on how often the test set was read for the rows, from their places in the ledger."""
    rows = [(result, row) for result, row in rows_of(records) if row["score"] and row["score"]["tested_on"] == "test"]
    places = [row["reading"] for _, row in rows if "reading" in row]
    if not places:
        return "How often the test set was read for these rows is not on record: no ledger lists them."
    missing, several = len(rows) - len(places), [place for place in places if place["of"] > 1]
    decided = sum(place["decisions"] > 0 for place in places)
    once = f"{len(places) - len(several)} of {len(rows)} rows are the only reading of the test set on record for their "
    lines = [
        f"{once}data set, method, number of members, labels and network.",
        f"{len(several)} are one of several; the column “reading” has their places." if several else "",
        f"{missing} are not in the ledger." if missing else "",
        f"{decided} came after a reading that led to a changed setting."
        if decided
        else "No reading before them led to a changed setting.",
    ]
    return " ".join(filter(None, lines))


def protocol_facts(records: Records) -> list[tuple[str, str]]:
    """Return seeds, recipes, versions, device and the validation split, as pairs of a name and a text."""
    where = records["environment"]
    facts = [
        ("measured", protocol_line(records)),
        (
            "validation split",
            "a tenth of the training set, at most 5,000 members, balanced and fixed by a seed; teachers and outer "
            "loops do not train on it and selectors do not select from it; only the baseline is trained on all members",
        ),
        ("machine", device_line(records)),
        ("versions", ", ".join(f"{name} {where[name]}" for name in SHOWN if where.get(name))),
        ("commit", f"{where.get('commit', 'unknown')}{' with uncommitted changes' if where.get('dirty') else ''}"),
        ("seed of the job", "" if records["seed"] is None else str(records["seed"])),
        *((name, _describe(protocol)) for name, protocol in records["protocols"].items()),
    ]
    return [(name, text) for name, text in facts if text]


def _describe(protocol: JSONObject) -> str:
    """Return in one text how a score was measured: set, labels, seeds, recipes."""
    source = protocol.get("set") or {}
    options = ", ".join(f"{name} {_short(value)}" for name, value in (source.get("options") or {}).items())
    members = f"{source.get('members', 0):,}"
    count = f"{source['sets']} sets of " if source.get("sets", 1) > 1 else ""
    how = f"{source.get('method', 'unknown')} ({options})" if options else source.get("method", "unknown")
    tested = protocol.get("tested_on", "test")
    whole = f"all {members} members" if tested == "test" else f"the {members} members outside the {tested} split"
    parts = [
        whole if source.get("method") == "whole" else f"{count}{members} members by {how}",
        f"{labels_of(protocol)} labels",
        f"seeds {', '.join(map(str, protocol.get('seeds', [])))}",
        f"{protocol['train_tokens']:,} tokens" if protocol.get("train_tokens") else "",
        f"cut from {source['sources']:,} training texts" if source.get("sources") else "",
        f"class V: {source['factor'] ** 2} decoded from each stored image" if source.get("factor", 1) > 1 else "",
        f"{source['tiles'] ** 2} small images in each member" if source.get("tiles", 1) > 1 else "",
        f"tested on the {tested} split" if tested != "test" else "",
        "the first of an ordered set" if protocol.get("prefix") else "",
        "random members of a larger set" if protocol.get("subset") else "",
    ]
    how = [_steps(protocol["schedule"])] if protocol.get("schedule") else []
    if protocol.get("recipes") and not (how and "nets" not in protocol["schedule"]):
        recipe = "; ".join(
            f"{net}: {', '.join(f'{name} {_short(value)}' for name, value in fields.items())}"
            for net, fields in protocol["recipes"].items()
        )
        how.append(f"Protocol {protocol_name(protocol)}: {recipe}")
    return f"{'. '.join([', '.join(filter(None, parts)), *how])}."


def _steps(schedule: JSONObject) -> str:
    """Return in words the steps of a set's own schedule."""
    rule, steps = schedule["rule"], schedule["steps"]
    begin = STARTS.get(schedule["start"], "unknown weights")
    begin += f" ({schedule['weights']})" if schedule.get("weights") else ""
    poison = schedule.get("poison")
    aim = f", to take class {' for class '.join(map(str, poison))}" if poison else ""
    momentum = f" (momentum {rule['momentum']:g})" if rule["momentum"] else ""
    nets = ", ".join(dict.fromkeys([schedule["net"], *schedule.get("nets", [])]))
    return (
        f"Its own schedule: {steps} step{'s' * (steps != 1)} of {rule['optimiser']}{momentum} on {nets} from "
        f"{begin}{aim}"
    )


def _short(value: float | str | list[float] | None) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
