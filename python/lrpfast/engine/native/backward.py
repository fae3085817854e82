"""The way back: relevance passes as recorded programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lrpfast import _native as core
from lrpfast.engine.native.accounts import Account, Accounts, Columns
from lrpfast.engine.native.elementwise_maps import SumMap
from lrpfast.engine.native.forward import ForwardPass
from lrpfast.engine.native.layout import Halo, Recorder, size3
from lrpfast.engine.native.maps import ConvolutionMap, LinearMap, Source, kept
from lrpfast.engine.native.prepared import RELU_RULES, ROUNDING, Stage, only_moves
from lrpfast.engine.native.prepared_stack import PreparedStack
from lrpfast.engine.native.routes import places, starts
from lrpfast.engine.native.stacks import WHOLE, Blocks
from lrpfast.model.layers import Gate, Layer, Shape
from lrpfast.rules import LinearRule, Pass, Proportional, Ties


def _runs_in_strips(stage: Stage, prepared: PreparedStack) -> bool:
    """Whether quotients are handed down while they are in the cache, and nothing else needs them."""
    plain = prepared.denominator != "constant" and prepared.shift is None and stage.window is None
    return plain and isinstance(stage.linear, ConvolutionMap) and stage.linear.runs_in_strips(prepared.stack.blocks)


@dataclass(frozen=True, eq=False)
class Relevance:
    """Relevance of a value (N * T, ...), its sum per sample, and whether no other value shares its memory."""

    tensor: core.Tensor
    sums: Columns
    owned: bool = True


class RelevancePass:
    """The program that hands relevance down, for T explanations a sample of a forward pass.

    `seen` and `masked` name layers at whose output relevance is kept, and multiplied by a mask.
    """

    def __init__(
        self,
        forward: ForwardPass,
        explanations: int,
        seen: frozenset[str] = frozenset(),
        masked: frozenset[str] = frozenset(),
    ) -> None:
        self.forward, self.explanations = forward, explanations
        self.samples = forward.samples * explanations
        self.on = Recorder(forward.on.pool)
        self.known: dict[str, Relevance] = {}
        self.seen: dict[str, core.Tensor] = {}
        self.masks: dict[str, core.Tensor] = {}
        graph, prepared, accounts = forward.plan.graph, forward.prepared, []
        self._reserve()
        self.seed = self.on.tensor(self.samples, prepared.shapes[graph.output])
        self.known[graph.output] = Relevance(self.seed, self._sum(self.seed), owned=False)
        for stage in reversed(prepared.stages):
            self.on.value = stage.output
            received = self.known.pop(stage.output, None)
            if received is None:  # there is no path to the explained output
                continue
            name = stage.steps[-1].node.name
            if name in masked:
                received = self._masked(name, received, stage.out_shape)
            if name in seen:
                self.seen[name] = received.tensor
                received = replace(received, owned=False)
            accounts.append(Backward(self, stage, received).record())
        self.accounts = Accounts(accounts, explanations)
        self.arrived = self.known[graph.input].tensor
        if forward.plan.composite.times_input:
            gradient, self.arrived = self.arrived, self.on.tensor(self.samples, prepared.shapes[graph.input])
            times = core.Contribution(forward.values[graph.input], self.arrived, False)
            self.on.add(core.take_up([gradient], times))

    def _reserve(self) -> None:
        """Memory for the largest tensors, before smaller ones take theirs: these find room in it.

        Relevance grows on its way to the input, so the largest would come last. Three are alive at once where nothing
        branches: what a stage receives, its quotients, and what it hands down.
        """
        sizes: list[tuple[Shape, Halo]] = []
        for stage in self.forward.prepared.stages:
            sizes += [(shape, Halo()) for shape in stage.held_shapes]
            if stage.linear is not None:
                rest, halo = stage.linear.out_shape[1:], stage.linear.s_halo
                kept = [stack for stack in stage.stacks if not _runs_in_strips(stage, stack)]
                sizes += [((stack.channels, *rest), halo) for stack in kept]
        largest = sorted(sizes, key=lambda size: size[1].pixels_around(*size[0]))[-3:]
        _ = [
            core.Tensor(self.on.pool, self.samples, shape[0], size3(shape[1:]), halo.before, halo.after)
            for shape, halo in largest
        ]

    def _masked(self, name: str, received: Relevance, shape: Shape) -> Relevance:
        """Relevance times a mask that is loaded before the program runs."""
        mask = self.masks[name] = self.on.tensor(self.samples, shape, lasting=True)
        out = self.on.tensor(self.samples, shape)
        self.on.add(core.take_up([received.tensor], core.Contribution(mask, out, False)))
        return Relevance(out, self._sum(out))

    def _sum(self, tensor: core.Tensor) -> Columns:
        total = core.Sum(tensor)
        self.on.add(total.step())
        return (self.on.program.enter(total),)


@dataclass
class Backward:
    """One stage on the way back."""

    whole: RelevancePass
    stage: Stage
    received: Relevance
    account: Account = field(init=False)

    def __post_init__(self) -> None:
        self.account = Account(self.stage, self.received.sums)
        self.on, self.forward = self.whole.on, self.whole.forward

    def record(self) -> Account:
        """Hand relevance down to the inputs."""
        stage, rule, r, layer = self.stage, self.stage.step.rule, self.received.tensor, self.stage.step.node.layer
        if isinstance(rule, Pass):
            self._give([r, *(None for _ in stage.inputs[1:])], self.received.owned)
        elif isinstance(layer, Gate):
            self._gradient_of_gate(layer)
        elif only_moves(layer):
            self._move_back(layer)
        elif stage.linear is not None and not isinstance(rule, LinearRule):
            self._gradient(stage.linear)
        elif stage.linear is not None and isinstance(rule, LinearRule):
            if isinstance(stage.linear, SumMap) and stage.is_shared_out:
                self._share_out(rule.stabilizer)
            else:
                self._redistribute(stage.linear, rule.stabilizer)
        elif stage.step.info.kind == "routing":
            self._split()
        elif stage.window is not None and isinstance(rule, (Ties, Proportional)):
            self._share_windows(stage.window, rule)
        else:
            handed = self._tensor(stage.in_shapes[0])
            if stage.window is not None:
                self.on.add(core.max_unpool(stage.window, r, self.forward.winners[stage.output], handed))
            else:
                x, kind = self.forward.values[stage.inputs[0]], RELU_RULES[type(rule)]
                self.on.add(core.activation_relevance(kind, stage.function, x, stage.slope, r, handed))
            self._give([handed])
        return self.account

    def _share_windows(self, window: core.Window, rule: Ties | Proportional) -> None:
        """The relevance of each window of a max pool, shared out among several of its values."""
        (name,), stage = self.stage.inputs, self.stage
        out = self.on.tensor(self.whole.samples, stage.in_shapes[0], self.forward.prepared.halos[name])
        how = core.PoolShare.ties if isinstance(rule, Ties) else core.PoolShare.values
        stabilizer = 0.0 if isinstance(rule, Ties) else rule.stabilizer
        x, r = self.forward.values[name], self.received.tensor
        self.on.add(core.share_pool(window, x, r, how, stabilizer, stage.margin, out))
        self._give([out])

    def _tensor(self, shape: Shape) -> core.Tensor:
        return self.on.tensor(self.whole.samples, shape)

    def _move_back(self, layer: Layer) -> None:
        r, shapes = self.received.tensor, self.stage.in_shapes
        taken, parts = places(layer, shapes)[0], [self._tensor(shape) for shape in shapes]
        for first, part in zip(starts(shapes), parts, strict=True):
            self.on.add(core.scatter(r, taken, first, part))
        self._give(parts)

    def _give(self, parts: Sequence[core.Tensor | None], owned: bool = True) -> None:
        """Enter finished relevance for each input; None for one that gets nothing."""
        for name, shape, part in zip(self.stage.inputs, self.stage.in_shapes, parts, strict=True):
            if part is None:
                continue
            sums = self.received.sums if part is self.received.tensor else self.whole._sum(part)
            self.account.handed += sums
            given = Relevance(part, sums, owned and sum(part is other for other in parts) == 1)
            if name in self.whole.known:
                before, total = self.whole.known[name], self._tensor(shape)
                self.on.add(core.add(before.tensor, part, total))
                given = Relevance(total, before.sums + sums)
            self.whole.known[name] = given

    def _targets(self) -> list[tuple[core.Tensor, bool]]:
        """Where relevance of each input is to go, and whether to add to what is there."""
        targets: list[tuple[core.Tensor, bool]] = []
        for index, (name, shape) in enumerate(zip(self.stage.inputs, self.stage.held_shapes, strict=True)):
            known = self.whole.known.get(name)
            if name in self.stage.inputs[:index]:
                targets.append((targets[self.stage.inputs.index(name)][0], True))
            elif known is None:
                targets.append((self._tensor(shape), False))
            elif known.owned:
                targets.append((known.tensor, True))
            else:
                own = self._tensor(shape)
                self.on.add(core.affine(known.tensor, None, None, own))
                targets.append((own, True))
        return targets

    def _enter(self, targets: list[tuple[core.Tensor, bool]], handed: list[Columns]) -> None:
        """Enter what was put into the targets."""
        for name, (tensor, _), sums in zip(self.stage.inputs, targets, handed, strict=True):
            before = self.whole.known[name].sums if name in self.whole.known else ()
            self.whole.known[name] = Relevance(tensor, before + sums)
            self.account.handed += sums

    def _split(self) -> None:
        """Parts of a concatenation: places in its memory, where these are whole blocks."""
        stage, r, parts = self.stage, self.received.tensor, []
        for start, shape in zip(stage.channel_starts, stage.in_shapes, strict=True):
            if stage.is_whole(start, shape):
                parts.append(r.channels_from(start, shape[0]))
            else:
                parts.append(self._tensor(shape))
                self.on.add(core.copy_channels(r, start, parts[-1], 0, shape[0]))
        self._give(parts, self.received.owned)

    def _gradient(self, linear: LinearMap) -> None:
        r = self.received.tensor
        if any(linear.s_halo.before + linear.s_halo.after):
            wide = self.on.tensor(self.whole.samples, self.stage.shape, linear.s_halo)
            self.on.add(core.affine(r, None, None, wide))
            r = wide
        parts = [self._tensor(shape) for shape in self.stage.in_shapes]
        for part in parts:
            linear.spread(self.on, WHOLE, r, kept(part))
        self._give(parts)

    def _gradient_of_gate(self, layer: Gate) -> None:
        """The gradient of a product, where what each of the two receives is multiplied with the other, or of a sum."""
        if layer.operation == "plus":
            self._give([self.received.tensor] * 2, self.received.owned)
            return
        signal, gate = (self.forward.values[name] for name in self.stage.inputs)
        parts = [self._tensor(shape) for shape in self.stage.in_shapes]
        for part, other in zip(parts, (gate, signal), strict=True):
            self.on.add(core.take_up([self.received.tensor], core.Contribution(other, part, False)))
        self._give(parts)

    def _share_out(self, stabilizer: float) -> None:
        """A sum: every branch gets in proportion to what it brought."""
        stage, values, targets = self.stage, self.forward.values, self._targets()
        branches = [(values[name], *target) for name, target in zip(stage.inputs, targets, strict=True)]
        share = stage.stacks[0].stack.groups[0].share
        shared = core.ShareOut(self.received.tensor, values[stage.output], share, stabilizer, branches)
        self.on.add(shared.step())
        first = self.on.program.enter(shared)
        account = self.account
        account.found, account.stabilizer, account.handled = (first,), (first + 1,), (first + 2,)
        self._enter(targets, [(first + 3 + branch,) for branch in range(len(branches))])

    def _redistribute(self, linear: LinearMap, stabilizer: float) -> None:
        targets, stage = self._targets(), self.stage
        filled = [added for _, added in targets]
        handed: list[Columns] = [() for _ in targets]
        self.account.handled = ()
        for index, prepared in enumerate(stage.stacks):
            s = None if _runs_in_strips(stage, prepared) else self._s(prepared, linear)
            quotient = self._quotient(prepared, linear, stabilizer, s)
            self._enter_quotient(self.on.program.enter(quotient), first=index == 0)
            if s is not None:
                self._divide(prepared, linear, quotient, s)
            ways: list[tuple[Blocks, core.Contribution]] = []
            for parts in prepared.spreads:
                blocks, taken = prepared.stack.columns(parts), prepared.taken(parts)
                for branch, (name, (out, _)) in enumerate(zip(stage.inputs, targets, strict=True)):
                    a = self.forward.values[name]
                    to = core.Contribution(a, out, filled[branch], taken, stage.image)
                    if s is None:
                        ways.append((blocks, to))
                    else:
                        linear.spread(self.on, blocks, s, to)
                    handed[branch] += (self.on.program.enter(to),)
                    filled[branch] = True
            if isinstance(linear, ConvolutionMap) and s is None:
                linear.redistribute(self.on, self._source(prepared), quotient, ways)
        for (out, _), full in zip(targets, filled, strict=True):
            if not full:  # the algebra left nothing of the rule
                self.on.add(core.fill(out, 0))
        self._enter(targets, handed)

    def _s(self, prepared: PreparedStack, linear: LinearMap) -> core.Tensor:
        """The memory of quotients; whoever writes these clears the halo."""
        size, halo = size3(linear.out_shape[1:]), linear.s_halo
        return core.Tensor(self.on.pool, self.whole.samples, prepared.channels, size, halo.before, halo.after)

    def _quotient(
        self, prepared: PreparedStack, linear: LinearMap, stabilizer: float, s: core.Tensor | None
    ) -> core.Quotient:
        """Relevance over denominators, for every group of a stack."""
        stage, stack, forward, r = self.stage, prepared.stack, self.forward, self.received.tensor
        if prepared.is_flat and r.channels > 1:
            r = self._tensor((1, *linear.out_shape[1:]))
            self.on.add(core.sum_channels(self.received.tensor, r))
        pool = None if stage.window is None else (stage.window, forward.winners[stage.output])
        gated = any(gate != core.Gate.open for gate, _ in prepared.shares)
        own = forward.own_values(stage) if gated or stack.mix else None
        constant = prepared.denominator == "constant"
        return core.Quotient(
            1 if constant else forward.samples,
            r,
            s,
            prepared.shares,
            stabilizer,
            prepared.bias,
            prepared.within,
            None if constant else prepared.constant,
            own,
            pool,
            stack.mix,
            ROUNDING if isinstance(linear, ConvolutionMap) and linear.winograd else 0.0,
        )

    def _source(self, prepared: PreparedStack) -> Source:
        """The denominators of a stack, or what they are made of."""
        stage, forward = self.stage, self.forward
        if prepared.denominator == "forward":
            return forward.own_values(stage)
        if prepared.denominator == "constant":
            assert prepared.constant is not None
            return prepared.constant
        return (*prepared.stack.free(), [forward.values[name] for name in stage.inputs])

    def _divide(self, prepared: PreparedStack, linear: LinearMap, quotient: core.Quotient, s: core.Tensor) -> None:
        """Make all quotients of a stack."""
        source = self._source(prepared)
        if isinstance(source, core.Tensor):
            self.on.add(core.take_up([source], quotient))
        else:
            linear.evaluate(self.on, *source, quotient)
        if prepared.shift is not None:  # what a bias that is a map absorbs
            product = core.Contribution(prepared.shift, self._tensor((s.channels, *linear.out_shape[1:])), False)
            self.on.add(core.take_up([s], product))
            self.account.bias += (self.on.program.enter(product),)

    def _enter_quotient(self, column: int, first: bool) -> None:
        account = self.account
        if first:
            account.found = (column,)
        account.bias += (column + 1,)
        account.stabilizer += (column + 2,)
        account.handled = (*(account.handled or ()), column + 3)
