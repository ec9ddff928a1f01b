"""AdamW without torch's compiler (Loshchilov and Hutter 2019, arXiv:1711.05101)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

BETAS, EPSILON = (0.9, 0.999), 1e-8  # torch's defaults


class AdamW:
    """Steps of torch.optim.AdamW, bit for bit, computed by the same function of torch.

    torch's own class imports torch's compiler at the first step, 1.5 s that no training here needs.

    groups: mappings of params, lr and weight_decay; `lr` may be changed between steps. A parameter without a gradient
    does not move.
    """

    def __init__(self, groups: Sequence[dict[str, Any]]) -> None:
        self.groups = groups
        self.moments: dict[Tensor, dict[str, Tensor]] = {}

    @property
    def parameters(self) -> list[Tensor]:
        """All parameters, in the order of the groups."""
        return [parameter for group in self.groups for parameter in group["params"]]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for group in self.groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            states = [self._state(parameter) for parameter in moved]
            adamw(
                moved,
                [parameter.grad for parameter in moved],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                [state["step"] for state in states],
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=EPSILON,
                maximize=False,
            )

    def tensors(self) -> dict[str, Tensor]:
        """The moments as a flat mapping: "3/exp_avg" belongs to the fourth parameter."""
        numbered = enumerate(self.parameters)
        return {f"{n}/{name}": value for n, one in numbered for name, value in self.moments.get(one, {}).items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the moments from `tensors()`; the settings of the groups do not change."""
        parameters = self.parameters
        for key, value in tensors.items():
            number, _, name = key.partition("/")
            parameter = parameters[int(number)]
            # The count stays on the CPU, where torch's function reads it without waiting for a GPU.
            place = value.device if name == "step" else parameter.device
            self.moments.setdefault(parameter, {})[name] = value.to(place, copy=True)

    def _state(self, parameter: Tensor) -> dict[str, Tensor]:
        if parameter not in self.moments:
            self.moments[parameter] = {
                "step": torch.tensor(0.0),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }
        return self.moments[parameter]
