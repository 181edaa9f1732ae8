"""The ways to synthesise a set, by name."""

from ddcore.methods.boost_dd import BoostDD
from ddcore.methods.cover import Cover
from ddcore.methods.dd import DD
from ddcore.methods.frepo import FRePo
from ddcore.methods.rat_bptt import RatBPTT

METHODS: dict[str, type] = {
    "boost-dd": BoostDD,
    "cover": Cover,
    "dd": DD,
    "frepo": FRePo,
    "rat-bptt": RatBPTT,
}
