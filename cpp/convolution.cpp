#include "convolution.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "dispatch.h"
#include "parallel.h"
#include "strips.h"

namespace lrpfast {
namespace {

// Outputs that the same taps make: positions first, first + step, ... on each axis. The one that lies i steps on starts
// its taps i source steps into the source.
struct Phase {
  Size3 first, step, source_step;
  std::vector<Tap> taps;
  int run = 1;  // so many taps after each other lie side by side in the source
};

// The longest run that the kernel for depthwise convolutions knows. It needs pixels that lie side by side, too.
int depthwise_run(const Phase& phase, std::size_t taps_of_row) {
  if (phase.source_step[2] != 1 || phase.taps.size() < 2 || phase.taps[1].input - phase.taps[0].input != kBlock)
    return 1;
  for (const int run : {7, 5, 4, 3, 2})
    if (taps_of_row % run == 0) return run;
  return 1;
}

std::int64_t offset(const Tensor& tensor, int plane, int row, int column) {
  return plane * tensor.plane_stride + row * tensor.row_stride + column * tensor.column_stride;
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

Phase forward_phase(const Window& window, const Tensor& source, const Size3& size) {
  Phase phase{{}, {1, 1, 1}, window.strides, {}};
  std::vector<AxisTap> axes[3];
  for (int axis = 0; axis < 3; ++axis) {
    for (int k = 0; k < window.kernel[axis]; ++k)
      axes[axis].push_back({k * window.dilations[axis] - window.before[axis], k});
    check_reach(source, axis, -window.before[axis], (size[axis] - 1) * window.strides[axis] + axes[axis].back().start);
  }
  phase.taps = combine(source, window.kernel, axes);
  phase.run = depthwise_run(phase, axes[2].size());
  return phase;
}

// One of the phases of an adjoint: with stride s there are s of them on an axis.
Phase adjoint_phase(const Window& window, const Tensor& source, const Size3& size, const Size3& first) {
  Phase phase{first, window.strides, {1, 1, 1}, {}};
  std::vector<AxisTap> axes[3];
  for (int axis = 0; axis < 3; ++axis) {
    const int stride = window.strides[axis], count = (size[axis] - first[axis] + stride - 1) / stride;
    for (int k = window.kernel[axis] - 1; k >= 0; --k) {  // in the order of the source
      const int start = first[axis] + window.before[axis] - k * window.dilations[axis];
      if (start % stride != 0) continue;
      axes[axis].push_back({start / stride, k});
      check_reach(source, axis, start / stride, start / stride + count - 1);
    }
  }
  phase.taps = combine(source, window.kernel, axes);
  phase.run = depthwise_run(phase, axes[2].size());
  return phase;
}

std::vector<Phase> adjoint_phases(const Window& window, const Tensor& source, const Size3& size) {
  std::vector<Phase> phases;
  Size3 first;
  for (first[0] = 0; first[0] < std::min(window.strides[0], size[0]); ++first[0])
    for (first[1] = 0; first[1] < std::min(window.strides[1], size[1]); ++first[1])
      for (first[2] = 0; first[2] < std::min(window.strides[2], size[2]); ++first[2])
        phases.push_back(adjoint_phase(window, source, size, first));
  return phases;
}

// Outputs of one phase in some rows of a plane, for one sample after the other: where their taps start in the source,
// from the first sample's source row `source_row` on, and where they go in memory [sample][row][column] of so many
// floats each; and where in the values that choose weights, if there are any.
struct Pixels {
  int source_row = 0, of_sample = 0, of_row = 0;
  std::vector<long> in, out, signs;

  Pixels(const Phase& phase, const Tensor& source, const Size3& size, int first, int rows, long samples, long floats,
         const Tensor* chooses) {
    const auto from = [&](int axis, int position) {
      return (position - phase.first[axis]) / phase.step[axis] * phase.source_step[axis];
    };
    int begin = 0;
    while (begin < rows && (first + begin) % phase.step[1] != phase.first[1]) ++begin;
    source_row = from(1, first + begin);
    for (long n = 0; n < samples; ++n)
      for (int h = begin; h < rows; h += phase.step[1]) {
        const std::int64_t line =
            n * source.sample_stride + (from(1, first + h) - source_row) * static_cast<std::int64_t>(source.row_stride);
        for (int w = phase.first[2]; w < size[2]; w += phase.step[2]) {
          in.push_back(static_cast<long>(line + from(2, w) * source.column_stride));
          out.push_back(((n * rows + h) * size[2] + w) * floats);
          if (chooses)
            signs.push_back(
                static_cast<long>(n * chooses->sample_stride + h * chooses->row_stride + w * std::int64_t{kBlock}));
        }
      }
    of_sample = static_cast<int>(static_cast<long>(in.size()) / samples);
    of_row = (size[2] - phase.first[2] + phase.step[2] - 1) / phase.step[2];
  }
};

// Rows of a plane, from `first` on.
struct Rows {
  int first, count;
};

// Their memory in one block.
Ahead memory_of(const Tensor& tensor, std::int64_t sample, int block, int plane, const Rows& rows) {
  return {tensor.row(sample, block, plane, rows.first),
          static_cast<long>((rows.count - 1) * tensor.row_stride + tensor.size[2] * tensor.column_stride)};
}

// The rows that outputs [first, past) of an axis are made from.
Rows rows_read(const Window& window, bool adjoint, int axis, int first, int past) {
  const int reach = (window.kernel[axis] - 1) * window.dilations[axis], stride = window.strides[axis];
  const int before = window.before[axis];
  if (!adjoint) return {first * stride - before, (past - 1 - first) * stride + reach + 1};
  const auto down = [stride](int a) { return a >= 0 ? a / stride : -((stride - 1 - a) / stride); };
  const int begin = down(first + before - reach + stride - 1), last = down(past - 1 + before);
  return {begin, last - begin + 1};
}

// How the work is cut into tasks: panels of output blocks, groups of samples, and rows of a plane.
//
// A task's input should stay in the second level cache beside a panel of weights, its outputs in the first level until
// the epilogue has taken them; and there should be several tasks for the threads of a small map. Small maps take
// several samples together, so that weights are read once for all of them. None of this touches the order of a sum.
struct Division {
  long samples_together;
  int panels, planes;
  Strips chunks;      // of a plane
  bool panels_first;  // panels vary fastest: for weights that stay in the cache

  Division(const PackedWeights& weights, const Epilogue& epilogue) : chunks{epilogue.size[1], epilogue.row_step, 1} {
    constexpr int kChunkFloats = 48 * 1024;
    constexpr std::int64_t kCachedFloats = 160 * 1024;
    constexpr int kTasks = 12, kFewestPixels = 24;  // of a chunk that is made smaller to have as many tasks
    const bool dense = weights.form == Form::dense;
    const int depth = dense ? weights.panels[0].input_blocks * kBlock : kBlock;
    const int of_plane = epilogue.size[1] * epilogue.size[2], pixels = std::clamp(kChunkFloats / depth, 96, 256);
    panels = dense ? static_cast<int>(weights.panels.size()) : weights.form == Form::narrow ? 1 : epilogue.blocks();
    int wanted = std::max(1, of_plane / pixels);
    if (wanted * panels < kTasks) wanted = std::clamp(of_plane / kFewestPixels, wanted, quotient_up(kTasks, panels));
    const int steps = quotient_up(chunks.height, chunks.step);
    chunks.count = quotient_up(steps, quotient_up(steps, wanted));  // the fewest that are no longer
    planes = epilogue.size[0];
    const long of_sample = static_cast<long>(planes) * of_plane;
    // Of samples that share what chooses their weights, each begins in another place of it than its pixels.
    const bool shared = weights.choice == Choice::by_target && epilogue.factors()->samples < epilogue.maps;
    samples_together = shared || chunks.count * planes > 1 ? 1 : std::clamp<long>(96 / of_sample, 1, epilogue.maps);
    panels_first = weights.form != Form::depthwise && weights.floats() <= kCachedFloats;
  }
  long places(int samples) const { return (samples + samples_together - 1) / samples_together * planes * chunks.count; }

  // The part of the work that a task does: a chunk of a plane for a panel, from the sample `sample` on.
  struct Piece {
    int panel, chunk, plane;
    long sample;
  };
  Piece piece(long task, long places) const {
    const long place = panels_first ? task / panels : task % places;
    return {static_cast<int>(panels_first ? task % panels : task / places), static_cast<int>(place % chunks.count),
            static_cast<int>(place / chunks.count % planes), place / chunks.count / planes * samples_together};
  }
};

class Convolution {
 public:
  Convolution(std::shared_ptr<const PackedWeights> weights, const Window& window, const Tensor& source,
              std::shared_ptr<Epilogue> epilogue)
      : weights_(std::move(weights)),
        source_(source.borrowed()),
        epilogue_(std::move(epilogue)),
        phases_(weights_->adjoint ? adjoint_phases(window, source, epilogue_->size)
                                  : std::vector<Phase>{forward_phase(window, source, epilogue_->size)}),
        division_(*weights_, *epilogue_),
        pixel_(epilogue_->planes() > 0 ? 1 : kBlock) {
    const bool flat = source_.size[0] == 1 && epilogue_->size[0] == 1;
    if (flat && division_.samples_together == 1) find_fresh_rows(window);
    for (const Phase& phase : phases_)
      for (int chunk = 0; chunk < division_.chunks.count; ++chunk) pixels_.push_back(pixels_of(phase, chunk));
  }

  void run(int threads, int first, int count, const Ahead& upcoming) const {
    const long places = division_.places(count), tasks = places * division_.panels;
    parallel_for(threads, tasks, work(count),
                 [&](long task) { run(task, places, first, count, share_of(upcoming, task, tasks)); });
  }

  // Those of other forms are few.
  Ahead weights() const {
    return {weights_->form == Form::dense ? weights_->data() : nullptr, static_cast<long>(weights_->floats())};
  }

 private:
  enum Drawer { kOutputs = 4 };

  // Multiply-adds of vectors.
  double work(int samples) const {
    double taps = 0, phases = static_cast<double>(phases_.size());
    for (const Phase& phase : phases_) taps += static_cast<double>(phase.taps.size()) / phases;
    const double pixels = static_cast<double>(epilogue_->size[0]) * epilogue_->size[1] * epilogue_->size[2];
    const double passes = static_cast<double>(weights_->floats()) / kBlock / weights_->taps;
    return (passes * taps + kPassing * epilogue_->blocks()) * pixels * samples;
  }

  // One of the tasks for samples [first_sample, first_sample + count).
  void run(long task, long places, int first_sample, int count, Ahead upcoming) const {
    const Division::Piece piece = division_.piece(task, places);
    const auto [panel, chunk, plane, done] = piece;
    const long sample = first_sample + done, samples = std::min<long>(division_.samples_together, count - done);
    const int first = division_.chunks.first(chunk), rows = division_.chunks.rows(chunk);
    const long line = epilogue_->size[2] * pixel_, map = rows * line;
    const bool dense = weights_->form == Form::dense;
    const int first_block = dense ? weights_->panels[panel].first_output_block : panel;
    const int blocks = dense ? weights_->panels[panel].output_blocks : epilogue_->blocks() / division_.panels;
    const int of_block = std::max(epilogue_->planes(), 1), maps = blocks * of_block;
    Ahead next_input{};
    if (task + 1 < places * division_.panels)
      next_input = fresh_rows(first_sample, division_.piece(task + 1, places), piece);
    const float* signs = chooses() == nullptr ? nullptr : epilogue_->factor_rows(sample, first_block, plane, first).at;
    float* values = scratch(kOutputs, static_cast<std::size_t>(maps) * samples * map);
    if (epilogue_->planes() > 0 && static_cast<int>(weights_->targets.size()) < maps)
      std::fill_n(values, maps * samples * map, 0.0f);
    for (std::size_t p = 0; p < phases_.size(); ++p) {
      if (plane % phases_[p].step[0] != phases_[p].first[0]) continue;
      const Place& at = pixels_[p * division_.chunks.count + chunk];
      if (at.pixels->of_sample == 0) continue;
      const int source_plane = (plane - phases_[p].first[0]) / phases_[p].step[0] * phases_[p].source_step[0];
      const std::int64_t begin = offset(source_, source_plane, at.source_row, 0) + sample * source_.sample_stride;
      const bool at_once = phases_.size() == 1 && samples == 1;
      compute(panel, begin, phases_[p], *at.pixels, static_cast<int>(samples) * at.pixels->of_sample, values,
              samples * map, signs, next_input, upcoming,
              at_once ? destination_of({sample, first_block, plane, first, rows, nullptr, 0}) : Destination{});
      next_input = upcoming = {};
    }
    for (int i = 0; i < maps; ++i)
      for (long n = 0; n < samples; ++n)
        epilogue_->take({sample + n, first_block + i / of_block, plane + i % of_block, first, rows,
                         values + (i * samples + n) * map, line});
  }

  // Where the epilogue will write a stretch of the map, as far as it says.
  Destination destination_of(const Stretch& stretch) const {
    const Tensor* to = epilogue_->destination();
    if (to == nullptr) return {};
    return {memory_of(*to, stretch.sample, stretch.block, stretch.plane, {stretch.first_row, stretch.rows}),
            static_cast<long>(to->block_stride)};
  }

  // Of each chunk, the rows of the source that no chunk before reads.
  void find_fresh_rows(const Window& window) {
    int done = -source_.before[1];
    for (int chunk = 0; chunk < division_.chunks.count; ++chunk) {
      const int first = division_.chunks.first(chunk), past = division_.chunks.first(chunk + 1);
      const Rows read = rows_read(window, weights_->adjoint, 1, first, past);
      const int begin = std::max(read.first, done);
      const int end = std::max(begin, std::min(read.first + read.count, source_.size[1] + source_.after[1]));
      fresh_.push_back({begin, end - begin});
      done = end;
    }
  }

  // What a piece of the work, and not the last one, reads of its first block of the source.
  Ahead fresh_rows(int first_sample, const Division::Piece& piece, const Division::Piece& last) const {
    const int block = source_block(piece.panel);
    const bool same = piece.chunk == last.chunk && piece.sample == last.sample && block == source_block(last.panel);
    if (fresh_.empty() || same) return {};
    const Rows& rows = fresh_[piece.chunk];
    return rows.count == 0 ? Ahead{} : memory_of(source_, first_sample + piece.sample, block, 0, rows);
  }

  // The first block of the source that a panel reads.
  int source_block(int panel) const {
    if (weights_->form == Form::dense) return weights_->panels[panel].first_input_block;
    return weights_->form == Form::depthwise ? panel : 0;
  }

  // The values that choose weights; null if none do.
  const Tensor* chooses() const { return weights_->choice == Choice::by_target ? epilogue_->factors() : nullptr; }

  // The pixels of a chunk in a phase. Chunks of the same shape share the list.
  struct Place {
    int source_row;
    std::shared_ptr<const Pixels> pixels;
  };

  Place pixels_of(const Phase& phase, int chunk) {
    const int first = division_.chunks.first(chunk), rows = division_.chunks.rows(chunk);
    const auto pixels = std::make_shared<const Pixels>(phase, source_, epilogue_->size, first, rows,
                                                       division_.samples_together, pixel_, chooses());
    for (const Place& other : pixels_)
      if (other.pixels->in == pixels->in && other.pixels->out == pixels->out) return {pixels->source_row, other.pixels};
    return {pixels->source_row, pixels};
  }

  // `begin` is the source's element that the pixels count from, `map` the floats from one map of values to the next.
  void compute(int panel, std::int64_t begin, const Phase& phase, const Pixels& pixels, int count, float* values,
               long map, const float* signs, const Ahead& next_input, const Ahead& upcoming,
               const Destination& destination) const {
    const Tap* taps = phase.taps.data();
    const int tap_count = static_cast<int>(phase.taps.size());
    const long *in = pixels.in.data(), *out = pixels.out.data();
    switch (weights_->form) {
      case Form::narrow: {
        NarrowTask task{source_.at(0, 0) + begin,
                        static_cast<long>(source_.block_stride),
                        source_.blocks,
                        taps,
                        tap_count,
                        weights_->taps,
                        weights_->data(),
                        static_cast<int>(weights_->targets.size()),
                        {},
                        next_input,
                        values,
                        map,
                        epilogue_->planes() > 0 ? 0 : epilogue_->blocks(),
                        in,
                        out,
                        count};
        for (int t = 0; t < task.targets; ++t) {
          const int block = weights_->targets[t] / kBlock, lane = weights_->targets[t] % kBlock;
          task.target[t] = epilogue_->planes() > 0 ? (block * epilogue_->planes() + lane) * map : block * map + lane;
        }
        kernels().narrow(task);
        return;
      }
      case Form::depthwise: {
        const float* of_block = weights_->data() + static_cast<std::int64_t>(panel) * weights_->taps * kBlock;
        kernels().depthwise({source_.at(0, panel) + begin, taps, tap_count, phase.run, pixels.of_row, of_block,
                             next_input, upcoming, destination, values, in, out, count});
        return;
      }
      case Form::dense: {
        const PackedWeights::Panel& p = weights_->panels[panel];
        const bool streamed = !division_.panels_first && panel + 1 < static_cast<int>(weights_->panels.size());
        Ahead next_weights{};
        if (streamed) {
          const std::int64_t next = weights_->panels[panel + 1].offset;
          next_weights = {weights_->data() + next, static_cast<long>(next - p.offset)};  // as many as of this one
        }
        kernels().convolve({source_.at(0, p.first_input_block) + begin,
                            static_cast<long>(source_.block_stride),
                            p.input_blocks,
                            p.last_channels,
                            taps,
                            tap_count,
                            weights_->taps,
                            weights_->data() + p.offset,
                            weights_->choice,
                            signs,
                            chooses() ? static_cast<long>(chooses()->block_stride) : 0,
                            pixels.signs.data(),
                            p.output_blocks,
                            next_weights,
                            next_input,
                            upcoming,
                            destination,
                            values,
                            map,
                            in,
                            out,
                            count});
        return;
      }
    }
  }

  const std::shared_ptr<const PackedWeights> weights_;
  const Tensor source_;
  const std::shared_ptr<Epilogue> epilogue_;
  const std::vector<Phase> phases_;
  const Division division_;
  const long pixel_;           // floats of a pixel of the values
  std::vector<Place> pixels_;  // [phase][chunk]
  std::vector<Rows> fresh_;    // [chunk]; none where a task has several planes or samples
};

}  // namespace

BatchStep convolve(std::shared_ptr<const PackedWeights> weights, const Window& window, const Tensor& source,
                   std::shared_ptr<Epilogue> epilogue) {
  const std::int64_t taps = static_cast<std::int64_t>(window.kernel[0]) * window.kernel[1] * window.kernel[2];
  if (taps != weights->taps)
    throw std::invalid_argument("convolve: a window of " + std::to_string(taps) + " taps, but weights of " +
                                std::to_string(weights->taps));
  const bool narrow = weights->form == Form::narrow;
  check_maps("convolve", weights->source_channels, weights->target_channels, source, *epilogue,
             narrow ? blocks_of(weights->target_channels) : 1, narrow);
  check_choice("convolve", *weights, *epilogue);
  for (int axis = 0; axis < 3; ++axis)
    if (window.kernel[axis] < 1 || window.strides[axis] < 1 || window.dilations[axis] < 1)
      throw std::invalid_argument("convolve: kernel, strides and dilations must be 1 or more");
  const auto convolution = std::make_shared<const Convolution>(std::move(weights), window, source, std::move(epilogue));
  return {source.samples,
          [convolution](int threads, int first, int count, const Ahead& upcoming) {
            convolution->run(threads, first, count, upcoming);
          },
          [convolution] { return convolution->weights(); }};
}

}  // namespace lrpfast
