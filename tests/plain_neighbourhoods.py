"""Neighbourhood attention by loops over pixels: what the fast one is compared with, and a stand-in for NATTEN.

NATTEN 0.14's functions, which transformers' DiNAT calls, no longer exist; `stand_in` supplies them to a test.
"""

from __future__ import annotations

import pytest
import torch
import transformers.models.dinat.modeling_dinat as port_dinat
from torch import Tensor


def plain_window(length: int, index: int, kernel: int, dilation: int) -> list[int]:
    """The pixels that a pixel sees along one axis: the k nearest of its residue class, counted one by one."""
    same_class = [i for i in range(length) if i % dilation == index % dilation]
    place = same_class.index(index)
    first = min(max(place - kernel // 2, 0), len(same_class) - kernel)
    return same_class[first : first + kernel]


def plain_scores(query: Tensor, key: Tensor, bias: Tensor, kernel: int, dilation: int) -> Tensor:
    """Scores of a pixel's neighbours, [B, A, H, W, k * k]. query, key: [B, A, H, W, C]. bias: [A, 2k-1, 2k-1]."""
    batch, heads, height, width, _ = query.shape
    scores = query.new_zeros(batch, heads, height, width, kernel * kernel)
    for y in range(height):
        for x in range(width):
            rows, columns = plain_window(height, y, kernel, dilation), plain_window(width, x, kernel, dilation)
            window = key[:, :, rows][:, :, :, columns].flatten(2, 3)
            dy = torch.tensor([(row - y) // dilation + kernel - 1 for row in rows])
            dx = torch.tensor([(column - x) // dilation + kernel - 1 for column in columns])
            shift = bias[:, dy[:, None], dx[None]].flatten(1)
            scores[:, :, y, x] = (window * query[:, :, y, x, None]).sum(-1) + shift
    return scores


def plain_mix(weights: Tensor, value: Tensor, kernel: int, dilation: int) -> Tensor:
    """Neighbours weighted and summed, [B, A, H, W, C]. weights: [B, A, H, W, k * k]. value: [B, A, H, W, C]."""
    mixed = torch.empty_like(value)
    height, width = value.shape[2:4]
    for y in range(height):
        for x in range(width):
            rows, columns = plain_window(height, y, kernel, dilation), plain_window(width, x, kernel, dilation)
            window = value[:, :, rows][:, :, :, columns].flatten(2, 3)
            mixed[:, :, y, x] = (window * weights[:, :, y, x, :, None]).sum(2)
    return mixed


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets transformers' DiNAT run without NATTEN.

    Known deviation of transformers 5.23, bridged here: it hands over queries, keys and values as [B, W, H, A, C], but
    reads the result as [B, A, H, W, C], which NATTEN takes and returns.
    """

    def scores(query: Tensor, key: Tensor, bias: Tensor, kernel: int, dilation: int) -> Tensor:
        return plain_scores(_heads_first(query), _heads_first(key), bias, kernel, dilation)

    def mix(weights: Tensor, value: Tensor, kernel: int, dilation: int) -> Tensor:
        return plain_mix(weights, _heads_first(value), kernel, dilation)

    monkeypatch.setattr(port_dinat, "requires_backends", lambda *_: None)
    monkeypatch.setattr(port_dinat, "natten2dqkrpb", scores)
    monkeypatch.setattr(port_dinat, "natten2dav", mix)


def _heads_first(tensor_BWHAC: Tensor) -> Tensor:
    return tensor_BWHAC.permute(0, 3, 2, 1, 4)
