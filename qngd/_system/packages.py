"""Packages that may not be installed: which of them an object comes from, and the modules of ours that need one."""

from __future__ import annotations

import importlib
from types import ModuleType

from qngd.errors import MissingPackageError, how_to_install


def packages_of(value: object) -> set[str]:
    """The packages that the value's class and its bases come from."""
    return {(base.__module__ or "").partition(".")[0] for base in type(value).__mro__}


def load(module: str, extra: str, what: str, instead: str = "") -> ModuleType:
    """The module of this name.

    Raises:
        MissingPackageError: a package is missing that `what` needs; the text names it and the `extra` that brings it,
            and ends with what to do `instead`.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module.rpartition(".")[2]).partition(".")[0]
        if package == "qngd":
            raise
        raise MissingPackageError(
            f"{what} needs the package {package}; install it with {how_to_install(extra)}{instead}"
        ) from error
