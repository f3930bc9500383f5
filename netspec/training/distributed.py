"""One process, or several that torchrun started, each with a share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

from netspec.diagnostics import spec_error
from netspec.lazy_dataclasses import dataclass


@dataclass(frozen=True)
class Processes:
    """This process is number `rank` of `count`; `local` is its number on its machine."""

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, in their order."""
        found = [value] * self.count
        if self.count > 1:
            dist.all_gather_object(found, value)
        return found

    def wait(self) -> None:
        """Wait until all processes have come here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def processes(cuda: bool) -> Iterator[Processes]:
    """The processes that torchrun started (it sets WORLD_SIZE), or this one alone."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Processes(dist.get_rank(), count, int(os.environ.get("LOCAL_RANK", "0")))
        dist.barrier()  # none leaves while another still writes
    finally:
        dist.destroy_process_group()


def device(wanted: str, local: int) -> torch.device:
    """The device `auto`, `cpu`, `cuda` or `cuda:1`. Raises SpecError for one that is not there."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(wanted)
    except RuntimeError:
        found = torch.device("meta")
    if found.type not in ("cpu", "cuda"):
        raise spec_error(
            "bad-device", f"there is no device {wanted}: it is cpu, cuda, cuda:0, ... or auto"
        )
    if found.type == "cuda":
        index = local if found.index is None else found.index
        if not torch.cuda.is_available() or index >= torch.cuda.device_count():
            raise spec_error("bad-device", f"there is no device {wanted} that PyTorch can use here")
        torch.cuda.set_device(index)
        return torch.device("cuda", index)
    return found
