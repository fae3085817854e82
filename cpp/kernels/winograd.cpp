// Winograd's F(4x4, 3x3): to the points, their products with the weights, and back. The algorithm is that of Lavin and
// Gray (2015) with the points 0, 5/8, -5/8, 3/2, -3/2 and infinity: rounding errors are half of those with 1 and 2.
//
// Loop order: the transforms take one tile of 6 x 6 vectors at a time through registers, first along the columns, then
// along the rows. The product runs over groups of tiles; then input block, channel within the block; innermost the
// tiles of the group, one multiply-add per tile and vector: a channel's weights are loaded once for the group. After
// kPartialSum channels the sums go to the outputs and begin again from zero.
//
// Tile: 14 tiles x 2 blocks with AVX-512 (28 accumulators, 2 weights of 32 registers), 6 x 2 vectors (one block) with
// AVX2, 6 x 4 with NEON, 2 x 4 with SSE. Tiles are split into groups of nearly equal size rather than full ones and a
// rest, because a small group waits for its own sums. A product passes over its weights as often as there are groups,
// so they are fetched into the first level cache a block ahead; those of the next product come from afar, so they are
// fetched into the second level cache, as evenly as possible, while this one computes.
#include "partial.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

constexpr int kInputs = 6, kOutputs = 4;  // a tile's rows and columns

// The points, and what becomes of them; all exact in float.
constexpr float kNear = 0.625f, kFar = 1.5f;
constexpr float kNear2 = kNear * kNear, kFar2 = kFar * kFar, kNear3 = kNear2 * kNear, kFar3 = kFar2 * kFar;

// Six inputs of a row or column to its six points.
inline void to_points(const vec d[kInputs], vec p[kInputs]) {
  const vec even = d[4] - kFar2 * d[2], odd = d[3] - kFar2 * d[1];
  const vec far_even = d[4] - kNear2 * d[2], far_odd = d[3] - kNear2 * d[1];
  p[0] = kNear2 * kFar2 * d[0] + (d[4] - (kNear2 + kFar2) * d[2]);
  p[1] = even + kNear * odd;
  p[2] = even - kNear * odd;
  p[3] = far_even + kFar * far_odd;
  p[4] = far_even - kFar * far_odd;
  p[5] = kNear2 * kFar2 * d[1] + (d[5] - (kNear2 + kFar2) * d[3]);
}

// Six points of a row or column to its four outputs.
inline void from_points(const vec p[kInputs], vec y[kOutputs]) {
  const vec even = p[1] + p[2], odd = p[1] - p[2], far_even = p[3] + p[4], far_odd = p[3] - p[4];
  y[0] = p[0] + (even + far_even);
  y[1] = kNear * odd + kFar * far_odd;
  y[2] = kNear2 * even + kFar2 * far_even;
  y[3] = kNear3 * odd + (kFar3 * far_odd + p[5]);
}

