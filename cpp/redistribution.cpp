// Loop order: samples and strips of rows; denominators of a panel, and their quotients; when the strip has all of them,
// the ways back, panel by panel. The quotients of a strip fill a part of the second level cache, and are in no other
// memory: written out, those of a layer that makes many channels of few would pass through memory three times.
#include "redistribution.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "dispatch.h"
#include "parallel.h"

namespace lrpfast {
namespace {

enum Drawer { kPanel = 15 };

class Redistribution {
 public:
  Redistribution(std::shared_ptr<const PackedWeights> weights, const Tensor& source, std::shared_ptr<Quotient> quotient,
                 std::vector<WayBack> back)
      : weights_(std::move(weights)),
        source_(source.borrowed()),
        quotient_(std::move(quotient)),
        back_(std::move(back)) {
    constexpr int kStripFloats = 64 * 1024, kPixels = 256;
    const int height = quotient_->size[1], width = quotient_->size[2];
    const int pixels = std::min(kPixels, kStripFloats / (quotient_->quotient_blocks() * kBlock));
    rows_ = std::clamp(pixels / width, 1, height);
    strips_ = quotient_up(height, rows_);
    in_ = pixels_of(source_.row_stride);
    out_ = pixels_of(width * kBlock);
    for (const WayBack& way : back_)
      signs_.push_back(way.weights->choice == Choice::by_target ? pixels_of(way.epilogue->factors()->row_stride)
                                                                : std::vector<long>{});
  }

  void run(int threads) const {
    const long tasks = static_cast<long>(quotient_->maps) * strips_;
    double passes = weights_ ? static_cast<double>(weights_->floats()) / kBlock : 0;
    for (const WayBack& back : back_)
      passes += static_cast<double>(back.weights->floats()) / kBlock * quotient_->explanations();
    const double pixels = static_cast<double>(quotient_->maps) * quotient_->size[1] * quotient_->size[2];
    parallel_for(threads, tasks, (passes + kPassing * quotient_->quotient_blocks()) * pixels, [&](long task) {
      const int first = static_cast<int>(task % strips_) * rows_;
      run(task / strips_, first, std::min(rows_, quotient_->size[1] - first));
    });
  }

 private:
  // Where the pixels of a strip are in a map whose rows are so many floats apart.
  std::vector<long> pixels_of(std::int64_t row) const {
    std::vector<long> found;
    for (int y = 0; y < rows_; ++y)
      for (int x = 0; x < quotient_->size[2]; ++x) found.push_back(static_cast<long>(y * row) + x * kBlock);
    return found;
  }

  // Where the maps of a strip begin, and where its pixels are from there.
  struct Maps {
    const float* at;
    long block;
    const long* pixels;
  };

  void run(std::int64_t sample, int first, int rows) const {
    const long map = static_cast<long>(rows) * quotient_->size[2] * kBlock;
    if (weights_) {
      hand_over(*weights_, {source_.row(sample, 0, 0, first), static_cast<long>(source_.block_stride), in_.data()},
                *quotient_, nullptr, sample, first, rows);
    } else {
      for (int block = 0; block < source_.blocks; ++block)
        quotient_->take({sample, block, 0, first, rows, source_.row(sample, block, 0, first),
                         static_cast<long>(source_.row_stride)});
    }
    const float* quotients = quotient_->quotients(rows);
    const int explanations = quotient_->explanations();
    for (std::size_t i = 0; i < back_.size(); ++i)
      for (int t = 0; t < explanations; ++t)
        hand_over(*back_[i].weights, {quotients + t * quotient_->quotient_blocks() * map, map, out_.data()},
                  *back_[i].epilogue, signs_[i].data(), sample * explanations + t, first, rows);
  }

  // Hands the epilogue what the weights make of the maps, panel by panel. `sign_pixels` are those of its factors, if
  // these choose weights.
  void hand_over(const PackedWeights& weights, const Maps& maps, Epilogue& epilogue, const long* sign_pixels,
                 std::int64_t sample, int first, int rows) const {
    static constexpr Tap kTap{0, 0};
    const long line = static_cast<long>(quotient_->size[2]) * kBlock, map = rows * line;
    for (const PackedWeights::Panel& panel : weights.panels) {
      float* values = scratch(kPanel, panel.output_blocks * map);
      ConvolutionTask task{};
      task.input = maps.at + panel.first_input_block * maps.block;
      task.input_block = maps.block;
      task.blocks = panel.input_blocks;
      task.last_channels = panel.last_channels;
      task.taps = &kTap;
      task.tap_count = task.kernel_taps = 1;
      task.weights = weights.data() + panel.offset;
      task.choice = weights.choice;
      if (task.choice == Choice::by_target) {
        task.signs = epilogue.factor_rows(sample, panel.first_output_block, 0, first).at;
        task.sign_block = static_cast<long>(epilogue.factors()->block_stride);
        task.sign_pixels = sign_pixels;
      }
      task.panel = panel.output_blocks;
      task.output = values;
      task.output_block = map;
      task.input_pixels = maps.pixels;
      task.output_pixels = out_.data();
      task.pixels = static_cast<int>(map / kBlock);
      kernels().convolve(task);
      for (int block = 0; block < panel.output_blocks; ++block)
        epilogue.take({sample, panel.first_output_block + block, 0, first, rows, values + block * map, line});
    }
  }

  const std::shared_ptr<const PackedWeights> weights_;
  const Tensor source_;
  const std::shared_ptr<Quotient> quotient_;
  const std::vector<WayBack> back_;
  int rows_, strips_;                     // rows of a strip, and how many strips there are
  std::vector<long> in_, out_;            // the pixels of a strip in the source, and in maps of its own
  std::vector<std::vector<long>> signs_;  // and in what chooses the weights of each way back
};

void require(bool fits, const char* what) {
  if (!fits) throw std::invalid_argument(std::string("redistribute: ") + what);
}

bool is_pointwise(const PackedWeights& weights) { return weights.form == Form::dense && weights.taps == 1; }

}  // namespace

Step redistribute(std::shared_ptr<const PackedWeights> weights, const Tensor& source,
                  std::shared_ptr<Quotient> quotient, std::vector<WayBack> back) {
  require(!quotient->keeps() && quotient->row_step == 1 && quotient->size[0] == 1,
          "quotients that are kept, or pooled");
  require(source.size == quotient->size, "a source of another size");
  if (weights) {
    require(is_pointwise(*weights), "weights that are not of one dense tap");
    check_maps("redistribute", weights->source_channels, weights->target_channels, source, *quotient);
  } else {
    check_maps("redistribute", quotient->channels, quotient->channels, source, *quotient);
  }
  for (const WayBack& way : back) {
    require(is_pointwise(*way.weights) && way.weights->adjoint, "weights back that are not of one dense tap");
    require(blocks_of(way.weights->source_channels) == quotient->quotient_blocks() &&
                way.weights->target_channels == way.epilogue->channels &&
                way.epilogue->maps == quotient->maps * quotient->explanations() &&
                way.epilogue->size == quotient->size && way.epilogue->row_step == 1 && way.epilogue->planes() == 0,
            "a way back to other maps");
    require(!way.epilogue->writes_to(source), "one tensor for source and target");
    check_choice("redistribute", *way.weights, *way.epilogue);
  }
  const auto step =
      std::make_shared<const Redistribution>(std::move(weights), source, std::move(quotient), std::move(back));
  return Step([step](int threads) { step->run(threads); });
}

}  // namespace lrpfast
