"""What a network found recently, so that the same picture asked again costs only what differs.

A picture's features do not depend on the sentence, and what is found does not depend on the task that is answered.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

Found = TypeVar("Found")


class RecentResults:
    """Results by key, the most recently used ones, within `max_bytes` bytes of tensors.

    A result is a dataclass of tensors and tuples of tensors. One that alone exceeds the bytes is not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._held: OrderedDict[Hashable, Any] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: Hashable, compute: Callable[[], Found]) -> Found:
        """The result held under the key, or the computed one, which is then held."""
        if key in self._held:
            self._held.move_to_end(key)
            found: Found = self._held[key]
            return found
        result = compute()
        size = num_bytes(result)
        if size <= self.max_bytes:
            self._held[key] = result
            self._bytes += size
        while self._bytes > self.max_bytes:
            self._bytes -= num_bytes(self._held.popitem(last=False)[1])
        return result

    def clear(self) -> None:
        """Forget everything: for when the weights change."""
        self._held.clear()
        self._bytes = 0


def num_bytes(result: Any) -> int:
    """Bytes of the tensors that a result keeps alive."""
    storages = [tensor.untyped_storage() for tensor in _tensors(result)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _tensors(result: Any) -> Iterable[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    parts = [getattr(result, one.name) for one in fields(result)] if is_dataclass(result) else result
    return [tensor for part in parts for tensor in _tensors(part)]


def fingerprint(image: Tensor) -> tuple[torch.Size, torch.dtype, bytes]:
    """Equal for equal pictures. image: [3, H, W] on the CPU, any type."""
    return image.shape, image.dtype, hashlib.sha256(image.contiguous().numpy().data).digest()
