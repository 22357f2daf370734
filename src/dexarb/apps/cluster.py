"""Tasks on the workers of a dask.distributed cluster, which see the files under the same paths.

A worker that dies costs what it had begun, which the scheduler gives to another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from dexarb import __version__
from dexarb.apps.cores import Work
from dexarb.errors import DexarbError, InputError, MissingTool, OutsideError

if TYPE_CHECKING:
    from distributed import Client

REMEDY = "pip install dexarb[cluster]"
REACH_S = 10
"""Until a scheduler has answered, and until it has a worker."""
PATIENCE_S = 30
"""Without a task done, until it is asked whether there is a worker left."""
_ONE = Lock()
"""A worker may have several threads; a task wants a core to itself."""


@contextmanager
def reached(scheduler: str) -> Iterator[Client]:
    """A cluster all of whose workers run this version. Raises MissingTool, InputError for what is
    no address, OutsideError."""
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port
    except ImportError as error:
        raise MissingTool("distributed", f"A sweep on a cluster needs it: {REMEDY}") from error
    try:
        get_address_host_port(scheduler)
    except ValueError as error:
        raise InputError(
            f'"{scheduler}" is no address of a scheduler: give one such as tcp://10.0.0.1:8786'
        ) from error
    try:
        client = Client(scheduler, timeout=REACH_S, set_as_default=False)
    except OSError as error:
        raise OutsideError(
            f"no scheduler answers at {scheduler}. Start one with `dask scheduler`, and workers"
            f" with `dask worker {scheduler} --nthreads 1`; or leave --scheduler out"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=REACH_S)
        except TimeoutError as error:
            raise _no_workers(scheduler) from error
        _check_versions(client.run(version, "dexarb", on_error="return"))
        yield client


def on_cluster(
    client: Client, work: Work, tasks: Iterable[int], needs: Sequence[Path] = ()
) -> Iterator[int]:
    """Do all tasks; yields each as it is done. needs: absolute paths that each worker has to see.
    Raises what a task raises, OutsideError where no worker is left to do them."""
    from distributed import CancelledError, KilledWorker, wait

    for path in needs:
        seen = client.run(path.exists, on_error="return")
        blind = sorted(who for who, sees in seen.items() if sees is False)
        if blind:
            raise OutsideError(
                f"{path}: not seen by {', '.join(blind)}. A cluster's workers need the history and"
                " the sweep's folder under the same paths: use a shared file system"
            )
    address = client.scheduler_info()["address"]
    waiting = {client.submit(_serve, __version__, work, each, pure=False): each for each in tasks}
    while waiting:
        try:
            with client.as_current():
                done = wait(list(waiting), PATIENCE_S, return_when="FIRST_COMPLETED").done
            for each in done:
                each.result()
                yield waiting.pop(each)
        except TimeoutError:
            if not client.nthreads():
                raise _no_workers(address) from None
        except KilledWorker as error:
            raise OutsideError(
                "workers have died again and again, most likely for want of memory. Start it"
                " again, which goes on from here, with fewer workers on a machine"
            ) from error
        except (CancelledError, OSError) as error:
            raise OutsideError(
                f"the scheduler at {address} has gone. Start it again, which goes on from here"
            ) from error


def _serve(asked: str, work: Work, task: int) -> None:
    """On a worker, which may have joined since versions were looked at."""
    from distributed import get_worker

    here = str(get_worker().address)
    _check_versions({here: __version__}, asked)
    try:
        with _ONE:
            for _ in work(task):
                pass
    except DexarbError as error:  # not all of them can be pickled
        raise OutsideError(f"{here}: {error}") from None


def _check_versions(found: dict[str, object], wanted: str = __version__) -> None:
    """found: by the worker's address; what is no version and tells nothing of it is let through."""
    others = [
        f"{who} has {'none' if isinstance(each, PackageNotFoundError) else each}"
        for who, each in sorted(found.items())
        if isinstance(each, str | PackageNotFoundError) and each != wanted
    ]
    if others:
        raise OutsideError(
            f"workers of another version of dexarb: {', '.join(others)}. Install dexarb {wanted}"
            " there and start them again"
        )


def _no_workers(scheduler: str) -> OutsideError:
    return OutsideError(
        f"the scheduler at {scheduler} has no workers: start some with"
        f" `dask worker {scheduler} --nthreads 1`"
    )
