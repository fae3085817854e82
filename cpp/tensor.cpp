#include "tensor.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>
#include <vector>

#include "kernels/kernels.h"
#include "parallel.h"

namespace lrpfast {

struct Pool::Shelf {
  std::mutex mutex;
  std::map<std::size_t, std::vector<float*>> free;

  ~Shelf() {
    for (auto& [floats, blocks] : free)
      for (float* block : blocks) std::free(block);
  }
};

Pool::Pool() : shelf_(std::make_shared<Shelf>()) {}

std::shared_ptr<float> Pool::take(std::size_t floats) {
  constexpr std::size_t kAlign = 64;
  const std::size_t bytes = (floats * sizeof(float) + kAlign - 1) / kAlign * kAlign;
  float* block = nullptr;
  {
    const std::lock_guard<std::mutex> lock(shelf_->mutex);
    auto found = shelf_->free.find(bytes);
    if (found != shelf_->free.end() && !found->second.empty()) {
      block = found->second.back();
      found->second.pop_back();
    }
  }
  if (block == nullptr) block = static_cast<float*>(std::aligned_alloc(kAlign, bytes));
  if (block == nullptr) throw std::bad_alloc();
  return {block, [shelf = shelf_, bytes](float* returned) {
            const std::lock_guard<std::mutex> lock(shelf->mutex);
            shelf->free[bytes].push_back(returned);
          }};
}

Tensor::Tensor(Pool& pool, int samples_, int channels_, Size3 size_, Size3 before_, Size3 after_)
    : samples(samples_), channels(channels_), size(size_), before(before_), after(after_) {
  double floats = static_cast<double>(samples) * channels;
  bool valid = samples > 0 && channels > 0;
  for (int axis = 0; axis < 3; ++axis) {
    valid = valid && size[axis] > 0 && before[axis] >= 0 && after[axis] >= 0;
    floats *= static_cast<double>(size[axis]) + before[axis] + after[axis];
  }
  if (!valid || floats > 1e12) throw std::invalid_argument("tensor with an impossible size");
  blocks = (channels + kBlock - 1) / kBlock;
  row_stride = static_cast<std::int64_t>(before[2] + size[2] + after[2]) * kBlock;
  plane_stride = row_stride * (before[1] + size[1] + after[1]);
  block_stride = plane_stride * (before[0] + size[0] + after[0]);
  sample_stride = block_stride * blocks;
  memory_ = pool.take(static_cast<std::size_t>(sample_stride) * samples);
  origin_ = memory_.get() + before[0] * plane_stride + before[1] * row_stride + before[2] * kBlock;
  clear_halo();
}

void Tensor::clear_halo() {
  if (before == Size3{} && after == Size3{}) return;
  const std::int64_t planes = before[0] + size[0] + after[0], rows = before[1] + size[1] + after[1];
  for (std::int64_t map = 0; map < static_cast<std::int64_t>(samples) * blocks; ++map)
    for (std::int64_t p = 0; p < planes; ++p)
      for (std::int64_t r = 0; r < rows; ++r) {
        float* line = memory_.get() + map * block_stride + p * plane_stride + r * row_stride;
        const bool inner = p >= before[0] && p < before[0] + size[0] && r >= before[1] && r < before[1] + size[1];
        if (inner) {
          std::fill_n(line, before[2] * kBlock, 0.0f);
          std::fill_n(line + (before[2] + size[2]) * kBlock, after[2] * kBlock, 0.0f);
        } else {
          std::fill_n(line, row_stride, 0.0f);
        }
      }
}

void Tensor::load(const float* from, const std::array<std::int64_t, 5>& strides, int threads) {
  parallel_for(threads, static_cast<long>(samples) * blocks, vectors(), [&](long map) {
    const std::int64_t n = map / blocks, b = map % blocks;
    const int lanes = std::min<int>(kBlock, channels - static_cast<int>(b) * kBlock);
    for (int d = 0; d < size[0]; ++d)
      for (int h = 0; h < size[1]; ++h) {
        const float* source = from + n * strides[0] + b * kBlock * strides[1] + d * strides[2] + h * strides[3];
        float* line = row(n, b, d, h);
        for (int w = 0; w < size[2]; ++w, line += kBlock, source += strides[4])
          for (int c = 0; c < kBlock; ++c) line[c] = c < lanes ? source[c * strides[1]] : 0.0f;
      }
  });
}

void Tensor::store(float* to, int threads) const {
  parallel_for(threads, static_cast<long>(samples) * blocks, vectors(), [&](long map) {
    const std::int64_t n = map / blocks, b = map % blocks;
    const int lanes = std::min<int>(kBlock, channels - static_cast<int>(b) * kBlock);
    for (int c = 0; c < lanes; ++c) {
      float* target = to + (n * channels + b * kBlock + c) * pixels();
      for (int d = 0; d < size[0]; ++d)
        for (int h = 0; h < size[1]; ++h) {
          const float* line = row(n, b, d, h) + c;
          for (int w = 0; w < size[2]; ++w) *target++ = line[w * kBlock];
        }
    }
  });
}

void Tensor::fill(float value, int threads) const {
  parallel_for(threads, static_cast<long>(samples) * blocks, vectors(), [&](long map) {
    for (int d = 0; d < size[0]; ++d)
      for (int h = 0; h < size[1]; ++h) std::fill_n(row(map / blocks, map % blocks, d, h), size[2] * kBlock, value);
  });
}

void copy_channels(const Tensor& source, int from, const Tensor& target, int to, int count, int threads) {
  if (source.samples != target.samples || source.size != target.size || from < 0 || to < 0 || count < 1 ||
      from + count > source.channels || to + count > target.channels)
    throw std::invalid_argument("copy_channels: maps of other sizes, or channels that are not there");
  const int first = to / kBlock, last = (to + count - 1) / kBlock;
  const double work = target.vectors() * (last - first + 1) / target.blocks;
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

}  // namespace lrpfast
