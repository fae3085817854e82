// Tensors in the blocked layout of the kernels, on memory that is used again from call to call.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace lrpfast {

using Size3 = std::array<int, 3>;  // plane, row, column

// Hands out aligned memory and takes it back for the next request of that size: fresh pages cost more than the
// arithmetic on them. May be used from many threads; memory still lent out when the pool dies is freed on return.
class Pool {
 public:
  Pool();
  std::shared_ptr<float> take(std::size_t floats);

 private:
  struct Shelf;
  std::shared_ptr<Shelf> shelf_;
};

// Layout [sample][block][plane][row][column][16] with a halo of zeros around each map.
class Tensor {
 public:
  // Uninitialised but for the halo. Throws std::invalid_argument if a size is not positive or the whole is too large.
  Tensor(Pool& pool, int samples, int channels, Size3 size, Size3 before, Size3 after);

  int samples, channels, blocks;
  Size3 size, before, after;
  std::int64_t sample_stride, block_stride, plane_stride, row_stride;  // in floats

  // The block's pixel (0, 0, 0).
  float* at(std::int64_t sample, std::int64_t block) const {
    return origin_ + sample * sample_stride + block * block_stride;
  }
  float* row(std::int64_t sample, std::int64_t block, std::int64_t plane, std::int64_t line) const {
    return at(sample, block) + plane * plane_stride + line * row_stride;
  }
  // Vectors of 16 floats: what one pass over the tensor costs.
  double vectors() const { return static_cast<double>(samples) * blocks * static_cast<double>(pixels()); }
  std::int64_t pixels() const { return static_cast<std::int64_t>(size[0]) * size[1] * size[2]; }

  // Copies (samples, channels, plane, row, column) values in and out; strides in floats.
  void load(const float* from, const std::array<std::int64_t, 5>& strides, int threads);
  void store(float* to, int threads) const;
  void fill(float value, int threads) const;

 private:
  void clear_halo();
  std::shared_ptr<float> memory_;
  float* origin_;
};

// Channels [from, from + count) of `source` into channels [to, ...) of `target`; both maps of one size.
void copy_channels(const Tensor& source, int from, const Tensor& target, int to, int count, int threads);

}  // namespace lrpfast
