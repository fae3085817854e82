#include "patch.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "dispatch.h"
#include "parallel.h"
#include "weights.h"

namespace lrpfast {
namespace {

enum Drawer { kImage = 12, kValues = 13 };

class Patch {
 public:
  Patch(std::shared_ptr<const PatchWeights> weights, const Window& window, const Tensor& source,
        std::shared_ptr<Epilogue> epilogue)
      : weights_(std::move(weights)),
        source_(source.borrowed()),
        epilogue_(std::move(epilogue)),
        strides_{window.strides[1], window.strides[2]},
        before_{window.before[1], window.before[2]},
        channels_(static_cast<int>(weights_->targets.size())) {
    // Strips of about 16 rows: the image of one stays in the cache, and few source rows reach into two.
    constexpr int kRows = 16;
    const int height = epilogue_->size[1], step = epilogue_->row_step;
    strip_ = std::max(1, kRows / step) * step;
    strips_ = quotient_up(height, strip_);
    // The padding lies ahead of the first column; patches may reach behind the last one, and runs behind patches.
    const int reached = before_[1] + (source_.size[2] - 1) * strides_[1];
    const int columns =
        std::max(before_[1] + epilogue_->size[2], reached + quotient_up(weights_->width * kBlock, channels_));
    row_ = static_cast<long>(quotient_up(columns * channels_, kBlock)) * kBlock;
  }

  void run(int threads, int first, int count) const {
    const double taps = static_cast<double>(weights_->rows) * weights_->width;
    const double work = taps * source_.blocks * kBlock * static_cast<double>(source_.pixels()) * count;
    parallel_for(threads, static_cast<long>(count) * strips_, work / kUsualShare, [&](long task) {
      compute(first + static_cast<int>(task / strips_), static_cast<int>(task % strips_) * strip_);
    });
  }

 private:
  static constexpr int kUsualShare = 4;  // of the inputs one in so many is not zero

  void compute(int sample, int first) const {
    const int past = std::min(first + strip_, epilogue_->size[1]);
    float* image = scratch(kImage, static_cast<std::size_t>(past - first) * row_);
    std::fill_n(image, (past - first) * row_, 0.0f);
    for (int y = 0; y < source_.size[1]; ++y) {
      const int top = y * strides_[0] - before_[0];  // where the patches of this row begin
      const int from = std::max(top, first), to = std::min(top + weights_->rows, past);
      if (from < to) add_row(sample, y, from - top, to - from, image + (from - first) * row_);
    }
    hand_over(sample, first, past, image);
  }

  void add_row(int sample, int y, int kernel_row, int rows, float* image) const {
    for (int block = 0; block < source_.blocks; block += kPatchBlocks) {
      PatchTask task{};
      task.input = source_.row(sample, block, 0, y);
      task.input_block = static_cast<long>(source_.block_stride);
      task.input_column = kBlock;
      task.blocks = std::min(kPatchBlocks, source_.blocks - block);
      task.columns = source_.size[2];
      task.weights = weights_->at(block * kBlock, kernel_row);
      task.channel = static_cast<long>(weights_->channel());
      task.rows = rows;
      task.width = weights_->width;
      task.image = image;
      task.row = row_;
      task.column = static_cast<long>(strides_[1]) * channels_;
      kernels().patch(task);
    }
  }

  // From the image's few channels to planes, or to blocks of 16, in order.
  void hand_over(int sample, int first, int past, const float* image) const {
    const int planes = epilogue_->planes(), of_block = std::max(planes, 1), pixel = planes > 0 ? 1 : kBlock;
    const long line = static_cast<long>(epilogue_->size[2]) * pixel;
    float* values = scratch(kValues, static_cast<std::size_t>(past - first) * line);
    for (int i = 0; i < epilogue_->blocks() * of_block; ++i) {
      const int block = i / of_block, plane = i % of_block;
      std::fill_n(values, (past - first) * line, 0.0f);
      for (int channel = 0; channel < channels_; ++channel) {
        const int lane = weights_->targets[channel] - block * kBlock;
        if (lane < 0 || lane >= kBlock || (planes > 0 && lane != plane)) continue;
        const float* from = image + static_cast<long>(before_[1]) * channels_ + channel;
        spread_out(from, past - first, values + (planes > 0 ? 0 : lane), pixel);
      }
      epilogue_->take({sample, block, plane, first, past - first, values, line});
    }
  }

  // Some rows of one channel of the image, to pixels of so many floats.
  void spread_out(const float* from, int rows, float* to, int pixel) const {
    const int columns = epilogue_->size[2];
    for (int y = 0; y < rows; ++y, from += row_, to += static_cast<long>(columns) * pixel)
      for (int x = 0; x < columns; ++x) to[x * pixel] = from[x * channels_];
  }

  const std::shared_ptr<const PatchWeights> weights_;
  const Tensor source_;
  const std::shared_ptr<Epilogue> epilogue_;
  const std::array<int, 2> strides_, before_;
  const int channels_;  // of the image: the targets that have weights
  int strip_, strips_;  // rows of a strip, and how many there are
  long row_;            // floats of a row of the image
};

void check(const PatchWeights& weights, const Window& window, const Tensor& source, const Epilogue& epilogue) {
  check_maps("patch", weights.source_channels, weights.target_channels, source, epilogue,
             blocks_of(weights.target_channels), true);
  bool fits = window.kernel == Size3{1, weights.rows, weights.columns} && window.strides[0] == 1 &&
              window.before[0] == 0 && source.size[0] == 1 && epilogue.size[0] == 1;
  for (int axis = 1; axis < 3; ++axis)
    fits = fits && window.dilations[axis] == 1 && window.strides[axis] >= 1 && window.before[axis] >= 0 &&
           window.before[axis] < window.kernel[axis];
  if (!fits)
    throw std::invalid_argument("patch: a window that is dilated, in several planes, or not that of the weights");
}

}  // namespace

PatchWeights::PatchWeights(Pool& pool, const float* weights, int outputs, int inputs, int rows_, int columns_)
    : source_channels(outputs), target_channels(inputs), rows(rows_), columns(columns_) {
  if (outputs < 1 || inputs < 1 || rows < 1 || columns < 1) throw std::invalid_argument("patch: weights of no size");
  const int taps = rows * columns;
  targets = targets_with_weights(weights, outputs, inputs, taps, true);
  const int channels = static_cast<int>(targets.size());
  if (channels < 1 || channels > kNarrow)
    throw std::invalid_argument("patch: weights for " + std::to_string(channels) + " channels, not for 1 to " +
                                std::to_string(kNarrow));
  width = quotient_up(columns * channels, kBlock);
  memory_ = pool.take(static_cast<std::size_t>(floats()));
  float* packed = memory_.block.get();
  std::fill_n(packed, floats(), 0.0f);
  for (int source = 0; source < source_channels; ++source)
    for (int tap = 0; tap < taps; ++tap)
      for (int channel = 0; channel < channels; ++channel)
        packed[source * this->channel() + static_cast<std::int64_t>(tap / columns) * width * kBlock +
               tap % columns * channels + channel] =
            weights[(static_cast<std::int64_t>(source) * inputs + targets[channel]) * taps + tap];
}

BatchStep patch(std::shared_ptr<const PatchWeights> weights, const Window& window, const Tensor& source,
                std::shared_ptr<Epilogue> epilogue) {
  check(*weights, window, source, *epilogue);
  const auto step = std::make_shared<const Patch>(std::move(weights), window, source, std::move(epilogue));
  return {source.samples,
          [step](int threads, int first, int count, const Ahead&) { step->run(threads, first, count); }};
}

}  // namespace lrpfast
