"""The networks by name, custom networks, word vectors, and the generator of images."""

from ddcore.nets.convnet import Block, ConvNet
from ddcore.nets.custom import is_custom, need_features, source_digest
from ddcore.nets.embedding import Embedding
from ddcore.nets.generator import (
    MOST_LATENT,
    MOST_WIDTH,
    Generator,
    build_discriminator,
    build_generator,
    generated,
    load_generator,
    pulled,
    save_generator,
)
from ddcore.nets.linear import LinearRecipe, NgramLinear
from ddcore.nets.moving import moved
from ddcore.nets.ngrams import ngrams
from ddcore.nets.operations import kept_bytes, operations
from ddcore.nets.registry import NETS, build_net, net_name, net_of_file
from ddcore.nets.ridge import solve_ridged

__all__ = [
    "MOST_LATENT",
    "MOST_WIDTH",
    "NETS",
    "Block",
    "ConvNet",
    "Embedding",
    "Generator",
    "LinearRecipe",
    "NgramLinear",
    "build_discriminator",
    "build_generator",
    "build_net",
    "generated",
    "is_custom",
    "kept_bytes",
    "load_generator",
    "moved",
    "need_features",
    "net_name",
    "net_of_file",
    "ngrams",
    "operations",
    "pulled",
    "save_generator",
    "solve_ridged",
    "source_digest",
]
