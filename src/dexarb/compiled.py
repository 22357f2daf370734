"""Compiling the kernels of amm, search and trading, once for all runs.

Importing this imports numba: do it late where nothing may be computed. numba keeps the machine code
in NUMBA_CACHE_DIR where that is set before its first import (the command line sets it to a folder
in the user's cache), else beside the sources or where it finds a place itself.
"""

from __future__ import annotations

import fcntl
import logging
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from hashlib import sha256
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import IO, Any, ParamSpec, TypeVar, cast

import numba
from llvmlite.binding import parse_bitcode
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.options import DefaultOptions
from numba.core.runtime.nrt import rtsys

from dexarb.errors import StoreError

_P = ParamSpec("_P")
_R = TypeVar("_R")

UNREADABLE = (pickle.UnpicklingError, AttributeError, ImportError, EOFError)
"""What reading a kept file raises that was cut off, or names what code of today does not have."""

POLL_S = 0.02
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
    dispatcher = _compiled(function)
    try:
        dispatcher._cache = _Cache(function, dispatcher.targetoptions)
    except RuntimeError as error:
        folder = cache_folder() or Path(function.__code__.co_filename).parent
        raise StoreError(folder, "compiled kernels cannot be kept", _REMEDY) from error
    return cast(Callable[_P, _R], dispatcher)


def kernel_part(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """As `kernel`, for what only kernels call: it becomes part of them, and is kept with them.
    Python cannot call it."""
    part = _compiled(function, forceinline=True, no_cpython_wrapper=True)
    return cast(Callable[_P, _R], part)


def _compiled(function: Callable[..., object], **options: bool) -> Any:
    source_digest(function.__code__.co_filename)  # as it was when it was loaded
    always = {"error_model": "numpy", **without_reference_counts()}
    return numba.njit(**always, **options)(function)  # type: ignore[call-overload]


class _Cache(FunctionCache):
    """numba compiles anew when the file of a kernel changes; here, when anything does that it is
    made of, or what it is compiled with."""

    def __init__(self, function: Callable[..., object], options: Mapping[str, object]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._options = options

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """numba's own fills its context first with all that it can compile. That takes longer than
        loading every kernel, and code that is compiled already needs none of it; where references
        are counted, the runtime that does it.
        """
        if not without_reference_counts():
            rtsys.initialize(target_context)
        target_context.codegen()._library_class = _Library
        found = None
        with self._guard_against_spurious_io_errors():
            try:
                found = self._load_overload(signature, target_context)  # type: ignore[no-untyped-call]
            except UNREADABLE:
                self.flush()  # type: ignore[no-untyped-call]
        if found is None:
            _announce()
        return found

    def _index_key(self, signature: Any, codegen: Any) -> Any:
        key = super()._index_key(signature, codegen)  # type: ignore[no-untyped-call]
        return key, made_of(self._py_func), str(self._options)


class _Library(JITCodeLibrary):
    """Machine code that was kept, and its bitcode, which is for whoever inlines it. numba's own
    reads that at once: half of what loading takes, and who is only called never needs it.
    """

    _bitcode: bytes | None = None

    @classmethod
    def _unserialize(cls, codegen: Any, state: Any) -> _Library:
        name, _, (machine_code, bitcode) = state
        library = cls(codegen, name)
        library.enable_object_caching()  # type: ignore[no-untyped-call]
        library._set_compiled_object(machine_code)  # type: ignore[no-untyped-call]
        library._finalize_final_module()  # type: ignore[no-untyped-call]
        library._bitcode = bitcode
        return library

    def get_pointer_to_function(self, name: str) -> Any:
        if self._bitcode is None:
            return super().get_pointer_to_function(name)  # type: ignore[no-untyped-call]
        return self._codegen._engine.get_function_address(name)

    def _get_module_for_linking(self) -> Any:
        if self._bitcode is not None and self._shared_module is None:
            self._shared_module = parse_bitcode(self._bitcode)
        return super()._get_module_for_linking()  # type: ignore[no-untyped-call]


@cache
def _announce() -> None:
    """Once a process, as a warning: without any set-up Python shows these, and no others."""
    kept = f" in {cache_folder()}" if cache_folder() else ""
    logging.getLogger(__name__).warning(
        f"compiling for this machine, which is kept{kept}: about half a minute, once"
    )


@contextmanager
def one_at_a_time(*, say_after_s: float = 2.0) -> Iterator[None]:
    """While one process compiles, others with the same cache wait, and then load what it made.

    say_after_s: they say so from then on. Loading takes less.
    """
    folder = cache_folder()
    try:
        lock = (Path(folder) / "compiling.lock").open("a") if folder else None
    except OSError:
        lock = None  # `require_writable_cache` says it
    with lock or nullcontext():
        if lock is not None:
            _acquire(lock, say_after_s)
        yield


def _acquire(lock: IO[str], say_after_s: float) -> None:
    say_at = time.monotonic() + say_after_s
    while time.monotonic() < say_at:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(POLL_S)
    logging.getLogger(__name__).warning("another process compiles for this machine: waiting for it")
    fcntl.flock(lock, fcntl.LOCK_EX)


def made_of(function: Any) -> str:
    """A digest of the files of a function and of all kernels and parts that it calls, wherever they
    stand, and of the values that they name, which may come from anywhere."""
    called, digest = [function], sha256()
    for each in called:  # it grows
        digest.update(source_digest(each.__code__.co_filename))
        names, scope = each.__code__.co_names, each.__globals__
        modules = [vars(value) for value in map(scope.get, names) if isinstance(value, ModuleType)]
        for place, name in product((scope, *modules), names):
            value = place.get(name)
            if isinstance(value, ModuleType):
                continue  # where it lies is no part of it
            part = getattr(value, "py_func", None)
            if part is None:
                digest.update(str(getattr(value, "__qualname__", repr(value))).encode())
            elif part not in called:
                called.append(part)
    return digest.hexdigest()


@cache
def source_digest(path: str) -> bytes:
    return sha256(Path(path).read_bytes()).digest()


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
