#include "skip.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "dispatch.h"
#include "parallel.h"
#include "strips.h"

namespace lrpfast {
namespace {

enum Drawer { kSums = 11 };

const Window kSinglePixels{{1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}};

// For each group of a rule, what the weights are multiplied with that have the sign of what the epilogue multiplies
// with, and the others. None: they are taken as they are.
using SignFactors = std::vector<std::pair<float, float>>;

int widest_panel(int side) { return side == 1 ? 2 * kernels().skip_panel : kernels().skip_panel; }

// How the work is cut into tasks: a panel of output blocks, a strip of rows, a sample.
//
// Each strip reads its panel's weights anew. Over many pixels that costs little, and short strips leave their sums in
// the cache; of a small map there are as few as give every thread as much to do. Strips are made of pieces, which the
// epilogue takes one by one: they depend on the shapes alone, as the order of its sums does.
struct Division {
  Strips pieces;
  int panels, fewest;  // strips of a map
  bool cached;         // the weights stay in the second level cache: panels vary fastest, nothing is fetched ahead

  Division(const SkipWeights& weights, const Epilogue& epilogue)
      : pieces{epilogue.size[1], epilogue.row_step, 1}, panels(weights.panels), fewest(1) {
    constexpr std::int64_t kCachedFloats = 160 * 1024;
    constexpr int kTasks = 16, kFewestPixels = 24, kMostPixels = 256;
    const int pixels = epilogue.size[1] * epilogue.size[2], steps = quotient_up(epilogue.size[1], epilogue.row_step);
    const auto cut = [steps](int& count, int wanted) {
      while (count < wanted && 2 * count <= steps) count *= 2;
    };
    cut(fewest, quotient_up(pixels, kMostPixels));
    pieces.count = fewest;
    cut(pieces.count, std::min(kTasks / panels, pixels / kFewestPixels));
    cached = weights.floats() <= kCachedFloats;
  }

  // For maps of so many samples; a divisor of the number of pieces.
  int strips(int threads, int samples) const {
    constexpr double kUneven = 7.0 / 6;  // what some threads may have more than others before it is worth it
    threads = std::max(threads, 1);
    for (int strips = fewest; strips < pieces.count; strips *= 2) {
      const long tasks = static_cast<long>(panels) * strips * samples, of_each = (tasks + threads - 1) / threads;
      if (static_cast<double>(of_each * threads) <= kUneven * static_cast<double>(tasks)) return strips;
    }
    return pieces.count;
  }
};

class Skip {
 public:
  Skip(std::shared_ptr<const SkipWeights> weights, const Window& window, const Tensor& source,
       std::shared_ptr<Epilogue> epilogue, SignFactors factors)
      : weights_(std::move(weights)),
        source_(source.borrowed()),
        epilogue_(std::move(epilogue)),
        factors_(std::move(factors)),
        source_blocks_(blocks_of(weights_->source_channels)),
        strides_{window.strides[1], window.strides[2]},
        before_{weights_->adjoint ? weights_->side - 1 - window.before[1] : window.before[1],
                weights_->adjoint ? weights_->side - 1 - window.before[2] : window.before[2]},
        columns_(weights_->side == 3 ? source.size[2] : epilogue_->size[2]),
        division_(*weights_, *epilogue_) {}

  void run(int threads, int first, int count, const Ahead& upcoming) const {
    const int strips = division_.strips(threads, count), each = division_.pieces.count / strips;
    const long places = static_cast<long>(count) * strips, tasks = places * weights_->panels;
    const double work = static_cast<double>(weights_->floats()) / kBlock * epilogue_->size[1] * columns_ * count;
    parallel_for(threads, tasks, work / kUsualShare, [&](long task) {
      const int panel = static_cast<int>(division_.cached ? task % weights_->panels : task / places);
      const long place = division_.cached ? task / weights_->panels : task % places;
      compute(panel, static_cast<int>(place % strips) * each, each, first + static_cast<int>(place / strips),
              share_of(upcoming, task, tasks));
    });
  }

  Ahead weights() const { return {weights_->at(0, 0, 0), static_cast<long>(weights_->floats())}; }

 private:
  static constexpr int kUsualShare = 4;  // of the inputs one in so many is not zero

