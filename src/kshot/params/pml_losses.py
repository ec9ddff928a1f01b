"""The losses from pytorch-metric-learning: names, arguments and the range of each argument.

Plain data, so that settings are checked without importing torch. `kshot.losses.pml_loss` creates the losses.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PmlOptions:
    """The arguments of a loss.

    arguments: the defaults. An argument may be any number above zero, an integer if its default is one, and at most the
    value in `most`: margins beyond 90 degrees or a cosine of 1 are unreachable.
    """

    arguments: Mapping[str, float]
    most: Mapping[str, float] = field(default_factory=dict)

    def check(self, name: str, arguments: Mapping[str, float]) -> str:
        """Describe the fault of `arguments` in one line; empty if they are valid."""
        for key, value in arguments.items():
            if key not in self.arguments:
                return f"{key} is no argument of {name}; known are {', '.join(self.arguments) or 'none'}"
            most = self.most.get(key, sys.float_info.max)
            if not 0 < value <= most:
                limit = f" and at most {most:g}" if key in self.most else " and finite"
                return f"{key} of {name} is {value}; needs to be above 0{limit}, such as {self.arguments[key]}"
            if isinstance(self.arguments[key], int) and value != int(value):
                return f"{key} of {name} is {value}; needs a whole number, such as {self.arguments[key]}"
        return ""


PML_LOSSES: dict[str, PmlOptions] = {
    "multi_similarity": PmlOptions({"alpha": 2.0, "beta": 50.0, "base": 0.5}),  # Wang et al. 2019, arXiv:1904.06627
    "circle": PmlOptions({"m": 0.4, "gamma": 80.0}, {"m": 1.0}),  # Sun et al. 2020, arXiv:2002.10857
    "intra_pair_variance": PmlOptions({"pos_eps": 0.01, "neg_eps": 0.01}),  # Yu and Tao 2019, ICCV
    "angular": PmlOptions({"alpha": 40.0}, {"alpha": 89.0}),  # Wang et al. 2017, arXiv:1708.01682; degrees
    "fast_ap": PmlOptions({"num_bins": 10}),  # Cakir et al. 2019, CVPR
    "margin_beta": PmlOptions({"margin": 0.2, "beta": 1.2}),  # Wu et al. 2017, arXiv:1706.07567
    "proxy_nca": PmlOptions({"softmax_scale": 1.0}),  # Movshovitz-Attias et al. 2017, arXiv:1703.07464
    "proxy_anchor": PmlOptions({"margin": 0.1, "alpha": 32.0}),  # Kim et al. 2020, arXiv:2003.13911
    # Qian et al. 2019, arXiv:1909.05235.
    "soft_triple": PmlOptions({"centers_per_class": 10, "la": 20.0, "gamma": 0.1, "margin": 0.01}),
    "normalized_softmax": PmlOptions({"temperature": 0.05}),  # Zhai and Wu 2019, arXiv:1811.12649
    "arcface": PmlOptions(
        {"margin": 28.6, "scale": 64.0}, {"margin": 90.0}
    ),  # Deng et al. 2019, arXiv:1801.07698; degrees
    # Deng et al. 2020, ECCV.
    "subcenter_arcface": PmlOptions({"margin": 28.6, "scale": 64.0, "sub_centers": 3}, {"margin": 90.0}),
    "cosface": PmlOptions({"margin": 0.35, "scale": 64.0}, {"margin": 1.0}),  # Wang et al. 2018, arXiv:1801.09414
    # Wang et al. 2020, arXiv:1912.06798, with the contrastive loss, as in the paper.
    "cross_batch_memory": PmlOptions({"memory_size": 2048, "margin": 1.0}),
}
