"""From the graph as the file has it to the one that is explained: same function, fewer and plainer layers.

Each pass is a plain function from graph to graph and states when it is exact; where it is not, the graph
stays as it is. A canonical graph gives the same outputs as the raw one, up to rounding.
"""

from lrpfast.model.canonize.affine import fold_affines
from lrpfast.model.canonize.layout import simplify_layout, sink_transposes
from lrpfast.model.canonize.moves import join_moves
from lrpfast.model.canonize.padding import merge_pads
from lrpfast.model.canonize.parallel import merge_parallel
from lrpfast.model.canonize.precision import rounded
from lrpfast.model.canonize.written_out import join_written_out
from lrpfast.model.graph import Graph

__all__ = ["canonize"]

PASSES = (join_written_out, simplify_layout, sink_transposes, merge_pads, fold_affines, merge_parallel)


def canonize(graph: Graph) -> Graph:
    """Apply all passes until none finds anything, and round what they computed in double precision."""
    raw, before = graph, None
    while graph is not before:
        before = graph
        for simplify in PASSES:
            graph = simplify(graph)
    return rounded(join_moves(graph), raw)
