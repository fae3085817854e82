"""The packed weights of layers: they depend on the model alone, and are made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from lrpfast import _native as core
from lrpfast.engine.native.layout import BLOCK, Floats, lanes
from lrpfast.engine.native.methods import Method
from lrpfast.engine.native.stacks import FLAT, WHOLE, Block, Blocks, BySign
from lrpfast.engine.reference.maps import modified
from lrpfast.model.layers import Convolution, TransposedConvolution, Weighted
from lrpfast.rules.terms import NOTHING, WeightPart

#: blocks whatever the sign of the input
PlainBlocks: TypeAlias = tuple[tuple[WeightPart | None, ...], ...]

Packed: TypeAlias = core.PackedWeights | core.WinogradWeights | core.SkipWeights | core.PatchWeights


class PreparedWeights:
    """The packed weights of one layer, for every direction, stack and method that is asked for.

    Those of a transposed convolution are packed as of the convolution that it is the adjoint of: what it calls its
    outputs are inputs here. The memory is of a pool that all layers share: many have few weights, and small pieces of
    memory get no huge pages.
    """

    def __init__(self, layer: Weighted, pool: core.Pool, threads: int) -> None:
        self.layer = layer
        self.pool = pool
        self.threads = threads
        self.transposed = isinstance(layer, TransposedConvolution)
        self.groups = layer.groups if isinstance(layer, Convolution | TransposedConvolution) else 1
        self._packed: dict[tuple[Blocks, bool, Method], Packed] = {}

    def packed(self, blocks: Blocks, adjoint: bool, method: Method) -> Packed:
        """The weights of a block matrix, packed on first demand."""
        self.prepare(blocks, adjoint, [method])
        return self._packed[_packed_as(blocks, method), adjoint, method]

    def prepare(self, blocks: Blocks, adjoint: bool, methods: Sequence[Method]) -> None:
        """Pack a block matrix for several methods, where that is not done yet."""
        by_blocks: dict[Blocks, list[Method]] = {}
        for method in methods:
            packed_as = _packed_as(blocks, method)
            if (packed_as, adjoint, method) not in self._packed:
                by_blocks.setdefault(packed_as, []).append(method)
        for packed_as, missing in by_blocks.items():
            weight = self._assembled(_for_sign(packed_as, negative=False))
            for_negative = self._assembled(_for_sign(packed_as, negative=True)) if depends_on_sign(packed_as) else None
            for method in missing:
                self._packed[packed_as, adjoint, method] = self._pack(weight, for_negative, adjoint, method)

    def _pack(self, weight: Floats, for_negative: Floats | None, adjoint: bool, method: Method) -> Packed:
        match method:
            case "winograd":
                return core.WinogradWeights(weight, adjoint, self.threads, self.pool)
            case "skip":
                return core.SkipWeights(weight, adjoint, self.threads, self.pool)
            case "patch":
                assert isinstance(self.layer, Convolution)
                rows, columns = self.layer.window.kernel
                return core.PatchWeights(weight, rows, columns, self.pool)
            case "image":
                return core.PackedWeights(weight.reshape(len(weight), 1, -1), 1, adjoint, None, self.pool)
            case "dense":
                return core.PackedWeights(weight, self.groups, adjoint, for_negative, self.pool)

    @property
    def bytes(self) -> int:
        """Memory of all packed weights."""
        return sum(packed.bytes for packed in self._packed.values())

    def _assembled(self, blocks: PlainBlocks) -> Floats:
        """The block matrix (outputs, inputs, taps); between blocks, channels are filled up to a multiple of 16."""
        weight = self.layer.weight.reshape(*self.layer.weight.shape[:2], -1).astype(np.float32, copy=False)
        if blocks == FLAT and self.groups == 1:
            outputs, inputs, taps = weight.shape
            return np.ones((outputs, 1, taps) if self.transposed else (1, inputs, taps), np.float32)
        rows, columns = len(blocks), len(blocks[0])
        only = blocks[0][0]
        if rows == columns == 1 and only is not None:
            return np.ascontiguousarray(modified(weight, only))
        outputs, inputs = whole_blocks(len(weight), rows), whole_blocks(weight.shape[1], columns)
        assembled = np.zeros((rows, outputs, columns, inputs, weight.shape[2]), np.float32)
        for row, members in enumerate(blocks):
            for column, block in enumerate(members):
                if block is not None:
                    assembled[row, : len(weight), column, : weight.shape[1]] = modified(weight, block)
        return assembled.reshape(rows * outputs, columns * inputs, -1)

    def bias(self, part: WeightPart) -> Floats | None:
        """The bias of a part in lanes of 16, or None where there is none."""
        if self.layer.bias is None or part == NOTHING:
            return None
        return lanes(modified(self.layer.bias.astype(np.float32, copy=False), part))


def depends_on_sign(blocks: Blocks) -> bool:
    """Whether the weights depend on the sign of what they meet."""
    return any(isinstance(block, BySign) for row in blocks for block in row)


def _packed_as(blocks: Blocks, method: Method) -> Blocks:
    """The blocks whose weights a method reads: the one that skips zeros works out weights by sign as it goes."""
    return WHOLE if method == "skip" and depends_on_sign(blocks) else blocks


def _for_sign(blocks: Blocks, negative: bool) -> PlainBlocks:
    """The blocks for values of one sign."""

    def of(block: Block) -> WeightPart | None:
        if isinstance(block, BySign):
            return block.negative if negative else block.positive
        return block

    return tuple(tuple(of(block) for block in row) for row in blocks)


def whole_blocks(channels: int, members: int) -> int:
    """Channels of each of several maps in one tensor: filled up to whole blocks if there are several."""
    return channels if members == 1 else -(-channels // BLOCK) * BLOCK