  void compute(int panel, int first_piece, int pieces, int sample, const Ahead& upcoming) const {
    const int first = division_.pieces.first(first_piece), end = division_.pieces.first(first_piece + pieces);
    SkipTask task{};
    task.taps = weights_->side;
    task.input_block = static_cast<long>(source_.block_stride);
    task.input_column = static_cast<long>(strides_[1]) * kBlock;
    task.input_row = static_cast<long>(source_.row_stride) * strides_[0];
    task.columns = columns_;
    task.panel = weights_->first_block(panel + 1) - weights_->first_block(panel);
    task.sum_row = static_cast<long>(columns_ + task.taps - 1) * kBlock;
    task.sum_block = task.sum_row * (end - first);
    float* sums = scratch(kSums, static_cast<std::size_t>(task.panel) * task.sum_block);
    std::fill_n(sums, task.panel * task.sum_block, 0.0f);
    const int together = skip_blocks(task.taps), groups = quotient_up(source_blocks_, together);
    for (int group = 0; group < groups; ++group) {
      task.blocks = std::min(together, source_blocks_ - group * together);
      add(panel, sample, group, first, end, task, sums, share_of(upcoming, group, groups));
    }
    const int edge = task.taps - 1 - before_[1];  // columns to the left of the map
    for (int b = 0; b < task.panel; ++b)
      for (int piece = first_piece; piece < first_piece + pieces; ++piece) {
        const int y = division_.pieces.first(piece), block = weights_->first_block(panel) + b;
        const float* values = sums + b * task.sum_block + (y - first) * task.sum_row + edge * kBlock;
        epilogue_->take({sample, block, 0, y, division_.pieces.rows(piece), values, task.sum_row});
      }
  }

  // What a group of input blocks adds to the rows [first, end).
  void add(int panel, int sample, int group, int first, int end, SkipTask& task, float* sums,
           const Ahead& upcoming) const {
    const int block = group * skip_blocks(task.taps);
    const bool more = !division_.cached && has_visits(sample, block + task.blocks);
    for (int k = 0; k < task.taps; ++k) {
      // Of these, the rows for which the kernel row lies in the map; the only one always does.
      const int from = std::max(first, before_[0] - k);
      const int past = task.taps == 1 ? end : std::min(end, source_.size[1] + before_[0] - k);
      if (from >= past) continue;
      task.rows = past - from;
      task.input = source_.row(sample, block, 0, static_cast<std::int64_t>(from + k - before_[0]) * strides_[0]);
      task.weights = weights_->at(panel, group, k);
      task.sums = sums + (from - first) * task.sum_row;
      const long floats = static_cast<long>(task.blocks) * kBlock * task.taps * task.panel * kBlock;
      task.next_weights = more ? Ahead{weights_->at(panel, group + 1, k), floats} : Ahead{nullptr, 0};
      task.upcoming = share_of(upcoming, k, task.taps);
      if (!factors_.empty())
        kernels().skip_by_sign(task, by_sign(weights_->first_block(panel), sample, from));
      else
        kernels().skip(task);
    }
  }

  // Whether anything of the group of input blocks that begins there is visited, if there is one. Of a map of several
  // pixels something always is; of one pixel, such as the score that is explained, next to nothing may be.
  bool has_visits(int sample, int block) const {
    const int past = std::min(source_blocks_, block + skip_blocks(weights_->side));
    if (block >= past || source_.size[1] * source_.size[2] > 1) return block < past;
    for (; block < past; ++block)
      if (kernels().nonzeros(source_.at(sample, block), kBlock) > 0) return true;
    return false;
  }

  // What the signs say to a panel, from some row of a sample on.
  BySign by_sign(int block, int sample, int row) const {
    const In x = epilogue_->factor_rows(sample, block, 0, row);
    BySign found{};
    found.x = x.at;
    found.block = static_cast<long>(epilogue_->factors()->block_stride);
    found.row = x.row;
    found.groups = static_cast<int>(factors_.size());
    found.group = static_cast<long>(source_.block_stride) * source_blocks_;
    for (int g = 0; g < found.groups; ++g) std::tie(found.same[g], found.other[g]) = factors_[g];
    return found;
  }

