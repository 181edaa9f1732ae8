"""Training a network and judging it: the loop, recipes, teachers, experts, the evaluation."""

from ddcore.training.evaluation import MORE, Cell, evaluate
from ddcore.training.experts import ExpertOptions, open_experts, train_experts
from ddcore.training.gan import GANRecipe, GANTraining, Made
from ddcore.training.loop import (
    Recipe,
    features,
    learning_rate_share,
    memory_format,
    predict,
    step_loss,
    train,
    validated,
)
from ddcore.training.optimisers import build_optimiser
from ddcore.training.recipes import (
    AnyRecipe,
    quick,
    read_recipe,
    recipe_for,
    recipes_for,
    recorded,
    recorded_recipes,
    small_image_recipe,
    small_recipe,
    whole_recipe,
)
from ddcore.training.replay import shared_schedule
from ddcore.training.saved_networks import load_embedding, load_networks, load_weights, seen_before, weights_by_seed
from ddcore.training.scores import (
    Change,
    Goal,
    JSONObject,
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
from ddcore.training.teacher import Teacher, load_teacher
from ddcore.training.teacher_labels import soft_examples

__all__ = [
    "MORE",
    "AnyRecipe",
    "Cell",
    "Change",
    "ExpertOptions",
    "GANRecipe",
    "GANTraining",
    "Goal",
    "JSONObject",
    "Loss",
    "Made",
    "Recipe",
    "Score",
    "Teacher",
    "accuracy",
    "build_optimiser",
    "evaluate",
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
    "quick",
    "read_recipe",
    "read_scores",
    "recipe_for",
    "recipes_for",
    "recorded",
    "recorded_recipes",
    "score_of",
    "seen_before",
    "shared_schedule",
    "small_image_recipe",
    "small_recipe",
    "soft_examples",
    "step_loss",
    "train",
    "train_experts",
    "validated",
    "weights_by_seed",
    "whole_recipe",
]
