// Dense convolution: output blocks of a panel at some pixels, summed over all input channels and taps in registers.
//
// Loop order: tiles of pixels; then input block, tap, channel within the block; innermost the tile, one multiply-add
// per pixel and vector. A channel's weights for the whole panel are loaded once and used by every pixel of the tile,
// each pixel's input is broadcast once and used by every vector of the panel. After kPartialSum products or so, the
// sums go to the outputs and begin again from zero.
//
// Tile: 6 pixels x 4 blocks with AVX-512 (24 accumulators, 4 weights of 32 registers), 6 x 2 vectors (one block) with
// AVX2, 6 x 4 with NEON, 2 x 4 with SSE; narrower panels take more pixels, so that enough independent sums are in
// flight to hide the latency of the multiply-add. Pixels are given by offset, so a tile may run over the end of a row,
// and any stride, dilation, kernel size, number of axes and the adjoint are the same loop over another list of taps.
//
// Where signs choose the weights, both of a channel are loaded for the tile. Those of the source choose for a pixel,
// those of the target lane by lane: 7 pixels x 1 block with AVX-512, as each takes a mask register, of which there
// are 7. Elsewhere choosing costs more than the multiply-add that it saves: a tile is computed with either weight, and
// where the second one is chosen, its sum replaces the first.
#include "ahead.h"
#include "partial.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

// What tiles are to fetch for later tasks and steps: with each input block a share of the weights, and of the inputs.
struct Next {
  Fetching<> weights, input, upcoming;
  Fetching<true> output;
};

template <Choice C>
constexpr int kChoices = C == Choice::none ? 1 : 2;  // weights of a channel

// Whether a tile is computed with either weight of a channel.
template <Choice C>
constexpr bool kEither = C == Choice::by_target && kLanes < kBlock;

// What the channels of one block and tap add to the sums of a tile.
template <int Pixels, int Width, Choice C>
[[gnu::always_inline]] inline void add_channels(const float* x, const float* w, int channels, const long* in,
                                                const vec (&signs)[Pixels][Width], vec (&sums)[Pixels][Width]) {
#pragma GCC unroll 1
  for (int k = 0; k < channels; ++k, ++x, w += Width * kLanes * kChoices<C>) {
    vec row[Width], other[Width];
#pragma GCC unroll 16
    for (int q = 0; q < Width; ++q) row[q] = load(w + q * kLanes);
    if constexpr (C != Choice::none && !kEither<C>)
#pragma GCC unroll 16
      for (int q = 0; q < Width; ++q) other[q] = load(w + (Width + q) * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < Pixels; ++i) {
      const vec value = splat(x[in[i]]);
#pragma GCC unroll 16
      for (int q = 0; q < Width; ++q)
        if constexpr (C == Choice::none || kEither<C>)
          sums[i][q] += value * row[q];
        else
          sums[i][q] += value * ((C == Choice::by_source ? value : signs[i][q]) > 0 ? row[q] : other[q]);
    }
  }
}

