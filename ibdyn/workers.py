"""Where blocks are trained: in this process, or by the workers of a Dask cluster."""

import asyncio
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from .blocks import Block

if TYPE_CHECKING:
    from distributed import Client, Future

# From the configuration in JSON, the members and the command to the content of a file.
Train = Callable[[str, list[int], str], bytes]
Outcomes = Generator[tuple[Block, bytes | Exception]]
# Blocks handed out at once, for a cluster that has no workers yet to see that it needs them.
AHEAD = 64
# A worker trains one block at a time, in one thread.
ONE_THREAD = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
)


def here(train: Train, blocks: Iterable[Block], command: str) -> Outcomes:
    """Each block with what ``train`` makes of it in this process, or why it failed."""
    for block in blocks:
        try:
            yield block, train(*_arguments(block, command))
        except Exception as error:
            yield block, error


def there(client: "Client", train: Train, blocks: Iterable[Block], command: str) -> Outcomes:
    """The same by the workers of a cluster, in the order in which they finish.

    A block whose worker was lost is trained by another; one that loses its worker again and again
    (Dask's ``distributed.scheduler.allowed-failures``) fails. Few blocks are handed out at once,
    whatever their number. Raises ConnectionError when the scheduler is lost.
    """
    from distributed import as_completed
    from distributed.comm import CommClosedError

    waiting = iter(blocks)
    running: dict[Future, Block] = {}
    done = as_completed(loop=client.loop)

    def hand_out() -> None:
        ahead = max(AHEAD, 2 * sum(client.nthreads().values()))
        for block in islice(waiting, max(0, ahead - len(running))):
            future = client.submit(_alone, train, *_arguments(block, command), pure=False)
            running[future] = block
            done.add(future)

    try:
        hand_out()
        for future in done:
            if future.status == "pending":
                # Done, but lost with its worker before it was fetched.
                done.add(future)
                continue
            yield running.pop(future), _result(future)
            future.release()
            hand_out()
    except (CommClosedError, CancelledError) as error:
        raise ConnectionError("the scheduler was lost, what was finished is kept") from error
    finally:
        client.cancel(list(running))


def _result(future: "Future") -> bytes | Exception:
    try:
        return future.result()
    except CancelledError:
        raise
    except Exception as error:
        return error


def _alone(train: Train, config: str, members: list[int], command: str) -> bytes:
    with locks_of_a_process():
        return train(config, members, command)


@contextmanager
def locks_of_a_process() -> Iterator[None]:
    """Have xarray not ask the scheduler for every file: nobody else writes those of a sweep."""
    import dask

    with dask.config.set(scheduler="synchronous"):
        yield


def _arguments(block: Block, command: str) -> tuple[str, list[int], str]:
    return block.config.to_json(), list(block.members), command


@contextmanager
def connected(scheduler: str | None, local_workers: int | None) -> "Iterator[Client | None]":
    """The client of a running ``scheduler``, or of a new cluster on this machine; None for neither.

    The client is not Dask's default one: nothing else that the process computes or writes goes by
    it. Raises ValueError for both, for no number of workers, for what is no address and for an
    encrypted scheduler without certificates, ImportError without Dask, and OSError where no
    scheduler answers.
    """
    if scheduler is not None and local_workers is not None:
        raise ValueError("a scheduler and local workers are both given, expected one of them")
    with ExitStack() as stack:
        if local_workers is not None:
            yield stack.enter_context(local(local_workers))
        elif scheduler is not None:
            yield stack.enter_context(_client(scheduler))
        else:
            yield None


def _client(scheduler: str) -> "Client":
    _import_distributed()
    from distributed import Client

    try:
        asyncio.run(_knock(scheduler))
    except (ValueError, TypeError, RuntimeError) as error:
        # What Dask raises for no address, for tls:// without a certificate, and for tcp:// where
        # its configuration requires encryption.
        raise ValueError(f"scheduler {scheduler}: {error}") from error
    return Client(scheduler, set_as_default=False)


async def _knock(scheduler: str) -> None:
    """Raise what a client of ``scheduler`` would, before there is one.

    A client that could not connect lives on until it is collected as garbage, and closes itself
    then: in any thread, also in one that is waited for under the lock that closing takes.
    """
    from distributed.comm import connect
    from distributed.security import Security

    comm = await connect(scheduler, **Security().get_connection_args("client"))
    await comm.close()


@contextmanager
def local(workers: int) -> "Iterator[Client]":
    """The client of a new cluster of ``workers`` processes of one thread each on this machine.

    Connections are encrypted and authenticated by a certificate that lives as long as the cluster:
    whoever reaches a scheduler can have it run any code. ValueError for no number of workers,
    ImportError without Dask.
    """
    if workers < 1:
        raise ValueError(f"local workers: {workers} is no number of them, expected 1 or more")
    _import_distributed()
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    # At most one block in the hands of a worker: when it dies, no other is suspected.
    settings = {"distributed.scheduler.worker-saturation": 1.0}
    with (
        _environment(ONE_THREAD),
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            security=Security.temporary(),
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set ``variables`` for new processes to inherit; at the end undo it, and what Dask sets.

    Variables that Dask is given for its workers come too late: a new process first imports the
    program that started it, and with it numba, which reads them then.
    """
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _import_distributed() -> None:
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'a cluster needs Dask, which is not installed: pip install "ibdyn[cluster]"'
        ) from error