  const std::shared_ptr<const SkipWeights> weights_;
  const Tensor source_;
  const std::shared_ptr<Epilogue> epilogue_;
  const SignFactors factors_;
  const int source_blocks_;  // of one group
  const std::array<int, 2> strides_, before_;
  const int columns_;  // of the source that are visited
  const Division division_;
};

void check_window(const SkipWeights& weights, const Window& window, const Tensor& source, const Epilogue& epilogue) {
  bool fits = window.kernel == Size3{1, weights.side, weights.side} && window.strides[0] == 1 &&
              window.before[0] == 0 && source.size[0] == 1 && epilogue.size[0] == 1 && epilogue.row_step >= 1;
  for (int axis = 1; axis < 3; ++axis) {
    const int stride = window.strides[axis], zeros = window.before[axis], wanted = epilogue.size[axis];
    const int before = weights.adjoint ? weights.side - 1 - zeros : zeros;
    fits = fits && zeros >= 0 && zeros < weights.side && wanted >= 1;
    fits = fits && stride >= 1 && (stride == 1 || (weights.side == 1 && !weights.adjoint));
    fits = fits && (weights.side == 1 || window.dilations[axis] == 1);
    fits = fits && static_cast<std::int64_t>(wanted - 1) * stride < std::int64_t{source.size[axis]} + before;
  }
  if (fits) return;
  throw std::invalid_argument("skip: a map of " + std::to_string(source.size[1]) + " x " +
                              std::to_string(source.size[2]) + " does not give one of " +
                              std::to_string(epilogue.size[1]) + " x " + std::to_string(epilogue.size[2]) +
                              " with such a window");
}

void check(const SkipWeights& weights, const Window& window, const Tensor& source, const Epilogue& epilogue) {
  check_maps("skip", weights.source_channels, weights.target_channels, source, epilogue);
  check_window(weights, window, source, epilogue);
}

void check_by_sign(const SkipWeights& weights, int groups, const Tensor& source, const Epilogue& epilogue) {
  if (!weights.adjoint || weights.side != 1 || groups < 1 || groups > kMostBySign || epilogue.factors() == nullptr)
    throw std::invalid_argument("skip: signs for anything but the adjoint of one tap, one group or two, and a product");
  const int sources = groups == 1 ? weights.source_channels : groups * blocks_of(weights.source_channels) * kBlock;
  check_maps("skip", sources, weights.target_channels, source, epilogue);
  check_window(weights, kSinglePixels, source, epilogue);
}

// Which of the samples are to be treated as sparse, by some rows of their maps.
std::vector<char> sparse_samples(const Tensor& source, double threshold, int threads, int first, int count) {
  constexpr long kRows = 16, kPixels = 128;  // at least, if there are as many
  const long of_block = static_cast<long>(source.size[0]) * source.size[1], all = of_block * source.blocks;
  long step = std::max(1L, std::min(all / kRows, all * source.size[2] / kPixels));
  while (std::gcd(step, of_block) != 1) ++step;  // every row of a block has its turn: a pool may favour some
  const double read = static_cast<double>(all) / step * source.size[2];
  std::vector<char> sparse(count);
  parallel_for(threads, count, kPassing * read * count, [&](long n) {
    long nonzero = 0, seen = 0;
    for (long i = 0; i < all; i += step) {
      const int block = static_cast<int>(i / of_block), y = static_cast<int>(i % of_block);
      const float* row = source.row(first + n, block, y / source.size[1], y % source.size[1]);
      nonzero += kernels().nonzeros(row, static_cast<long>(source.size[2]) * kBlock);
      seen += static_cast<long>(source.size[2]) * std::min(kBlock, source.channels - block * kBlock);
    }
    sparse[n] = static_cast<double>(nonzero) <= threshold * static_cast<double>(seen);
  });
  return sparse;
}

BatchStep step_of(std::shared_ptr<const Skip> skip, int samples) {
  return {
      samples,
      [skip](int threads, int first, int count, const Ahead& upcoming) { skip->run(threads, first, count, upcoming); },
      [skip] { return skip->weights(); }};
}

}  // namespace

SkipWeights::SkipWeights(Pool& pool, const float* weights, int outputs, int inputs, int taps, bool adjoint_,
                         int threads)
    : source_channels(adjoint_ ? outputs : inputs),
      target_channels(adjoint_ ? inputs : outputs),
      side(taps == 9 ? 3 : 1),
      adjoint(adjoint_) {
  if (outputs < 1 || inputs < 1) throw std::invalid_argument("skip: weights without channels");
  if (taps != 1 && taps != 9) throw std::invalid_argument("skip: a kernel that is neither 1 x 1 nor 3 x 3");
  const int source_blocks = blocks_of(source_channels), target_blocks = blocks_of(target_channels);
  panels = quotient_up(target_blocks, widest_panel(side));
  floats_ = static_cast<std::int64_t>(taps) * source_blocks * kBlock * target_blocks * kBlock;
  memory_ = pool.take(static_cast<std::size_t>(floats_));
  parallel_for(threads, static_cast<long>(panels) * source_blocks, static_cast<double>(floats_), [&](long task) {
    const int panel = static_cast<int>(task / source_blocks), block = static_cast<int>(task % source_blocks);
    const int first = first_block(panel) * kBlock, lanes = first_block(panel + 1) * kBlock - first;
    const int group = block / skip_blocks(side), of_group = block % skip_blocks(side) * kBlock;
    for (int k = 0; k < side; ++k) {
      float* packed = memory_.block.get() + offset(panel, group, k) + std::int64_t{of_group} * side * lanes;
      for (int channel = block * kBlock; channel < (block + 1) * kBlock; ++channel)
        for (int t = 0; t < side; ++t)
          for (int target = first; target < first + lanes; ++target) {
            const std::int64_t output = adjoint ? channel : target, input = adjoint ? target : channel;
            const int tap = adjoint ? taps - 1 - (k * side + t) : k * side + t;
            const bool there = output < outputs && input < inputs;
            *packed++ = there ? weights[(output * inputs + input) * taps + tap] : 0.0f;
          }
    }
  });
}

int SkipWeights::first_block(int panel) const {
  return static_cast<int>(std::int64_t{blocks_of(target_channels)} * panel / panels);
}

std::int64_t SkipWeights::offset(int panel, int group, int kernel_row) const {
  const int source_blocks = blocks_of(source_channels), group_blocks = skip_blocks(side);
  const std::int64_t first = first_block(panel), width = first_block(panel + 1) - first;
  const std::int64_t before_group = static_cast<std::int64_t>(group) * group_blocks;
  const std::int64_t blocks = std::min<std::int64_t>(group_blocks, source_blocks - before_group);
  const std::int64_t pairs =  // of blocks and kernel rows
      first * source_blocks * side + width * (before_group * side + kernel_row * blocks);
  return pairs * side * kBlock * kBlock;
}

BatchStep skip(std::shared_ptr<const SkipWeights> weights, const Window& window, const Tensor& source,
               std::shared_ptr<Epilogue> epilogue) {
  check(*weights, window, source, *epilogue);
  return step_of(std::make_shared<const Skip>(std::move(weights), window, source, std::move(epilogue), SignFactors{}),
                 source.samples);
}

BatchStep skip_by_sign(std::shared_ptr<const SkipWeights> weights, const Tensor& source,
                       std::shared_ptr<Epilogue> epilogue, std::vector<std::pair<float, float>> factors) {
  check_by_sign(*weights, static_cast<int>(factors.size()), source, *epilogue);
  return step_of(
      std::make_shared<const Skip>(std::move(weights), kSinglePixels, source, std::move(epilogue), std::move(factors)),
      source.samples);
}

BatchStep sparse_or(const BatchStep& sparse, const BatchStep& dense, const Tensor& source, double threshold) {
  if (sparse.samples() != source.samples || dense.samples() != source.samples)
    throw std::invalid_argument("sparse_or: steps for other numbers of samples than the source has");
  const auto is_sparse = std::make_shared<std::atomic<bool>>(true);
  return {source.samples,
          [sparse, dense, is_sparse, source = source.borrowed(), threshold](int threads, int first, int count,
                                                                            const Ahead& upcoming) {
            const std::vector<char> choice = sparse_samples(source, threshold, threads, first, count);
            *is_sparse = choice[0] != 0;
            for (int begin = 0, end = 0; begin < count; begin = end) {
              while (end < count && choice[end] == choice[begin]) ++end;
              (choice[begin] ? sparse : dense).run_some(threads, first + begin, end - begin, upcoming);
            }
          },
          // What samples are like that went before, the next ones mostly are.
          [sparse, dense, is_sparse] { return (*is_sparse ? sparse : dense).weights(); }};
}

}  // namespace lrpfast