template <int Pixels, int Panel, Choice C>
void tile(const ConvolutionTask& task, const long* in, const long* out, const long* sign_pixels, bool second,
          Next& next) {
  constexpr int kWidth = Panel * kVectors, kRow = Panel * kBlock * kChoices<C>;
  const int together = partial_blocks(task.tap_count);
  const float *block = task.input, *weights = task.weights + (second ? kRow / 2 : 0);
  for (int q = 0; q < Panel; ++q) next.output.fetch(q * task.destination.block);
  next.output.move_on();
  const auto sign = [&](int i, int q) {
    return load(task.signs + q / kVectors * task.sign_block + sign_pixels[i] + q % kVectors * kLanes);
  };
  vec signs[Pixels][kWidth];
  if constexpr (C == Choice::by_target && !kEither<C>)
    for (int i = 0; i < Pixels; ++i)
      for (int q = 0; q < kWidth; ++q) signs[i][q] = sign(i, q);
  for (int first = 0; first < task.blocks; first += together) {
    const int past = first + together < task.blocks ? first + together : task.blocks;
    vec sums[Pixels][kWidth]{};
    for (int b = first; b < past; ++b, block += task.input_block) {
      const int channels = b + 1 < task.blocks ? kBlock : task.last_channels;
      const long tap_floats = static_cast<long>(channels) * kRow;
      next.weights.fetch_and_move_on();
      next.upcoming.fetch_and_move_on();
      next.input.fetch(b * task.input_block);
      for (int t = 0; t < task.tap_count; ++t)
        add_channels<Pixels, kWidth, C>(block + task.taps[t].input, weights + task.taps[t].index * tap_floats, channels,
                                        in, signs, sums);
      weights += task.kernel_taps * tap_floats;
    }
#pragma GCC unroll 8
    for (int i = 0; i < Pixels; ++i)
#pragma GCC unroll 16
      for (int q = 0; q < kWidth; ++q) {
        float* to = task.output + q / kVectors * task.output_block + out[i] + q % kVectors * kLanes;
        if constexpr (kEither<C>)
          if (second) {
            const vec sum = sums[i][q] + (first == 0 ? vec{} : load(to));
            store(to, sign(i, q) > 0 ? load(to) : sum);
            continue;
          }
        put_partial(to, sums[i][q], first == 0);
      }
  }
  next.input.move_on();
}

// Full tiles of `Pixels`, then ever smaller ones for the rest.
template <int Pixels, int Panel, Choice C>
void tiles(const ConvolutionTask& task, const long* in, const long* out, const long* sign_pixels, int count,
           Next& next) {
  for (; count >= Pixels; count -= Pixels, in += Pixels, out += Pixels) {
    tile<Pixels, Panel, C>(task, in, out, sign_pixels, false, next);
    if constexpr (kEither<C>) tile<Pixels, Panel, C>(task, in, out, sign_pixels, true, next);
    if constexpr (C == Choice::by_target) sign_pixels += Pixels;
  }
  if constexpr (Pixels > 1) {
    if (count > 0) tiles<Pixels - 1, Panel, C>(task, in, out, sign_pixels, count, next);
  }
}

// Pixels of a tile.
constexpr int tile_pixels([[maybe_unused]] int panel, Choice choice) {
#if defined(__AVX512F__)
  return panel == 4 ? 6 : choice == Choice::by_target || (panel == 3 && choice == Choice::by_source) ? 7 : 8;
#elif defined(__AVX2__) || defined(__aarch64__)
  return choice == Choice::by_source ? 4 : 6;
#else
  return choice == Choice::by_source ? 1 : 2;
#endif
}

template <int Panel, Choice C>
void panel_of(const ConvolutionTask& task) {
  constexpr int kPixels = tile_pixels(Panel, C);
  const long count = (task.pixels + kPixels - 1) / kPixels * (kEither<C> ? 2 : 1);
  Next next{{task.next_weights, count * task.blocks},
            {task.next_input, count},
            {task.upcoming, count * task.blocks},
            {task.destination.rows, count}};
  tiles<kPixels, Panel, C>(task, task.input_pixels, task.output_pixels, task.sign_pixels, task.pixels, next);
}

template <Choice C>
void panels(const ConvolutionTask& task) {
  switch (task.panel) {
#if defined(__AVX512F__)
    case 4:
      if constexpr (C == Choice::none) return panel_of<4, C>(task);
    case 3:
      if constexpr (C != Choice::by_target) return panel_of<3, C>(task);
    case 2:
      if constexpr (C != Choice::by_target) return panel_of<2, C>(task);
#endif
    default:
      return panel_of<1, C>(task);
  }
}

}  // namespace

void convolve(const ConvolutionTask& task) {
  switch (task.choice) {
    case Choice::none:
      return panels<Choice::none>(task);
    case Choice::by_source:
      return panels<Choice::by_source>(task);
    case Choice::by_target:
      return panels<Choice::by_target>(task);
  }
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
