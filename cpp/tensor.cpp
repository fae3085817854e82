#include "tensor.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "parallel.h"
#include "parts.h"

namespace lrpfast {

Tensor::Tensor(Pool& pool, int samples_, int channels_, Size3 size_, Size3 before_, Size3 after_)
    : samples(samples_), channels(channels_), size(size_), before(before_), after(after_) {
  double floats = static_cast<double>(samples) * channels;
  bool valid = samples > 0 && channels > 0;
  for (int axis = 0; axis < 3; ++axis) {
    valid = valid && size[axis] > 0 && before[axis] >= 0 && after[axis] >= 0;
    floats *= static_cast<double>(size[axis]) + before[axis] + after[axis];
  }
  if (!valid || floats > 1e12) throw std::invalid_argument("tensor with an impossible size");
  blocks = blocks_of(channels);
  row_stride = static_cast<std::int64_t>(before[2] + size[2] + after[2]) * kBlock;
  plane_stride = row_stride * (before[1] + size[1] + after[1]);
  block_stride = plane_stride * (before[0] + size[0] + after[0]);
  sample_stride = block_stride * blocks;
  memory_ = pool.take(static_cast<std::size_t>(sample_stride) * samples);
  origin_ = memory_.block.get() + before[0] * plane_stride + before[1] * row_stride + before[2] * kBlock;
  for (std::int64_t map = 0; has_halo() && map < maps(); ++map) clear_halo(map);
}

Tensor Tensor::channels_from(int first, int count) const {
  if (first < 0 || count < 1 || count > channels - first || first % kBlock != 0)
    throw std::invalid_argument("channels that are not there, or begin within a block");
  Tensor view = *this;
  view.channels = count;
  view.blocks = blocks_of(count);
  view.origin_ += first / kBlock * block_stride;
  return view;
}

Tensor Tensor::image() const {
  if (channels != kBlock || before[0] != 0 || after[0] != 0)
    throw std::invalid_argument("an image in planes has 16 columns in the lanes, and no halo but around its rows");
  Tensor view = *this;
  view.channels = 1;
  view.column_stride = 1;
  view.size[2] *= kBlock;
  view.before[2] *= kBlock;
  view.after[2] *= kBlock;
  return view;
}

Tensor Tensor::borrowed() const {
  Tensor same = *this;
  same.memory_.block.reset();
  return same;
}

bool Tensor::overlaps(const Tensor& other) const {
  const auto end = [](const Tensor& t) {
    return t.begin() + (t.samples - 1) * t.sample_stride + t.blocks * t.block_stride;
  };
  if (!std::less<>()(begin(), end(other)) || !std::less<>()(other.begin(), end(*this))) return false;
  if (sample_stride != other.sample_stride) return true;
  // Of one tensor, or of samples as large: channels of the one may lie between those of the other.
  const std::int64_t apart = ((other.begin() - begin()) % sample_stride + sample_stride) % sample_stride;
  return apart < blocks * block_stride || apart + other.blocks * other.block_stride > sample_stride;
}

float* Tensor::begin() const {
  return origin_ - before[0] * plane_stride - before[1] * row_stride - before[2] * column_stride;
}

void Tensor::clear_halo(std::int64_t sample, std::int64_t block, int plane, int first, int rows) const {
  const int first_plane = plane == 0 ? -before[0] : plane;
  const int past_plane = plane + 1 == size[0] ? size[0] + after[0] : plane + 1;
  const int first_row = first == 0 ? -before[1] : first, past = first + rows;
  const int past_row = past == size[1] ? past + after[1] : past;
  for (int p = first_plane; p < past_plane; ++p)
    for (int r = first_row; r < past_row; ++r) {
      float* line = row(sample, block, p, r) - static_cast<std::int64_t>(before[2]) * kBlock;
      if (p == plane && r >= first && r < past) {
        std::fill_n(line, before[2] * kBlock, 0.0f);
        std::fill_n(line + (before[2] + size[2]) * kBlock, after[2] * kBlock, 0.0f);
      } else {
        std::fill_n(line, row_stride, 0.0f);
      }
    }
}

void Tensor::clear_halo(std::int64_t map) const {
  for (int plane = 0; plane < size[0]; ++plane) clear_halo(map / blocks, map % blocks, plane, 0, size[1]);
}

void Tensor::fill_map(std::int64_t sample, std::int64_t block, float value) const {
  for (int d = 0; d < size[0]; ++d)
    for (int h = 0; h < size[1]; ++h) std::fill_n(row(sample, block, d, h), size[2] * kBlock, value);
}

namespace {

// Calls f(line of the tensor, where it is among the values, lanes that hold channels) for every row of every block.
template <class Value, class F>
void for_lines(const Tensor& tensor, Value* values, const Tensor::Strides& strides, int threads, const F& f) {
  for_parts(tensor, 1, 1, threads, [&](const Part& part, long) {
    const int first = static_cast<int>(part.block) * kBlock;
    for (int h = part.first; h < part.first + part.area.rows; ++h)
      f(tensor.row(part.sample, part.block, part.plane, h),
        values + part.sample * strides[0] + first * strides[1] + part.plane * strides[2] + h * strides[3],
        std::min(kBlock, tensor.channels - first));
  });
}

// Whether the values of a row lie as in the tensor.
bool lies_alike(const Tensor::Strides& strides, int lanes) {
  return lanes == kBlock && strides[1] == 1 && strides[4] == kBlock;
}

}  // namespace

void Tensor::load(const float* from, const Strides& strides, int threads) {
  for_lines(*this, from, strides, threads, [&](float* line, const float* source, int lanes) {
    if (lies_alike(strides, lanes)) {
      std::copy_n(source, size[2] * kBlock, line);
      return;
    }
    const std::int64_t channel = strides[1], column = strides[4];
    const int columns = size[2];
    if (lanes < kBlock) std::fill_n(line, columns * kBlock, 0.0f);
    for (int c = 0; c < lanes; ++c)
      for (int w = 0; w < columns; ++w) line[w * kBlock + c] = source[c * channel + w * column];
  });
}

void Tensor::store(float* to, const Strides& strides, int threads) const {
  for_lines(*this, to, strides, threads, [&](const float* line, float* target, int lanes) {
    if (lies_alike(strides, lanes)) {
      std::copy_n(line, size[2] * kBlock, target);
      return;
    }
    const std::int64_t channel = strides[1], column = strides[4];
    const int columns = size[2];
    for (int c = 0; c < lanes; ++c)
      for (int w = 0; w < columns; ++w) target[c * channel + w * column] = line[w * kBlock + c];
  });
}

Step clear_halo(const Tensor& target) {
  return Step([target = target.borrowed()](int threads) {
    const double of_halo = static_cast<double>(target.block_stride) / kBlock - static_cast<double>(target.pixels());
    parallel_for(threads, target.maps(), kPassing * of_halo * static_cast<double>(target.maps()),
                 [&](long map) { target.clear_halo(map); });
  });
}

Step fill(const Tensor& target, float value) {
  return Step([target = target.borrowed(), value](int threads) {
    parallel_for(threads, target.maps(), kPassing * target.vectors(),
                 [&](long map) { target.fill_map(map / target.blocks, map % target.blocks, value); });
  });
}

namespace {

void copy(const Tensor& source, int from, const Tensor& target, int to, int count, int threads) {
  const int first = to / kBlock, last = (to + count - 1) / kBlock;
  const double work = kPassing * target.vectors() * (last - first + 1) / target.blocks;
  parallel_for(threads, static_cast<long>(target.samples) * (last - first + 1), work, [&](long map) {
    const std::int64_t n = map / (last - first + 1);
    const int block = first + static_cast<int>(map % (last - first + 1));
    const int begin = std::max(to, block * kBlock), end = std::min(to + count, (block + 1) * kBlock);
    const int origin = from + begin - to;  // channel of the source that goes to channel `begin`
    const bool whole = origin % kBlock == 0 && begin % kBlock == 0;
    const bool closes = end == target.channels;  // lanes past the last channel are zero
    for (int d = 0; d < target.size[0]; ++d)
      for (int h = 0; h < target.size[1]; ++h) {
        float* line = target.row(n, block, d, h);
        if (whole && end - begin == kBlock) {
          std::copy_n(source.row(n, origin / kBlock, d, h), target.size[2] * kBlock, line);
          continue;
        }
        for (int c = begin; c < end; ++c) {
          const int channel = origin + c - begin;
          const float* value = source.row(n, channel / kBlock, d, h) + channel % kBlock;
          for (int w = 0; w < target.size[2]; ++w) line[w * kBlock + c % kBlock] = value[w * kBlock];
        }
        if (closes && end % kBlock != 0)
          for (int w = 0; w < target.size[2]; ++w)
            std::fill(line + w * kBlock + end % kBlock, line + (w + 1) * kBlock, 0.0f);
      }
  });
}

}  // namespace

Step copy_channels(const Tensor& source, int from, const Tensor& target, int to, int count) {
  if (source.samples != target.samples || source.size != target.size || from < 0 || to < 0 || count < 1 ||
      from + count > source.channels || to + count > target.channels)
    throw std::invalid_argument("copy_channels: maps of other sizes, or channels that are not there");
  return Step([source = source.borrowed(), target = target.borrowed(), from, to, count](int threads) {
    copy(source, from, target, to, count, threads);
  });
}

}  // namespace lrpfast
