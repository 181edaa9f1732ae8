"""The ways to synthesise a set, by name."""

from ddcore.methods.boost_dd import BoostDD
from ddcore.methods.cover import Cover
from ddcore.methods.dc import DC, DSA
from ddcore.methods.dd import DD
from ddcore.methods.dm import DM
from ddcore.methods.frepo import FRePo
from ddcore.methods.gan import GAN
from ddcore.methods.krr import KRR
from ddcore.methods.mtt import MTT
from ddcore.methods.rat_bptt import RatBPTT

METHODS: dict[str, type] = {
    "boost-dd": BoostDD,
    "cover": Cover,
    "dc": DC,
    "dd": DD,
    "dm": DM,
    "dsa": DSA,
    "frepo": FRePo,
    "gan": GAN,
    "krr": KRR,
    "mtt": MTT,
    "rat-bptt": RatBPTT,
}
