"""The chosen changes of tests/mutations.py."""

from change import change
from chosen_changes_of_reports import REPORTED

METHODS = "tests/test_leaks.py::test_every_method_has_the_same_state_after_all_outer_steps"
SELECTORS = "tests/test_leaks.py::test_every_selector_chooses_the_same_members_of_the_fit_part"
WEIGHTS = "tests/test_leaks.py::test_teachers_experts_and_generators_have_the_same_weights"
LOOP = "tests/synthesis/test_outer_loop.py"
AGENT = "tests/selection/test_rl_agent.py"
META = "tests/unroll/test_meta_gradient.py"

CHOSEN = [
    # data
    change(
        "data/task.py",
        "return others(self.validation, len(self.train))",
        "return torch.arange(len(self.train))",
        "tests/data/test_task.py",
    ),
    change(
        "data/task.py",
        "rank[members[int(most * len(members)) :]] += len(y)",
        "rank[members[int(most * len(members)) :]] += 0",
        "tests/data/test_task.py",
    ),
    change(
        "data/task.py",
        "return (x.float() / 255 - mean) / std",
        "return (x.float() / 255 - mean) * std",
        "tests/data/test_task.py",
    ),
    change(
        "data/digits.py",
        "whole[others(held, len(whole))]",
        "whole[torch.arange(len(whole) - len(held))]",
        "tests/data/test_digits.py",
    ),
    change(
        "data/custom.py",
        "whole[others(held, len(whole.y))]",
        "whole[torch.arange(len(whole.y))]",
        "tests/data/test_custom.py",
        "tests/data/test_table.py",
    ),
    change("data/images.py", "- mean**2).sqrt()", "- mean**2)", "tests/data/test_images.py", "tests/data/test_task.py"),
    change(
        "data/text.py",
        "validation=validation_part(train.y)",
        "validation=validation_part(train.y[:0])",
        "tests/data/test_text.py",
    ),
    change("data/augment.py", "width - 1 - column", "width - column", "tests/data/test_augment.py"),
    change("data/tokens.py", "self.lengths.clamp(max=limit)", "self.lengths", "tests/data/test_tokens.py"),
    change("data/siamese.py", "(2 * first - 1) * DEGREES", "(2 * first) * DEGREES", "tests/data/test_siamese.py"),
    # selection
    change(
        "selection/margin.py",
        "members=pool[fold != k]",
        "members=pool",
        "tests/selection/test_margin.py",
    ),
    change(
        "selection/margin.py",
        "margins, pool[fold == k])",
        "margins, pool[fold != k][: int((fold == k).sum())])",
        "tests/selection/test_margin.py",
    ),
    change(
        "selection/margin.py", "ordered[skipped : skipped + count]", "ordered[:count]", "tests/selection/test_margin.py"
    ),
    change("selection/k_means.py", "> 0, means, centres)", "> -1, means, centres)", "tests/selection/test_k_means.py"),
    change(
        "selection/rl_agent.py",
        "trial.reward.accuracies(chosen, trial.practice)",
        "trial.reward.accuracies(chosen, trial.judging)",
        f"{AGENT}::test_what_judges_the_agent_never_rewards_it",
    ),
    change(
        "selection/rl_agent.py",
        "accuracies(torch.cat(likeliest)[None], trial.judging)",
        "accuracies(torch.cat(likeliest)[None], trial.practice)",
        f"{AGENT}::test_what_judges_the_agent_never_rewards_it",
    ),
    change(
        "selection/rl_agent.py",
        "torch.stack([start, result]), judging)",
        "torch.stack([start, result]), practice)",
        f"{AGENT}::test_what_judges_the_agent_never_rewards_it",
    ),
    change(
        "selection/tf_idf.py",
        "TfidfTransformer(sublinear_tf=True).fit(fitted)",
        "TfidfTransformer(sublinear_tf=True).fit(counts(x, words))",
        "tests/selection/test_tf_idf.py",
        f"{SELECTORS}[text-herding]",
    ),
    change(
        "selection/tf_idf.py",
        "random_state=0).fit(fitted)",
        "random_state=0).fit(weights.transform(counts(x, words)))",
        "tests/selection/test_tf_idf.py",
    ),
    change("selection/herding.py", "total - (k + 1) * mean", "total - k * mean", "tests/selection/test_herding.py"),
    change(
        "selection/forgetting.py",
        "(right[:-1] & ~right[1:])",
        "(~right[:-1] & right[1:])",
        "tests/selection/test_forgetting.py",
    ),
    change("selection/forgetting.py", "            self.net.train()\n", "", "tests/selection/test_forgetting.py"),
    change(
        "selection/mutual_information.py",
        "information - redundancy * shared",
        "information + redundancy * shared",
        "tests/selection/test_mutual_information.py",
    ),
    change(
        "selection/proxy.py",
        "members=problem.pool)",
        "members=torch.arange(len(problem.pool)))",
        f"{SELECTORS}[images-ccs]",
        f"{SELECTORS}[images-entropy]",
        f"{SELECTORS}[text-el2n]",
    ),
    change(
        "selection/proxy.py",
        "problem.pool if members is None",
        "torch.arange(len(problem.pool)) if members is None",
        f"{SELECTORS}[images-el2n]",
    ),
    change(
        "selection/selected.py",
        "return teacher.logits[selection.members]",
        "return teacher.logits[: len(selection.members)]",
        "tests/selection/test_selected.py",
    ),
    # methods
    change(
        "methods/frepo.py",
        "self.fit = task.fit",
        "self.fit = torch.arange(len(task.train))",
        f"{METHODS}[images-frepo]",
    ),
    change(
        "methods/krr.py",
        "self.real, self.fit = at_hand(task.train, device), task.fit",
        "self.real, self.fit = at_hand(task.train, device), torch.arange(len(task.train))",
        f"{METHODS}[images-krr]",
    ),
    change(
        "methods/real_batches.py",
        "y = task.train.y[task.fit]\n        self.by_class = list(task.fit[y.argsort(stable=True)]",
        "y = task.train.y\n        self.by_class = list(y.argsort(stable=True)",
        "tests/methods/test_real_batches.py",
    ),
    change(
        "methods/real_batches.py",
        "return _changed(x, self.of_own, self.changes)",
        "return _changed(x.flip(3), self.of_own, self.changes)",
        "tests/methods/test_real_batches.py",
    ),
    change(
        "methods/features.py",
        "shard.group % LOTS == k",
        "shard.group // 3 == k",
        "tests/methods/test_features.py::test_two_processes_compute_the_batches_of_one",
    ),
    change(
        "methods/features.py",
        "sent(draw.places + first, variable.device)",
        "sent(draw.places, variable.device)",
        "tests/methods/test_features.py",
    ),
    change("methods/features.py", "buffer.copy_(first)", "buffer.clone()", "tests/methods/test_features.py"),
    change(
        "methods/unrolled.py",
        "self.fit = task.fit",
        "self.fit = torch.arange(len(task.train))",
        f"{METHODS}[images-dd]",
    ),
    change("methods/cover.py", "task.train[task.fit].to", "task.train.to", f"{METHODS}[text-cover]"),
    change("methods/sre2l.py", "1.0 if place else FIRST", "1.0", "tests/methods/test_sre2l.py"),
    change("methods/sre2l.py", "- off.square()", "", "tests/methods/test_sre2l.py"),
    change("methods/cim.py", "self.sources[self.rows(numbers)]", "x.detach()", "tests/methods/test_cim.py"),
    change(
        "methods/teacher_matching.py",
        "parts / len(self.batches) * each.sum()",
        "each.sum()",
        "tests/methods/test_teacher_matching.py",
    ),
    change(
        "data/resized_crops.py",
        "torch.arange(side) - roll",
        "torch.arange(side) + roll",
        "tests/data/test_resized_crops.py",
    ),
    change("methods/unrolled.py", ".clamp(max=1.0)", "", "tests/methods/test_unrolled.py"),
    change(
        "methods/gradient_matching.py",
        "(step + 1) % training.outer",
        "step % training.outer",
        "tests/methods/test_gradient_matching.py",
    ),
    change(
        "methods/gradient_matching.py",
        "torch.autograd.grad(of * total, leaf)",
        "torch.autograd.grad(total, leaf)",
        "tests/methods/test_gradient_matching.py",
    ),
    change("methods/variables.py", "d_rates * self.log_rates.exp()", "d_rates", "tests/methods/test_variables.py"),
    change(
        "methods/variables.py",
        "probabilities * (meta.y - inner)",
        "probabilities * meta.y",
        "tests/methods/test_variables.py",
    ),
    change(
        "methods/mtt.py",
        "begin + method.trajectory.ahead",
        "begin + 1 + method.trajectory.ahead * 0",
        "tests/methods/test_mtt.py",
    ),
    change(
        "methods/windows.py",
        "if end.taken + self.method.window.steps <= self.length:",
        "if end.taken <= self.length:",
        "tests/methods/test_windows.py",
    ),
    change("methods/gan.py", ".mean(0).to(device)", "[0].to(device)", "tests/methods/test_gan.py"),
    # engine
    change("unroll/meta_gradient.py", "into[0].index_add_(0, members, d_batch)", "into[0][members] = d_batch", META),
    change(
        "unroll/meta_gradient.py", "unroll.rate(t), begin.taken + place, rule)", "unroll.rate(t), place, rule)", META
    ),
    change("unroll/meta_gradient.py", "bent = bent + rule.weight_decay * decayed", "bent = bent + 0 * decayed", META),
    change("unroll/meta_gradient.py", "lam += slope", "lam = slope", META),
    change(
        "unroll/meta_gradient.py",
        "d_rates[steps.start : steps.stop] = -moved",
        "d_rates[steps.start : steps.stop] = moved",
        META,
    ),
    change("unroll/inner_step.py", "slope += part_slope", "slope = part_slope", "tests/unroll/test_inner_step.py"),
    change(
        "unroll/inner_step.py",
        "weighted = WeightedLoss(self.loss, 1 / n)",
        "weighted = WeightedLoss(self.loss, 1.0)",
        "tests/unroll/test_inner_step.py",
    ),
    # training
    change("training/loop.py", "net.to(device).train()", "net.to(device).eval()", "tests/training/test_loop.py"),
    change("training/loop.py", "net.to(device).eval()", "net.to(device)", "tests/training/test_loop.py"),
    change(
        "training/loop.py",
        "held, y = task.validation, task.train.y[task.validation]",
        "held, y = task.fit, task.train.y[task.fit]",
        "tests/training/test_loop.py",
    ),
    change("training/step.py", "* temperature**2", "* temperature", "tests/training/test_step.py"),
    change("training/recorded_step.py", "after[name].zero_()", "pass", "tests/training/test_recorded_step.py"),
    change(
        "training/optimisers.py",
        "torch._foreach_mul_(moves, -lr)",
        "torch._foreach_neg_(moves)",
        "tests/training/test_optimisers.py",
    ),
    change(
        "training/loop.py", 'load_moments(optimiser, under("optimiser", state))', "pass", "tests/training/test_loop.py"
    ),
    change(
        "training/teacher.py",
        "for each in (self.logits, *others)]).mean(0)",
        "for each in (self.logits, *others)])[0]",
        "tests/training/test_baseline.py",
    ),
    change("training/baseline.py", '"fit": task.fit}[options.part]', '"fit": None}[options.part]', WEIGHTS),
    change(
        "training/baseline.py",
        "task.train[task.validation] if options.teaches",
        "task.train[task.fit] if options.teaches",
        "tests/training/test_baseline.py",
    ),
    change(
        "training/experts.py",
        'batches(len(self.task.fit), record.descent.batch_size, steps, record.seed, "expert order", expert)\n'
        "        x, y, rows = used(self.real.x, self.y, self.task.fit[torch.stack(list(places))])",
        'batches(len(self.task.train), record.descent.batch_size, steps, record.seed, "expert order", expert)\n'
        "        x, y, rows = used(self.real.x, self.y, torch.stack(list(places)))",
        WEIGHTS,
    ),
    change(
        "training/gan.py",
        "self.real, self.fit = at_hand(task.train, device), task.fit",
        "self.real, self.fit = at_hand(task.train, device), torch.arange(len(task.train))",
        WEIGHTS,
    ),
    change(
        "training/evaluation.py",
        "statistics.stdev(values)",
        "statistics.pstdev(values)",
        "tests/training/test_evaluation.py",
    ),
    change(
        "training/scores.py",
        "lost = [known[seed] - value for",
        "lost = [value - known[seed] for",
        "tests/training/test_scores.py",
    ),
    change(
        "training/scores.py",
        "> max(map(sum, zip(*both, strict=True))) + ROUNDING",
        "> ROUNDING",
        "tests/training/test_scores.py",
    ),
    # exchange and the outer loop
    change(
        "runtime/gather.py",
        "        return sorted(shares, key=lambda share: share.number)",
        "        return shares",
        "tests/runtime/test_gather.py",
    ),
    change(
        "runtime/gather.py",
        "range(self.accelerator.process_index, count",
        "range(0, count",
        "tests/runtime/test_gather.py",
    ),
    change(
        "runtime/gather.py",
        "whole[form.rows] = content",
        "whole[: len(content)] = content",
        "tests/runtime/test_gather.py",
    ),
    change(
        "synthesis/outer_loop.py",
        "alpha=1 / len(parts)",
        "alpha=1",
        f"{LOOP}::test_a_step_moves_by_the_mean_of_its_shards",
    ),
    change(
        "synthesis/outer_loop.py",
        "(square / (1 - (1 - second) ** count)).sqrt()",
        "square.sqrt()",
        f"{LOOP}::test_outer_steps_by_hand",
    ),
    change(
        "synthesis/outer_loop.py",
        "self.first[k] / (1 - (1 - first) ** count)",
        "self.first[k]",
        f"{LOOP}::test_outer_steps_by_hand",
    ),
    change(
        "synthesis/outer_loop.py",
        "if score is None or score > self.best_score:",
        "if True:",
        f"{LOOP}::test_never_worse_than_the_start",
    ),
    # checkpoints
    change("runtime/files.py", "            os.fsync(file.fileno())\n", "", "tests/runtime/test_files.py"),
    change(
        "runtime/files.py",
        'temporary = path.with_name(f".{path.name}.{os.getpid()}")',
        "temporary = path",
        "tests/runtime/test_files.py",
    ),
    change(
        "runtime/checkpoints.py",
        "                label == self.label,",
        "                True,",
        "tests/runtime/test_checkpoints.py",
    ),
    change(
        "runtime/checkpoints.py",
        "(self.path, self.older)):",
        "(self.older, self.path)):",
        "tests/runtime/test_checkpoints.py",
    ),
    change(
        "runtime/checkpoints.py",
        '{self.inputs}"}, older=self.older',
        '{self.inputs}"}',
        "tests/runtime/test_checkpoints.py",
    ),
    change("runtime/checkpoints.py", 'inputs in ("", self.inputs)', "True", "tests/runtime/test_checkpoints.py"),
    change(
        "synthesis/outer_loop.py",
        '"second": self.second, "best"',
        '"second": self.first, "best"',
        f"{LOOP}::test_resumed_equals_straight[dm]",
    ),
    *REPORTED,
]
