"""The forward pass as a recorded program."""

from __future__ import annotations

from lrpfast import _native as core
from lrpfast.engine.native.elementwise_maps import SumMap
from lrpfast.engine.native.layout import Floats, Recorder, planes, size3
from lrpfast.engine.native.maps import ConvolutionMap, LinearMap, kept
from lrpfast.engine.native.prepared import Prepared, Stage, only_moves
from lrpfast.engine.native.routes import places
from lrpfast.engine.native.stacks import WHOLE
from lrpfast.engine.plan import Plan
from lrpfast.model.layers import Gate
from lrpfast.rules.terms import AS_IS


class ForwardPass:
    """The program that computes every value that an explanation needs."""

    def __init__(self, plan: Plan, prepared: Prepared, pool: core.Pool, samples: int) -> None:
        self.plan, self.prepared, self.samples = plan, prepared, samples
        self.on = Recorder(pool)
        self.values: dict[str, core.Tensor] = {}
        self.winners: dict[str, core.Tensor] = {}
        self.ahead: dict[str, core.Tensor] = {}  # values ahead of a pool, by the name of the pooled value
        self.input = self._tensor(plan.graph.input)
        for stage in prepared.stages:
            self.on.value = stage.output
            self._record(stage)
        self.output = self.values[plan.graph.output]

    def own_values(self, stage: Stage) -> core.Tensor:
        """What stands for the values of a stage's first step, where relevance is not zero."""
        return self.ahead.get(stage.output, self.values[stage.output])

    def _tensor(self, name: str) -> core.Tensor:
        """The memory of a value: its own, or a place in the concatenation that it belongs to."""
        if name not in self.values:
            shape = self.prepared.shapes[name]
            if name in self.prepared.places:
                whole, start = self.prepared.places[name]
                self.values[name] = self._tensor(whole).channels_from(start, shape[0])
            else:
                if self.prepared.image and name == self.plan.graph.input:
                    shape = planes(shape)
                self.values[name] = self.on.tensor(self.samples, shape, self.prepared.halos[name], lasting=True)
        return self.values[name]

    def _record(self, stage: Stage) -> None:
        inputs, layer = [self.values[name] for name in stage.inputs], stage.step.node.layer
        out = self._tensor(stage.output)
        if only_moves(layer):
            self.on.add(core.gather(inputs, *places(layer, stage.in_shapes), out))
        elif stage.linear is not None:
            self._linear(stage, stage.linear, inputs, out)
        elif stage.window is not None:
            winners = self.winners[stage.output] = self.on.tensor(self.samples, stage.out_shape)
            self.on.add(core.max_pool(stage.window, inputs[0], out, winners, stage.margin))
        elif stage.step.info.kind == "activation":
            self.on.add(core.take_up(inputs, self._activation(stage, out)))
        elif isinstance(layer, Gate):
            if layer.operation == "times":
                self.on.add(core.take_up(inputs[:1], core.Contribution(inputs[1], out, False)))
            else:
                self.on.add(core.take_up(inputs, self._activation(stage, out)))
        else:
            for name, a, start in zip(stage.inputs, inputs, stage.channel_starts, strict=True):
                if self.prepared.places.get(name) != (stage.output, start):
                    self.on.add(core.copy_channels(a, 0, out, start, a.channels))

    def _linear(self, stage: Stage, linear: LinearMap, inputs: list[core.Tensor], out: core.Tensor) -> None:
        bias = linear.bias(AS_IS)
        if stage.image and isinstance(linear, ConvolutionMap):
            assert not isinstance(bias, core.Tensor)
            linear.evaluate_image(self.on, inputs[0], self._activation(stage, out, bias))
        elif isinstance(linear, SumMap):
            self.on.add(core.take_up(inputs, self._activation(stage, out)))
        elif isinstance(bias, core.Tensor):
            values = self.on.tensor(self.samples, linear.out_shape)
            linear.evaluate(self.on, WHOLE, [AS_IS], inputs, kept(values))
            self.on.add(core.affine(values, None, bias, values))
            self.on.add(core.take_up([values], self._activation(stage, out)))
        else:
            linear.evaluate(self.on, WHOLE, [AS_IS], inputs, self._activation(stage, out, bias))

    def _activation(self, stage: Stage, out: core.Tensor, bias: Floats | None = None) -> core.Activation:
        pool: tuple[core.Window, core.Tensor, core.Tensor, float] | None = None
        y: core.Tensor | None = out
        if stage.linear is not None and stage.window is not None:
            winners = self.winners[stage.output] = self.on.tensor(self.samples, stage.out_shape)
            pool, y = (stage.window, out, winners, stage.margin), None
            if stage.keeps_values:
                y = self.ahead[stage.output] = self.on.tensor(self.samples, stage.shape)
        size = size3(stage.shape[1:])
        return core.Activation(self.samples, stage.shape[0], size, stage.function, bias, stage.slope, y, pool)
