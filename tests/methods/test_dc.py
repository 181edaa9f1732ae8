from toys import ONE_VALIDATION, problem, session_in

from ddcore.methods.dc import DC
from ddcore.options import changed
from ddcore.synthesis.outer_loop import distilled_set


def test_the_distance_falls(toy, tmp_path):
    short = {"net": "convnet", "real_batch": 100, **ONE_VALIDATION, "inner": 2, "inner_rate": 0.0}
    method = changed(DC(), {**short, "steps": 20, "outer": 30})
    seen = []
    session = session_in(tmp_path, lambda step, total, values: seen.append(values["loss"]))
    made = distilled_set(method, problem(toy, 4), session)
    assert sum(seen[-4:]) < sum(seen[:4]) and made.method == "dc"
