"""Compiling the kernels, once for all runs.

numba keeps the machine code in NUMBA_CACHE_DIR where that is set before the first import of
numba (the command line does), else beside the sources or in the user's cache folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba
from numba.core.options import DefaultOptions

from dexarb.errors import StoreError

_P = ParamSpec("_P")
_R = TypeVar("_R")

_REMEDY = "Make the folder writable, or set NUMBA_CACHE_DIR to one that is"


def cache_folder() -> str:
    """NUMBA_CACHE_DIR as numba read it; empty if it was not set."""
    return str(numba.config.CACHE_DIR)  # type: ignore[attr-defined]


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function of scalars and arrays; the same bits come out on every machine.

    No fastmath and no prange: IEEE operations in the written order, on one thread. Division by
    zero gives infinity as in C.

    Raises StoreError where the machine code cannot be kept: a program that compiles for seconds at
    every start would lose its first blocks unnoticed.
    """
    return _compiled(function, {})


def kernel_part(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """As `kernel`, for what only kernels call: it becomes part of them."""
    return _compiled(function, {"forceinline": True, "no_cpython_wrapper": True})


def _compiled(function: Callable[_P, _R], options: Mapping[str, bool]) -> Callable[_P, _R]:
    always = {"cache": True, "error_model": "numpy", **without_reference_counts()}
    try:
        compiled = numba.njit(**always, **options)(function)  # type: ignore[call-overload]
    except RuntimeError as error:
        folder = cache_folder() or Path(function.__code__.co_filename).parent
        raise StoreError(folder, "compiled kernels cannot be kept", _REMEDY) from error
    return cast(Callable[_P, _R], compiled)


def without_reference_counts() -> dict[str, bool]:
    """The option that spares kernels the counting of references to arrays, where numba has it.

    Kernels allocate nothing, so nothing can be freed under them. With counting the cycles of a
    block take 1.8 times as long to find; sizing does not change. The option is not part of numba's
    documented interface: if it goes, kernels get slower, not wrong.
    """
    return {"_nrt": False} if hasattr(DefaultOptions, "_nrt") else {}


def require_writable_cache() -> None:
    """Raise StoreError if NUMBA_CACHE_DIR is set and cannot be written.

    numba itself says nothing and falls back to another folder, which can be just as unwritable.
    """
    folder = cache_folder()
    if not folder:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StoreError(folder, f"compiled kernels cannot be kept: {reason}", _REMEDY) from error
