// The way back through a convolution to an image of few channels, for relevance that is mostly zero, as behind a max
// pool: each pixel's channels that are not zero add up to the patch of the image that the kernel sees from there, and
// patches to the image.
//
// Loop order: pixels of a row; groups of vectors of the patch; then the channels that are not zero; innermost the
// group, one multiply-add each, with the weight read from memory. An image pixel holds its few channels side by side,
// so a row of a patch is one run of floats, and no lane is wasted but those behind its end, whose weights are zero.
//
// Tile: 24 vectors of a patch with AVX-512 (7 rows of 7 pixels with 6 channels take 21), 12 elsewhere: as many sums as
// there are registers for. They stay there for all channels of a visit, and are added to the image once.
#include "visit.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kMost = 24;
#else
constexpr int kMost = 12;
#endif

inline void add_loose(float* to, vec v) { *reinterpret_cast<loose_vec*>(to) = load_loose(to) + v; }

// Vectors [from, from + Width) of the patch.
template <int Width>
void add(const PatchTask& task, const Visit& visit, float* image, int from) {
  vec sums[Width];
  for (int i = 0; i < Width; ++i) sums[i] = vec{};
  const float* weights = task.weights + from * kLanes;
  for (uint64_t left = visit.nonzero; left != 0; left &= left - 1) {
    const long channel = __builtin_ctzll(left);
    const vec value = splat(visit.values[channel]);
    const float* of_channel = weights + channel * task.channel;
#pragma GCC unroll 24
    for (int i = 0; i < Width; ++i) sums[i] += value * load(of_channel + i * kLanes);
  }
  const int in_row = task.width * kVectors;
  float* line = image + from / in_row * task.row;
  int column = from % in_row;
#pragma GCC unroll 24
  for (int i = 0; i < Width; ++i) {
    add_loose(line + column * kLanes, sums[i]);
    if (++column == in_row) {
      column = 0;
      line += task.row;
    }
  }
}

// The last group, of `left` vectors.
template <int Width>
void add_rest(const PatchTask& task, const Visit& visit, float* image, int from, int left) {
  if (left == Width) return add<Width>(task, visit, image, from);
  if constexpr (Width > 1) add_rest<Width - 1>(task, visit, image, from, left);
}

}  // namespace

void patch(const PatchTask& task) {
  const int vectors = task.rows * task.width * kVectors;
  Visit visits[2];
  visits[0].read(task.input_block, task.blocks, task.input);
  for (int x = 0; x < task.columns; ++x) {
    if (x + 1 < task.columns)
      visits[(x + 1) % 2].read(task.input_block, task.blocks, task.input + (x + 1) * task.input_column);
    const Visit& visit = visits[x % 2];
    if (visit.nonzero == 0) continue;
    float* image = task.image + x * task.column;
    int from = 0;
    for (; vectors - from > kMost; from += kMost) add<kMost>(task, visit, image, from);
    add_rest<kMost>(task, visit, image, from, vectors - from);
  }
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
