#include "winograd.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "dispatch.h"
#include "parallel.h"

namespace lrpfast {
namespace {

constexpr int kPoints = 36, kSide = 6, kOutputs = kTileRows;  // of a tile: 6 x 6 points, 4 x 4 outputs

// Behind each point's values: points a power of two apart would share a few sets of the cache.
constexpr std::int64_t kStagger = 80;

// Values of one point that stay in the second level cache (1 MiB) while panels of weights go by.
constexpr std::int64_t kPointFloats = 96 * 1024;

enum Drawer { kStripPoints = 8, kStripProducts, kRows };

// Sizes of shared memory, so that layers of many shapes share a few pieces.
std::size_t power_of_two(std::int64_t floats) {
  std::size_t power = 1;
  while (power < static_cast<std::size_t>(floats)) power *= 2;
  return power;
}

// Three taps to the six points 0, a, -a, b, -b and infinity; the same a and b as in kernels/winograd.cpp.
void to_points(const double* taps, int stride, double* points, int point_stride) {
  constexpr double a = 0.625, b = 1.5, scale_a = 2 * a * a * (a * a - b * b), scale_b = 2 * b * b * (b * b - a * a);
  const double first = taps[0], middle = taps[stride], last = taps[2 * stride];
  const double values[kSide] = {first / (a * a * b * b),
                                (first + a * middle + a * a * last) / scale_a,
                                (first - a * middle + a * a * last) / scale_a,
                                (first + b * middle + b * b * last) / scale_b,
                                (first - b * middle + b * b * last) / scale_b,
                                last};
  for (int i = 0; i < kSide; ++i) points[i * point_stride] = values[i];
}

// The 36 points of a kernel, flipped for the adjoint.
void kernel_points(const float* kernel, bool flipped, double points[kPoints]) {
  double taps[9], half[kSide * 3];
  for (int i = 0; i < 9; ++i) taps[i] = kernel[flipped ? 8 - i : i];
  for (int column = 0; column < 3; ++column) to_points(taps + column, 3, half + column, 3);
  for (int row = 0; row < kSide; ++row) to_points(half + row * 3, 1, points + row * kSide, 1);
}

// Where a strip lies: rows of tiles of a sample.
struct Strip {
  int sample, first, rows;
};

// Rows of tiles that go through the steps together, and the memory for it. Values are points[point][block][tile][16].
struct Chunk {
  long first_strip, strips;
  std::int64_t tiles;
  float *points, *products;
  std::int64_t point, product;  // floats from one point to the next

  std::int64_t block() const { return tiles * kBlock; }
};

// One call of winograd(): the steps, and the two orders in which they run.
class Run {
 public:
  Run(const WinogradWeights& weights, const std::array<int, 2>& before, const Tensor& source, Epilogue& epilogue,
      int threads, int first, int count);
  void run() const;

 private:
  void strip_by_strip() const;
  void point_by_point() const;
  void point_by_point(const Chunk& chunk) const;

  Strip strip(long number) const;
  // Tiles of the strips before this one, and of all if it is past the last.
  std::int64_t tiles_before(long strip) const;
  double work(std::int64_t tiles) const;
  int panel_blocks(int panel) const { return std::min(widest_, epilogue_.blocks() - panel * widest_); }
  const float* weights_at(int panel, int point) const;

  void input(const Chunk& chunk, long strip, int block) const;
  void multiply(const Chunk& chunk, int point, int panel, int slot, const float* ahead) const;
  void output(const Chunk& chunk, long strip, int block, int slot) const;

