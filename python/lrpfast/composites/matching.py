"""Which layers a composite's entry speaks of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lrpfast.errors import CompositeError
from lrpfast.model.layers import KINDS, ActivationName, Kind


@dataclass(frozen=True)
class LayerInfo:
    """What a composite may ask of a layer.

    Attributes
    ----------
    name, operator : str
        What the file calls it.
    kind : str
        conv, dense, affine, activation, sum, average, max, gate or routing.
    first, last : bool
        True for a weighted layer that no other weighted layer comes before, or after.
    depth, depths : int
        Weighted layers (conv and dense) counted from the input, 0 the first, and their number; a layer without weights
        has the depth of the weighted one before it.
    function : str
        That of an activation, such as "relu"; empty for other layers.
    activated : bool
        True for a layer whose output goes through activations only.
    """

    name: str
    operator: str
    kind: Kind
    first: bool
    last: bool
    depth: int
    depths: int
    function: str = ""
    activated: bool = False


class Match:
    """Base of all conditions; ``&`` joins two, ``~`` negates one."""

    def __call__(self, layer: LayerInfo) -> bool:
        raise NotImplementedError

    def __and__(self, other: Match) -> Match:
        return Both(self, other)

    def __invert__(self) -> Match:
        return Not(self)


@dataclass(frozen=True)
class Both(Match):
    """Both conditions hold."""

    left: Match
    right: Match

    def __call__(self, layer: LayerInfo) -> bool:
        return self.left(layer) and self.right(layer)

    def __str__(self) -> str:
        return f"{self.left} and {self.right}"


@dataclass(frozen=True)
class Not(Match):
    """The condition does not hold."""

    condition: Match

    def __call__(self, layer: LayerInfo) -> bool:
        return not self.condition(layer)

    def __str__(self) -> str:
        return f"not ({self.condition})" if isinstance(self.condition, Both) else f"not {self.condition}"


@dataclass(frozen=True, init=False)
class OfKind(Match):
    """Layers of these kinds: conv, dense, affine, activation, sum, average, max, gate, routing.

    Raises
    ------
    CompositeError
        A name is that of no kind.
    """

    kinds: tuple[Kind, ...]

    def __init__(self, *kinds: Kind) -> None:
        for kind in kinds:
            if kind not in KINDS:
                raise CompositeError(f"'{kind}' is no kind of layer; the kinds are {', '.join(KINDS)}.")
        object.__setattr__(self, "kinds", kinds)

    def __call__(self, layer: LayerInfo) -> bool:
        return layer.kind in self.kinds

    def __str__(self) -> str:
        return "any layer" if set(self.kinds) == set(KINDS) else ", ".join(self.kinds)


@dataclass(frozen=True)
class OfFunction(Match):
    """Activations of one `function`, such as relu, leaky_relu or clip (see `lrpfast.model.layers.Activation`)."""

    function: ActivationName

    def __call__(self, layer: LayerInfo) -> bool:
        return layer.function == self.function

    def __str__(self) -> str:
        return self.function


@dataclass(frozen=True)
class Named(Match):
    """Layers whose name matches `pattern`, with the wildcards of a shell, such as ``"features.*"``."""

    pattern: str

    def __call__(self, layer: LayerInfo) -> bool:
        return fnmatchcase(layer.name, self.pattern)

    def __str__(self) -> str:
        return f"named {self.pattern}"


@dataclass(frozen=True)
class First(Match):
    """Weighted layers that read the input before any other weighted layer."""

    def __call__(self, layer: LayerInfo) -> bool:
        return layer.first

    def __str__(self) -> str:
        return "first layer"


@dataclass(frozen=True)
class Last(Match):
    """Weighted layers after which no other weighted layer comes."""

    def __call__(self, layer: LayerInfo) -> bool:
        return layer.last

    def __str__(self) -> str:
        return "last layer"


@dataclass(frozen=True)
class Activated(Match):
    """Layers whose output goes through activations only."""

    def __call__(self, layer: LayerInfo) -> bool:
        return layer.activated

    def __str__(self) -> str:
        return "activated"


@dataclass(frozen=True)
class Depth(Match):
    """Layers from depth `start` up to, not including, `stop`, counted as in a slice of all depths."""

    start: int = 0
    stop: int | None = None

    def __call__(self, layer: LayerInfo) -> bool:
        start, stop, _ = slice(self.start, self.stop).indices(layer.depths)
        return start <= layer.depth < stop

    def __str__(self) -> str:
        return f"depth {self.start}:{'' if self.stop is None else self.stop}"


@dataclass(frozen=True)
class Where(Match):
    """Layers for which `predicate`, a function of the `LayerInfo`, is true."""

    predicate: Callable[[LayerInfo], bool]

    def __call__(self, layer: LayerInfo) -> bool:
        return bool(self.predicate(layer))

    def __str__(self) -> str:
        return f"where {getattr(self.predicate, '__name__', self.predicate)}"