// One copy of it, so that a tile has the same bits wherever it lies.
[[gnu::noinline]] void tile_to_points(const float* input, long row, float* points, long point) {
  for (int v = 0; v < kVectors; ++v, input += kLanes, points += kLanes) {
    vec half[kInputs][kInputs];
#pragma GCC unroll 6
    for (int j = 0; j < kInputs; ++j) {
      vec d[kInputs], p[kInputs];
#pragma GCC unroll 6
      for (int i = 0; i < kInputs; ++i) d[i] = load(input + i * row + j * kBlock);
      to_points(d, p);
#pragma GCC unroll 6
      for (int i = 0; i < kInputs; ++i) half[i][j] = p[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < kInputs; ++i) {
      vec p[kInputs];
      to_points(half[i], p);
#pragma GCC unroll 6
      for (int j = 0; j < kInputs; ++j) store(points + (i * kInputs + j) * point, p[j]);
    }
  }
}

// A tile that sticks out of the map, with zeros where it does.
void gather(const WinogradInput& task, int first_column, float* tile) {
  for (int i = 0; i < kInputs; ++i) {
    const int y = task.origin[0] + i;
    for (int j = 0; j < kInputs; ++j, tile += kBlock) {
      const int x = first_column + j;
      const bool inside = y >= 0 && y < task.size[0] && x >= 0 && x < task.size[1];
      const float* from = inside ? task.input + y * task.row + static_cast<long>(x) * kBlock : nullptr;
      for (int v = 0; v < kBlock; v += kLanes) store(tile + v, inside ? load(from + v) : vec{});
    }
  }
}

[[gnu::noinline]] void tile_from_points(const float* points, long point, float* out, long row) {
  for (int v = 0; v < kVectors; ++v, points += kLanes, out += kLanes) {
    vec half[kOutputs][kInputs];
#pragma GCC unroll 6
    for (int j = 0; j < kInputs; ++j) {
      vec p[kInputs], y[kOutputs];
#pragma GCC unroll 6
      for (int i = 0; i < kInputs; ++i) p[i] = load(points + (i * kInputs + j) * point);
      from_points(p, y);
#pragma GCC unroll 4
      for (int i = 0; i < kOutputs; ++i) half[i][j] = y[i];
    }
#pragma GCC unroll 4
    for (int i = 0; i < kOutputs; ++i) {
      vec y[kOutputs];
      from_points(half[i], y);
#pragma GCC unroll 4
      for (int j = 0; j < kOutputs; ++j) store(out + i * row + j * kBlock, y[j]);
    }
  }
}

// `lines` cache lines a block of the weights that come next, from `ahead`, are this group's to fetch.
template <int Tiles, int Panel>
void group(const WinogradProduct& task, int first, const float* ahead, int lines) {
  constexpr int kWidth = Panel * kVectors;
  constexpr long kRow = Panel * kBlock;
  constexpr int kTogether = partial_blocks(1);
  float* out = task.out + static_cast<long>(first) * kBlock;
  const float* block = task.points + static_cast<long>(first) * kBlock;
  const float* w = task.weights;
  const long next_block = task.block;
  for (int begin = 0; begin < task.blocks; begin += kTogether) {
    const int end = begin + kTogether < task.blocks ? begin + kTogether : task.blocks;
    vec sums[Tiles][kWidth]{};
    for (int b = begin; b < end; ++b, block += next_block, ahead += kBlock * kRow) {
      for (int line = 0; line < lines; ++line) __builtin_prefetch(ahead + line * kBlock, 0, 2);
      const float* x = block;
#pragma GCC unroll 2
      for (int k = 0; k < kBlock; ++k, ++x, w += kRow) {
        vec row[kWidth];
#pragma GCC unroll 16
        for (int q = 0; q < kWidth; ++q) row[q] = load(w + q * kLanes);
        __builtin_prefetch(block + next_block + k * kBlock, 0, 3);
#pragma GCC unroll 2
        for (int p = 0; p < Panel; ++p) __builtin_prefetch(w + kBlock * kRow + p * kBlock, 0, 3);
#pragma GCC unroll 16
        for (int i = 0; i < Tiles; ++i) {
          const vec value = splat(x[i * kBlock]);
#pragma GCC unroll 16
          for (int q = 0; q < kWidth; ++q) sums[i][q] += value * row[q];
        }
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < Tiles; ++i)
#pragma GCC unroll 16
      for (int q = 0; q < kWidth; ++q)
        put_partial(out + q / kVectors * task.out_block + i * kBlock + q % kVectors * kLanes, sums[i][q], begin == 0);
  }
}

template <int Tiles, int Panel>
void group_of(int tiles, const WinogradProduct& task, int first, const float* ahead, int lines) {
  if (tiles == Tiles) return group<Tiles, Panel>(task, first, ahead, lines);
  if constexpr (Tiles > 1) group_of<Tiles - 1, Panel>(tiles, task, first, ahead, lines);
}

template <int Tiles, int Panel>
void groups(const WinogradProduct& task) {
  constexpr int kLines = kBlock * Panel;  // cache lines of weights a block
  const int count = (task.tiles + Tiles - 1) / Tiles;
  const float* ahead = task.ahead ? task.ahead : task.weights;
  for (int g = 0; g < count; ++g) {
    const int begin = static_cast<int>(static_cast<long>(task.tiles) * g / count);
    const int end = static_cast<int>(static_cast<long>(task.tiles) * (g + 1) / count);
    const int line = kLines * g / count;
    const int lines = task.ahead ? kLines * (g + 1) / count - line : 0;
    group_of<Tiles, Panel>(end - begin, task, begin, ahead + line * kBlock, lines);
  }
}

}  // namespace

void winograd_input(const WinogradInput& task) {
  alignas(64) float edge[kInputs * kInputs * kBlock];
  const bool rows_inside = task.origin[0] >= 0 && task.origin[0] + kInputs <= task.size[0];
  for (int i = 0; i < task.tiles; ++i) {
    const int column = task.origin[1] + i * kOutputs;
    float* points = task.points + static_cast<long>(i) * kBlock;
    const bool inside = rows_inside && column >= 0 && column + kInputs <= task.size[1];
    if (!inside) gather(task, column, edge);
    tile_to_points(inside ? task.input + task.origin[0] * task.row + static_cast<long>(column) * kBlock : edge,
                   inside ? task.row : kInputs * kBlock, points, task.point);
  }
}

void winograd_multiply(const WinogradProduct& task) {
#if defined(__AVX512F__)
  if (task.panel == 2) return groups<14, 2>(task);
  groups<14, 1>(task);
#elif defined(__AVX2__) || defined(__aarch64__)
  groups<6, 1>(task);
#else
  groups<2, 1>(task);
#endif
}

void winograd_output(const WinogradOutput& task) {
  alignas(64) float edge[kOutputs * kOutputs * kBlock];
  for (int i = 0; i < task.tiles; ++i) {
    const float* points = task.points + static_cast<long>(i) * kBlock;
    const int left = task.columns - i * kOutputs, columns = left < kOutputs ? left : kOutputs;
    float* out = task.out + static_cast<long>(i) * kOutputs * kBlock;
    const bool whole = task.rows == kOutputs && columns == kOutputs;
    tile_from_points(points, task.point, whole ? out : edge, whole ? task.row : kOutputs * kBlock);
    if (whole) continue;
    for (int y = 0; y < task.rows; ++y)
      for (long x = 0; x < static_cast<long>(columns) * kBlock; x += kLanes)
        store(out + y * task.row + x, load(edge + y * kOutputs * kBlock + x));
  }
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