  const KernelTable& table_ = kernels();
  const WinogradWeights& weights_;
  const std::array<int, 2>& before_;
  const Tensor& source_;
  Epilogue& epilogue_;
  const int threads_, widest_, panels_;
  const int tile_rows_, tile_columns_;  // of a sample
  const int strip_rows_;  // rows of tiles, the least that the epilogue takes; the last strip may have fewer
  const long strips_;     // of a sample
  const long first_strip_, past_strip_;  // of the samples that are wanted
};

Run::Run(const WinogradWeights& weights, const std::array<int, 2>& before, const Tensor& source, Epilogue& epilogue,
         int threads, int first, int count)
    : weights_(weights),
      before_(before),
      source_(source),
      epilogue_(epilogue),
      threads_(threads),
      widest_(table_.winograd_panel),
      panels_(quotient_up(epilogue.blocks(), widest_)),
      tile_rows_(quotient_up(epilogue.size[1], kOutputs)),
      tile_columns_(quotient_up(epilogue.size[2], kOutputs)),
      strip_rows_(epilogue.row_step >= epilogue.size[1]
                      ? tile_rows_
                      : std::min(tile_rows_, std::lcm(kOutputs, epilogue.row_step) / kOutputs)),
      strips_(quotient_up(tile_rows_, strip_rows_)),
      first_strip_(strips_ * first),
      past_strip_(strips_ * (first + count)) {}

Strip Run::strip(long number) const {
  const int first = static_cast<int>(number % strips_) * strip_rows_;
  return {static_cast<int>(number / strips_), first, std::min(strip_rows_, tile_rows_ - first)};
}

std::int64_t Run::tiles_before(long strip) const {
  return (strip / strips_ * tile_rows_ + strip % strips_ * strip_rows_) * tile_columns_;
}

double Run::work(std::int64_t tiles) const {
  return static_cast<double>(kPoints) * kBlock * source_.blocks * epilogue_.blocks() * static_cast<double>(tiles);
}

const float* Run::weights_at(int panel, int point) const {
  const std::int64_t channels = static_cast<std::int64_t>(source_.blocks) * kBlock;
  return weights_.data() +
         (kPoints * static_cast<std::int64_t>(panel) * widest_ + point * panel_blocks(panel)) * kBlock * channels;
}

void Run::input(const Chunk& chunk, long strip_number, int block) const {
  const Strip at = strip(strip_number);
  WinogradInput task{};
  task.input = source_.at(at.sample, block);
  task.row = static_cast<long>(source_.row_stride);
  task.size[0] = source_.size[1];
  task.size[1] = source_.size[2];
  task.origin[1] = -before_[1];
  task.tiles = tile_columns_;
  task.point = static_cast<long>(chunk.point);
  const std::int64_t first = tiles_before(strip_number) - tiles_before(chunk.first_strip);
  task.points = chunk.points + block * chunk.block() + first * kBlock;
  for (int i = 0; i < at.rows; ++i, task.points += tile_columns_ * kBlock) {
    task.origin[0] = (at.first + i) * kOutputs - before_[0];
    table_.winograd_input(task);
  }
}

// Leaves the panel's blocks in `products` from block `slot` on.
void Run::multiply(const Chunk& chunk, int point, int panel, int slot, const float* ahead) const {
  const long block = static_cast<long>(chunk.block());
  table_.winograd_multiply({chunk.points + point * chunk.point, block, source_.blocks, weights_at(panel, point),
                            panel_blocks(panel), static_cast<int>(chunk.tiles),
                            chunk.products + point * chunk.product + slot * chunk.block(), block, ahead});
}

void Run::output(const Chunk& chunk, long strip_number, int block, int slot) const {
  const Strip at = strip(strip_number);
  const int rows = std::min(at.rows * kOutputs, epilogue_.size[1] - at.first * kOutputs);
  const long row = static_cast<long>(epilogue_.size[2]) * kBlock;
  float* values = scratch(kRows, static_cast<std::size_t>(rows) * row);
  const std::int64_t first = tiles_before(strip_number) - tiles_before(chunk.first_strip);
  const float* products = chunk.products + slot * chunk.block() + first * kBlock;
  for (int i = 0; i < at.rows; ++i)
    table_.winograd_output({products + static_cast<long>(i) * tile_columns_ * kBlock, static_cast<long>(chunk.product),
                            tile_columns_, values + i * kOutputs * row, row, std::min(kOutputs, rows - i * kOutputs),
                            epilogue_.size[2]});
  epilogue_.take({at.sample, block, 0, at.first * kOutputs, rows, values, row});
}

// Floats that leave the second level cache: each strip reads all weights; point by point, all values are written and
// read, and the weights only once. As measured, values cost about three times as much as weights, which are fetched
// ahead. Either order gives the same bits.
void Run::run() const {
  constexpr int kPasses = 2, kCost = 3;
  const double weights = static_cast<double>(weights_.floats());
  const double values =
      static_cast<double>(kPoints * kBlock) * (source_.blocks + epilogue_.blocks()) * tile_columns_ * strip_rows_;
  if (weights < kPasses * kCost * values)
    strip_by_strip();
  else
    point_by_point();
}

// A task is a strip. Its points stay in the second level cache while the panels of weights go by, one after the other
// as they lie in memory, so that the hardware sees them coming.
void Run::strip_by_strip() const {
  const double all = work(tiles_before(past_strip_) - tiles_before(first_strip_));
  parallel_for(threads_, past_strip_ - first_strip_, all, [&](long task) {
    const long number = first_strip_ + task;
    Chunk chunk{number, 1, tiles_before(number + 1) - tiles_before(number), nullptr, nullptr, 0, 0};
    chunk.point = source_.blocks * chunk.block() + kStagger;
    chunk.product = std::min(widest_, epilogue_.blocks()) * chunk.block() + kStagger;
    chunk.points = scratch(kStripPoints, kPoints * chunk.point);
    chunk.products = scratch(kStripProducts, kPoints * chunk.product);
    for (int block = 0; block < source_.blocks; ++block) input(chunk, number, block);
    for (int panel = 0; panel < panels_; ++panel) {
      for (int point = 0; point < kPoints; ++point) multiply(chunk, point, panel, 0, nullptr);
      for (int slot = 0; slot < panel_blocks(panel); ++slot) output(chunk, number, panel * widest_ + slot, slot);
    }
  });
}

// As many strips at a time as leave a point's values in the second level cache, whichever samples they are of: the more
// tiles, the less often the weights are read.
void Run::point_by_point() const {
  static Pool pool;
  const std::int64_t channels = static_cast<std::int64_t>(std::max(source_.blocks, epilogue_.blocks())) * kBlock;
  const std::int64_t strip_tiles = static_cast<std::int64_t>(strip_rows_) * tile_columns_;
  const long length = static_cast<long>(std::max<std::int64_t>(1, kPointFloats / channels / strip_tiles));
  for (long first = first_strip_; first < past_strip_; first += length) {
    const long count = std::min(length, past_strip_ - first);
    Chunk chunk{first, count, tiles_before(first + count) - tiles_before(first), nullptr, nullptr, 0, 0};
    chunk.point = source_.blocks * chunk.block() + kStagger;
    chunk.product = epilogue_.blocks() * chunk.block() + kStagger;
    const Pool::Memory points = pool.take(power_of_two(kPoints * chunk.point));
    const Pool::Memory products = pool.take(power_of_two(kPoints * chunk.product));
    chunk.points = points.block.get();
    chunk.products = products.block.get();
    point_by_point(chunk);
  }
}

// The tasks of the product are a point and a range of panels: enough tasks for many threads, yet ranges long enough
// that most panels can be fetched ahead.
void Run::point_by_point(const Chunk& chunk) const {
  const int ranges = std::clamp(panels_ / 4, 1, 4);
  const double transform = static_cast<double>(chunk.tiles) * kPoints * 4;
  parallel_for(threads_, chunk.strips * source_.blocks, transform * source_.blocks, [&](long task) {
    input(chunk, chunk.first_strip + task % chunk.strips, static_cast<int>(task / chunk.strips));
  });
  parallel_for(threads_, kPoints * ranges, work(chunk.tiles), [&](long task) {
    const int point = static_cast<int>(task / ranges), range = static_cast<int>(task % ranges);
    const int begin = panels_ * range / ranges, end = panels_ * (range + 1) / ranges;
    for (int panel = begin; panel < end; ++panel)
      multiply(chunk, point, panel, panel * widest_, panel + 1 < end ? weights_at(panel + 1, point) : nullptr);
  });
  parallel_for(threads_, chunk.strips * epilogue_.blocks(), transform * epilogue_.blocks(), [&](long task) {
    const int block = static_cast<int>(task / chunk.strips);
    output(chunk, chunk.first_strip + task % chunk.strips, block, block);
  });
}

void check(const WinogradWeights& weights, const std::array<int, 2>& before, const Tensor& source,
           const Epilogue& epilogue) {
  check_maps("winograd", weights.source_channels, weights.target_channels, source, epilogue);
  bool fits = source.size[0] == 1 && epilogue.size[0] == 1 && epilogue.row_step >= 1;
  for (int axis = 0; axis < 2; ++axis)
    fits = fits && before[axis] >= 0 && before[axis] <= 2 && epilogue.size[axis + 1] >= 1 &&
           epilogue.size[axis + 1] <= source.size[axis + 1] + before[axis];
  if (fits) return;
  throw std::invalid_argument("winograd: a map of " + std::to_string(source.size[1]) + " x " +
                              std::to_string(source.size[2]) + " does not give one of " +
                              std::to_string(epilogue.size[1]) + " x " + std::to_string(epilogue.size[2]) + " after " +
                              std::to_string(before[0]) + " and " + std::to_string(before[1]) + " zeros");
}

}  // namespace

WinogradWeights::WinogradWeights(Pool& pool, const float* weights, int outputs, int inputs, bool adjoint, int threads)
    : source_channels(adjoint ? outputs : inputs), target_channels(adjoint ? inputs : outputs) {
  if (outputs < 1 || inputs < 1) throw std::invalid_argument("winograd: weights without channels");
  const int source_blocks = blocks_of(source_channels), target_blocks = blocks_of(target_channels);
  const int widest = kernels().winograd_panel, panels = quotient_up(target_blocks, widest);
  const std::int64_t channels = static_cast<std::int64_t>(source_blocks) * kBlock;
  floats_ = kPoints * channels * target_blocks * kBlock;
  memory_ = pool.take(static_cast<std::size_t>(floats_));
  parallel_for(threads, static_cast<long>(panels) * source_blocks, static_cast<double>(floats_), [&](long task) {
    const int panel = static_cast<int>(task / source_blocks), block = static_cast<int>(task % source_blocks);
    const int lanes = std::min(widest, target_blocks - panel * widest) * kBlock;
    float* packed = memory_.block.get() + kPoints * channels * panel * widest * kBlock;
    std::vector<float> row(static_cast<std::size_t>(kPoints) * lanes);  // of one source channel
    for (int channel = block * kBlock; channel < (block + 1) * kBlock; ++channel) {
      for (int lane = 0; lane < lanes; ++lane) {
        const int target = panel * widest * kBlock + lane;
        double points[kPoints] = {};
        if (channel < source_channels && target < target_channels) {
          const std::int64_t output = adjoint ? channel : target, input = adjoint ? target : channel;
          kernel_points(weights + (output * inputs + input) * 9, adjoint, points);
        }
        for (int point = 0; point < kPoints; ++point) row[point * lanes + lane] = static_cast<float>(points[point]);
      }
      for (int point = 0; point < kPoints; ++point)
        std::copy_n(row.data() + point * lanes, lanes, packed + (point * channels + channel) * lanes);
    }
  });
}

BatchStep winograd(std::shared_ptr<const WinogradWeights> weights, const std::array<int, 2>& before,
                   const Tensor& source, std::shared_ptr<Epilogue> epilogue) {
  check(*weights, before, source, *epilogue);
  return {source.samples, [weights = std::move(weights), before, source = source.borrowed(),
                           epilogue = std::move(epilogue)](int threads, int first, int count, const Ahead&) {
            Run(*weights, before, source, *epilogue, threads, first, count).run();
          }};
}

}  // namespace lrpfast
