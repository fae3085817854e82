#include "convolution.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "dispatch.h"
#include "parallel.h"

namespace lrpfast {
namespace {

int blocks_of(int channels) { return (channels + kBlock - 1) / kBlock; }

// Pixels on a grid of the target, each with a pixel of the source that its taps start from.
struct Grid {
  Size3 source_origin, source_step, target_origin, target_step, count;
  std::vector<Tap> taps;

  long pixels() const { return static_cast<long>(count[0]) * count[1] * count[2]; }
};

std::int64_t offset(const Tensor& tensor, int plane, int row, int column) {
  return plane * tensor.plane_stride + row * tensor.row_stride + static_cast<std::int64_t>(column) * kBlock;
}

// The taps that one axis contributes: position of the first source element, and index of the tap.
struct AxisTap {
  int start, index;
};

void check_reach(const Tensor& source, int axis, int first, int last) {
  if (first >= -source.before[axis] && last < source.size[axis] + source.after[axis]) return;
  throw std::invalid_argument("convolve: taps reach from " + std::to_string(first) + " to " + std::to_string(last) +
                              " on axis " + std::to_string(axis) + " of a map of size " +
                              std::to_string(source.size[axis]) + ", beyond its halo");
}

std::vector<Tap> combine(const Tensor& source, const Size3& kernel, const std::vector<AxisTap> (&axes)[3]) {
  std::vector<Tap> taps;
  for (const AxisTap& d : axes[0])
    for (const AxisTap& h : axes[1])
      for (const AxisTap& w : axes[2])
        taps.push_back({static_cast<long>(offset(source, d.start, h.start, w.start)),
                        (static_cast<long>(d.index) * kernel[1] + h.index) * kernel[2] + w.index});
  return taps;
}

Grid forward_grid(const Window& window, const Tensor& source, const Tensor& target) {
  Grid grid{{}, window.strides, {}, {1, 1, 1}, target.size, {}};
  std::vector<AxisTap> axes[3];
  for (int axis = 0; axis < 3; ++axis) {
    for (int k = 0; k < window.kernel[axis]; ++k)
      axes[axis].push_back({k * window.dilations[axis] - window.before[axis], k});
    check_reach(source, axis, -window.before[axis],
                (target.size[axis] - 1) * window.strides[axis] + axes[axis].back().start);
  }
  grid.taps = combine(source, window.kernel, axes);
  return grid;
}

// With stride s the adjoint falls into s phases an axis: positions of the target that the same taps reach.
Grid adjoint_grid(const Window& window, const Tensor& source, const Tensor& target, const Size3& phase) {
  Grid grid{{}, {1, 1, 1}, phase, window.strides, {}, {}};
  std::vector<AxisTap> axes[3];
  for (int axis = 0; axis < 3; ++axis) {
    const int stride = window.strides[axis];
    grid.count[axis] = (target.size[axis] - phase[axis] + stride - 1) / stride;
    for (int k = 0; k < window.kernel[axis]; ++k) {
      const int start = phase[axis] + window.before[axis] - k * window.dilations[axis];
      if (start % stride != 0) continue;
      axes[axis].push_back({start / stride, k});
      check_reach(source, axis, start / stride, start / stride + grid.count[axis] - 1);
    }
  }
  grid.taps = combine(source, window.kernel, axes);
  return grid;
}

// Offsets of the pixels [begin, begin + count) of the grid in source and target.
void list_pixels(const Grid& grid, const Tensor& source, const Tensor& target, long begin, int count,
                 std::vector<long>& in, std::vector<long>& out) {
  in.resize(count);
  out.resize(count);
  int w = static_cast<int>(begin % grid.count[2]);
  int h = static_cast<int>(begin / grid.count[2] % grid.count[1]);
  int d = static_cast<int>(begin / grid.count[2] / grid.count[1]);
  for (int i = 0; i < count; ++i) {
    in[i] = offset(source, d * grid.source_step[0], h * grid.source_step[1], w * grid.source_step[2]);
    out[i] = offset(target, grid.target_origin[0] + d * grid.target_step[0],
                    grid.target_origin[1] + h * grid.target_step[1], grid.target_origin[2] + w * grid.target_step[2]);
    if (++w < grid.count[2]) continue;
    w = 0;
    if (++h < grid.count[1]) continue;
    h = 0;
    ++d;
  }
}

// A task is a panel of weights at a chunk of pixels of a sample. Chunks are as long as their input fits the second
// level cache beside a panel. Small weights stay in the cache while the chunks go by, so panels vary fastest; large
// ones are streamed, so all chunks use a panel before the next one comes.
void run(const PackedWeights& weights, const Grid& grid, const Tensor& source, const Tensor& target, const float* bias,
         bool accumulate, int threads) {
  constexpr long kChunkFloats = 48 * 1024;
  constexpr std::int64_t kCachedFloats = 160 * 1024;
  const KernelTable& table = kernels();
  const int depth = weights.depthwise ? kBlock : weights.panels[0].input_blocks * kBlock;
  const long length = std::max<long>(96, kChunkFloats / depth);
  const long chunks = (grid.pixels() + length - 1) / length;
  const long panels = weights.depthwise ? target.blocks : static_cast<long>(weights.panels.size());
  const bool panels_first = weights.floats() <= kCachedFloats;
  const double passes =
      weights.depthwise ? target.blocks : static_cast<double>(weights.floats()) / kBlock / weights.taps;
  const double work =
      passes * static_cast<double>(grid.taps.size()) * static_cast<double>(grid.pixels()) * target.samples;
  parallel_for(threads, target.samples * chunks * panels, work, [&](long task) {
    const long panel = panels_first ? task % panels : task / (chunks * target.samples);
    const long place = panels_first ? task / panels : task % (chunks * target.samples);
    const long sample = place / chunks, begin = place % chunks * length;
    const int count = static_cast<int>(std::min(length, grid.pixels() - begin));
    thread_local std::vector<long> in, out;
    list_pixels(grid, source, target, begin, count, in, out);
    const Tap* taps = grid.taps.data();
    const int tap_count = static_cast<int>(grid.taps.size());
    if (weights.depthwise) {
      table.depthwise({source.at(sample, panel), taps, tap_count, weights.data() + panel * weights.taps * kBlock,
                       bias ? bias + panel * kBlock : nullptr, accumulate, target.at(sample, panel), in.data(),
                       out.data(), count});
      return;
    }
    const PackedWeights::Panel& p = weights.panels[panel];
    table.convolve({source.at(sample, p.first_input_block), static_cast<long>(source.block_stride), p.input_blocks,
                    p.last_channels, taps, tap_count, weights.taps, weights.data() + p.offset, p.output_blocks,
                    bias ? bias + p.first_output_block * kBlock : nullptr, accumulate,
                    target.at(sample, p.first_output_block), static_cast<long>(target.block_stride), in.data(),
                    out.data(), count});
  });
}

}  // namespace

PackedWeights::PackedWeights(const float* weights, int outputs, int inputs_per_group, int taps_, int groups,
                             bool adjoint_)
    : taps(taps_), adjoint(adjoint_) {
  if (outputs < 1 || inputs_per_group < 1 || taps < 1 || groups < 1 || outputs % groups != 0)
    throw std::invalid_argument("weights whose channels do not divide into their groups");
  const int inputs = inputs_per_group * groups;
  source_channels = adjoint ? outputs : inputs;
  target_channels = adjoint ? inputs : outputs;
  depthwise = groups > 1 && inputs == groups && outputs == groups;
  if (depthwise)
    pack_depthwise(weights);
  else
    pack_panels(weights, outputs, inputs_per_group, groups);
}

void PackedWeights::pack_depthwise(const float* weights) {
  floats_ = static_cast<std::int64_t>(blocks_of(target_channels)) * taps * kBlock;
  memory_ = pool_.take(floats_);
  for (int block = 0; block < blocks_of(target_channels); ++block)
    for (int tap = 0; tap < taps; ++tap)
      for (int lane = 0; lane < kBlock; ++lane) {
        const int channel = block * kBlock + lane;
        memory_.get()[(static_cast<std::int64_t>(block) * taps + tap) * kBlock + lane] =
            channel < target_channels ? weights[static_cast<std::int64_t>(channel) * taps + tap] : 0.0f;
      }
}

void PackedWeights::pack_panels(const float* weights, int outputs, int inputs_per_group, int groups) {
  const int target_group = target_channels / groups, source_group = source_channels / groups;
  const int blocks = blocks_of(target_channels);
  // Narrow panels for groups, so that a panel does not multiply by the zeros between them.
  const int widest = groups == 1 ? kernels().max_panel : std::clamp(target_group / kBlock, 1, kernels().max_panel);
  const int count = (blocks + widest - 1) / widest;
  for (int i = 0; i < count; ++i) {
    const int begin = static_cast<int>(static_cast<std::int64_t>(blocks) * i / count);
    const int end = static_cast<int>(static_cast<std::int64_t>(blocks) * (i + 1) / count);
    const int first_group = begin * kBlock / target_group;
    const int last_group = (std::min(end * kBlock, target_channels) - 1) / target_group;
    const int first_source = first_group * source_group, past_source = (last_group + 1) * source_group;
    const int first_block = first_source / kBlock, input_blocks = blocks_of(past_source) - first_block;
    const int last_channels = past_source - (first_block + input_blocks - 1) * kBlock;
    panels.push_back({begin, end - begin, first_block, input_blocks, last_channels, floats_});
    const std::int64_t channels = (input_blocks - 1) * kBlock + last_channels;
    floats_ += channels * taps * (end - begin) * kBlock;
  }
  memory_ = pool_.take(floats_);
  float* packed = memory_.get();
  for (const Panel& panel : panels)
    for (int block = 0; block < panel.input_blocks; ++block) {
      const int channels = block + 1 < panel.input_blocks ? kBlock : panel.last_channels;
      for (int tap = 0; tap < taps; ++tap)
        for (int k = 0; k < channels; ++k)
          for (int lane = 0; lane < panel.output_blocks * kBlock; ++lane) {
            const int source = (panel.first_input_block + block) * kBlock + k;
            const int target = panel.first_output_block * kBlock + lane;
            const bool linked = target < target_channels && source / source_group == target / target_group;
            const int output = adjoint ? source : target, input = adjoint ? target : source;
            *packed++ =
                linked
                    ? weights[(static_cast<std::int64_t>(output) * inputs_per_group + input % inputs_per_group) * taps +
                              tap]
                    : 0.0f;
          }
    }
  (void)outputs;
}

void convolve(const PackedWeights& weights, const Window& window, const Tensor& source, const Tensor& target,
              const float* bias, bool accumulate, int threads) {
  const std::int64_t taps = static_cast<std::int64_t>(window.kernel[0]) * window.kernel[1] * window.kernel[2];
  if (source.channels != weights.source_channels || target.channels != weights.target_channels ||
      source.samples != target.samples || taps != weights.taps)
    throw std::invalid_argument("convolve: weights from " + std::to_string(weights.source_channels) + " to " +
                                std::to_string(weights.target_channels) + " channels, but maps with " +
                                std::to_string(source.channels) + " and " + std::to_string(target.channels));
  for (int axis = 0; axis < 3; ++axis)
    if (window.kernel[axis] < 1 || window.strides[axis] < 1 || window.dilations[axis] < 1)
      throw std::invalid_argument("convolve: kernel, strides and dilations must be 1 or more");
  if (!weights.adjoint) {
    run(weights, forward_grid(window, source, target), source, target, bias, accumulate, threads);
    return;
  }
  Size3 phase;
  for (phase[0] = 0; phase[0] < std::min(window.strides[0], target.size[0]); ++phase[0])
    for (phase[1] = 0; phase[1] < std::min(window.strides[1], target.size[1]); ++phase[1])
      for (phase[2] = 0; phase[2] < std::min(window.strides[2], target.size[2]); ++phase[2])
        run(weights, adjoint_grid(window, source, target, phase), source, target, bias, accumulate, threads);
}

}  // namespace lrpfast
