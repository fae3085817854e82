// Tensors in the blocked layout of the kernels, on memory that is used again from call to call.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/kernels.h"
#include "pool.h"
#include "program.h"

namespace lrpfast {

using Size3 = std::array<int, 3>;  // plane, row, column

inline int quotient_up(int a, int b) { return a / b + (a % b > 0); }

// Blocks that hold so many channels.
inline int blocks_of(int channels) { return quotient_up(channels, kBlock); }

// Layout [sample][block][plane][row][column][16] with a halo of zeros around each map.
//
// An image of few channels, whose width is a multiple of 16, may be held in planes: its channels are the planes of such
// a tensor, and 16 columns of a row are in the lanes. In memory it lies as callers have it.
class Tensor {
 public:
  // Uninitialised but for the halo. Throws std::invalid_argument if a size is not positive or the whole is too large.
  Tensor(Pool& pool, int samples, int channels, Size3 size, Size3 before, Size3 after);

  int samples, channels, blocks;
  Size3 size, before, after;
  std::int64_t sample_stride, block_stride, plane_stride, row_stride, column_stride = kBlock;  // in floats

  // The same memory, seen as `count` channels from `first` on, which must begin a block; std::invalid_argument if not.
  // What shares the last block with them must be zeros.
  Tensor channels_from(int first, int count) const;

  // An image in planes, as a map of one channel, whose planes are the channels of the image: pixels of one float.
  // std::invalid_argument if this is none.
  Tensor image() const;

  // The same place, for a step to look at when it runs: keeps the memory alive, but does not keep it from being handed
  // out again.
  Tensor borrowed() const;

  bool overlaps(const Tensor& other) const;

  // The block's pixel (0, 0, 0).
  float* at(std::int64_t sample, std::int64_t block) const {
    return origin_ + sample * sample_stride + block * block_stride;
  }
  float* row(std::int64_t sample, std::int64_t block, std::int64_t plane, std::int64_t line) const {
    return at(sample, block) + plane * plane_stride + line * row_stride;
  }
  // Vectors of 16 floats: what one pass over the tensor costs.
  double vectors() const { return static_cast<double>(samples) * blocks * static_cast<double>(pixels()); }
  long maps() const { return static_cast<long>(samples) * blocks; }
  std::int64_t pixels() const { return static_cast<std::int64_t>(size[0]) * size[1] * size[2]; }

  // Copies (samples, channels, plane, row, column) values in and out; strides in floats.
  using Strides = std::array<std::int64_t, 5>;
  void load(const float* from, const Strides& strides, int threads);
  void store(float* to, const Strides& strides, int threads) const;
  bool has_halo() const { return before != Size3{} || after != Size3{}; }
  // Zeros around some rows of a plane: beside them, and whatever of the halo lies beyond the map's ends where they
  // reach these.
  void clear_halo(std::int64_t sample, std::int64_t block, int plane, int first, int rows) const;
  // Zeros around a block's map, of all samples' one after the other.
  void clear_halo(std::int64_t map) const;
  // The block's map within the halo.
  void fill_map(std::int64_t sample, std::int64_t block, float value) const;

 private:
  float* begin() const;
  Pool::Memory memory_;
  float* origin_;
};

Step fill(const Tensor& target, float value);

// Zeros the halo, as making the tensor did, for memory that others have used in the meantime.
Step clear_halo(const Tensor& target);

// Channels [from, from + count) of `source` into channels [to, ...) of `target`; both maps of one size.
Step copy_channels(const Tensor& source, int from, const Tensor& target, int to, int count);

}  // namespace lrpfast
