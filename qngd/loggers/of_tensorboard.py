"""Steps for TensorBoard, written by the package tensorboardX, which needs neither TensorFlow nor PyTorch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from qngd._system.keywords import hinted
from qngd._system.packages import load
from qngd.loggers.base import Callback, scalars
from qngd.solve.state import StepInfo


@hinted
class TensorBoard(Callback):
    """The numbers of every step as scalars, the metric's eigenvalues and the parameters as histograms.

    Args:
        folder: of the event files; a folder a run. `tensorboard --logdir FOLDER` shows them.

    Raises:
        MissingPackageError: tensorboardX is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        package = load("tensorboardX", "tensorboard", "qngd.loggers.TensorBoard")
        self.folder = Path(folder)
        self._writer: Any = package.SummaryWriter(str(self.folder))

    def _write(self, info: StepInfo) -> None:
        for name, value in scalars(info).items():
            self._writer.add_scalar(name.replace(".", "/"), value, info.step)
        if info.spectrum is not None and np.all(np.isfinite(info.spectrum.eigenvalues)):
            self._writer.add_histogram("metric/eigenvalues", info.spectrum.eigenvalues, info.step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def __repr__(self) -> str:
        return f"TensorBoard({str(self.folder)!r})"
