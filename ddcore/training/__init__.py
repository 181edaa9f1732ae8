"""Training a network and judging it: the loop, recipes, teachers, experts, the evaluation."""

from ddcore.training.baseline import Baseline, train_baseline
from ddcore.training.evaluation import Cell, evaluate
from ddcore.training.experts import ExpertOptions, open_experts, train_experts
from ddcore.training.gan import GANRecipe, train_generator
from ddcore.training.loop import (
    Recipe,
    Setting,
    features,
    learning_rate_share,
    memory_format,
    predict,
    step_loss,
    train,
    validated,
)
from ddcore.training.optimisers import build_optimiser
from ddcore.training.protocol import Evaluation, evaluation_of
from ddcore.training.recipes import (
    AnyRecipe,
    recipe_for,
    recipes_for,
    recorded,
    recorded_recipes,
    small_image_recipe,
    small_recipe,
    whole_recipe,
)
from ddcore.training.saved_networks import (
    load_embedding,
    load_networks,
    load_weights,
    teacher_line,
    train_command,
)
from ddcore.training.scores import (
    Change,
    Goal,
    Loss,
    Score,
    accuracy,
    loss_against,
    meets,
    percent,
    points,
    read_scores,
    score_of,
)
from ddcore.training.teacher import Labels, Teacher, blended, load_teacher, soft_examples

__all__ = [
    "AnyRecipe",
    "Baseline",
    "Cell",
    "Change",
    "Evaluation",
    "ExpertOptions",
    "GANRecipe",
    "Goal",
    "Labels",
    "Loss",
    "Recipe",
    "Score",
    "Setting",
    "Teacher",
    "accuracy",
    "blended",
    "build_optimiser",
    "evaluate",
    "evaluation_of",
    "features",
    "learning_rate_share",
    "load_embedding",
    "load_networks",
    "load_teacher",
    "load_weights",
    "loss_against",
    "meets",
    "memory_format",
    "open_experts",
    "percent",
    "points",
    "predict",
    "read_scores",
    "recipe_for",
    "recipes_for",
    "recorded",
    "recorded_recipes",
    "score_of",
    "small_image_recipe",
    "small_recipe",
    "soft_examples",
    "step_loss",
    "teacher_line",
    "train",
    "train_baseline",
    "train_command",
    "train_experts",
    "train_generator",
    "validated",
    "whole_recipe",
]
