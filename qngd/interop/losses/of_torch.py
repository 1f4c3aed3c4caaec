"""Losses written with torch, in double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qngd.errors import SettingError
from qngd.interop.losses.differentiator import as_number


class TorchWay:
    """By torch."""

    name = "torch"

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def _run(self, outputs: np.ndarray, targets: Any) -> tuple[Any, Any]:
        """The tensor of the outputs, and the loss of it."""
        import torch

        at = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
        own = () if targets is None else (torch.tensor(targets) if isinstance(targets, np.ndarray) else targets,)
        found = self._function(at, *own)
        if not isinstance(found, torch.Tensor) or not found.requires_grad:
            raise SettingError(
                "loss: what it returns does not follow from the outputs by torch; return the tensor as it is, without "
                ".item(), .detach() and float(…)"
            )
        if found.dtype != torch.float64:
            raise SettingError(
                f"loss: it computes in {found.dtype}, which is too rough; outputs come as torch.float64: keep them so, "
                "and make a module double with module.double()"
            )
        return at, found

    def slopes(self, outputs: np.ndarray, targets: Any) -> tuple[float, np.ndarray]:
        import torch

        at, found = self._run(outputs, targets)
        value = as_number(found.detach().numpy())
        (slope,) = torch.autograd.grad(found.reshape(()), at)
        return value, slope.numpy()

    def bends(self, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
        import torch

        at, found = self._run(outputs, targets)
        (slope,) = torch.autograd.grad(found.reshape(()), at, create_graph=True)
        if not slope.requires_grad:  # the loss is linear
            return np.zeros_like(directions)
        rows = []
        for direction in directions:
            along = (slope * torch.as_tensor(direction)).sum()
            (row,) = torch.autograd.grad(along, at, retain_graph=True, allow_unused=True)
            rows.append(np.zeros_like(outputs) if row is None else row.numpy())
        return np.stack(rows)
