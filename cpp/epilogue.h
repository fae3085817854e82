// What happens to the values of a linear map as soon as they are computed, while they are in the cache: bias,
// activation and pooling on the way forward, division by the denominator and multiplication by the input on the way
// back.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/kernels.h"
#include "tensor.h"

namespace lrpfast {

// How the kernel of a convolution or pool slides; `before` is the padding ahead of the first element of each axis.
struct Window {
  Size3 kernel, strides, dilations, before;
};

// Some rows of one block of one sample's map, just computed: values[row][column][16], rows `row` floats apart.
struct Stretch {
  std::int64_t sample;
  int block, plane, first_row, rows;
  const float* values;
  long row;
};

// A float for each channel, zeros behind the last, in whole blocks.
using Lanes = std::vector<float>;

// Takes up a map in stretches, each part of it once, from several threads at once. One epilogue belongs to one step.
class Epilogue {
 public:
  // Of the map that is taken up.
  const int maps, channels;  // samples, and channels of each
  const Size3 size;
  // Stretches begin at multiples of this many rows, and have a multiple of it unless they end the map.
  const int row_step;

  virtual ~Epilogue() = default;
  Epilogue(const Epilogue&) = delete;
  Epilogue& operator=(const Epilogue&) = delete;
  virtual void take(const Stretch& stretch) = 0;
  // Whether it writes to memory of the tensor, which then cannot be what the map is computed from.
  virtual bool writes_to(const Tensor& tensor) const = 0;
  // The tensor whose rows are written where the map's are taken up, block for block; null if it is not as simple.
  virtual const Tensor* destination() const { return nullptr; }
  // So many blocks of the same rows have to come one after the other, from the first on.
  virtual int blocks_together() const { return 1; }
  // If it takes an image up in planes, the channels of that: the stretch of a block and of one of its first channels
  // then holds values[row][column] of that channel, which `plane` numbers. 0: maps come in blocks.
  virtual int planes() const { return 0; }
  // What the values are multiplied with, whose signs may choose the weights; null if they are not. It may have fewer
  // samples: as many explanations of each share it.
  virtual const Tensor* factors() const { return nullptr; }
  // The rows of the factors that a stretch of the map meets.
  In factor_rows(std::int64_t sample, int block, int plane, int first_row) const;
  int blocks() const { return blocks_of(channels); }

 protected:
  Epilogue(int maps, int channels, Size3 size, int row_step);
  Area area(const Stretch& stretch) const { return {stretch.rows, static_cast<long>(size[2]) * kBlock}; }
};

// A max pool whose windows lie side by side, so that a stretch holds whole windows.
struct SidePool {
  Window window;
  Tensor winners;  // as in pooling.h, like the margin
  float margin = 0;
};

// y = function(values + bias), and the largest of each window if there is a pool.
class Activation : public Epilogue {
 public:
  struct Pool {
    SidePool side;
    Tensor values;
  };
  // `y` may be left out if there is a pool; `slope` has one sample, or none.
  Activation(int samples, int channels, Size3 size, FunctionParameters function, Lanes bias,
             std::optional<Tensor> slope, std::optional<Tensor> y, std::optional<Pool> pool);
  void take(const Stretch& stretch) override;
  bool writes_to(const Tensor& tensor) const override;
  const Tensor* destination() const override { return y_ ? &*y_ : nullptr; }

 private:
  void clear_unused_lanes(Out y, Area rows_of_y) const;
  void pool_rows(const Stretch& stretch, In y) const;
  FunctionParameters function_;
  Lanes bias_;
  std::optional<Tensor> slope_, y_;
  std::optional<Pool> pool_;
};

// s = share * gate(own) * r / stab(of_own * own + of_values * values + bias - within + constant), with the sums that
// the audit needs.
//
// Groups of a rule may be stacked: s then holds one map after the other, each as many whole blocks as r, and so do the
// values, unless one map is for all groups. r and s may have T samples for each of `values`. The halo of s is cleared
// with its rows.
//
// Without s, the quotients of a stretch stay in memory of the thread that took it up, for whoever reads them next.
class Quotient : public Epilogue, public Figures {
 public:
  struct Group {
    Gate gate;
    float share, of_own = 0, of_values = 1;
  };
  struct Terms {
    Tensor r;
    std::optional<Tensor> s;
    std::optional<SidePool> pool;  // r is that of its windows; asks for s
    std::vector<Group> groups;
    float stabilizer;
    Lanes bias, within;  // stacked like the groups; may be empty
    std::optional<Tensor> constant, own;
    bool shared;  // one map of values for all groups
    float noise;  // as in QuotientTask, for groups that take relevance away: theirs may be 0 where relevance is not
  };
  Quotient(int samples, Terms terms);
  void take(const Stretch& stretch) override;
  bool writes_to(const Tensor& tensor) const override;
  const Tensor* destination() const override {
    return terms_.s && !terms_.shared && explanations_ == 1 ? &*terms_.s : nullptr;
  }
  // Received, absorbed by the bias, by the stabilizer, and handled, for each sample of r.
  int samples() const override { return terms_.r.samples; }
  int columns() const override { return 4; }
  void write(double* to, int row) const override;

  bool keeps() const { return terms_.s.has_value(); }
  int explanations() const { return explanations_; }
  int quotient_blocks() const { return static_cast<int>(terms_.groups.size()) * terms_.r.blocks; }
  // Without s: the quotients [explanation][block][row][column][16] of the rows that this thread took up last.
  float* quotients(int rows) const;

 private:
  void take(const Stretch& stretch, int group);
  Terms terms_;
  int explanations_;
  std::vector<QuotientSums> rows_;  // at the first row of each stretch
};

// Rows of the outputs of a tile of Winograd's algorithm.
constexpr int kTileRows = 4;

// out (+)= (positive max(a, 0) + negative min(a, 0) + fixed) * values, with the sum of what was handed down.
//
// There may be several parts of `a`: the values then hold one map after the other, each as many whole blocks as out,
// and out gets the sum of the products.
//
// In planes all tensors are images in that layout, and so do the values come, a block for each part.
class Contribution : public Epilogue, public Figures {
 public:
  struct Part {
    float positive, negative;
    std::optional<Tensor> fixed;  // one sample, or one row of it for all
  };
  Contribution(Tensor a, Tensor out, bool accumulate, std::vector<Part> parts, bool in_planes);
  void take(const Stretch& stretch) override;
  bool writes_to(const Tensor& tensor) const override;
  const Tensor* destination() const override { return parts_.size() == 1 && !in_planes_ ? &out_ : nullptr; }
  const Tensor* factors() const override { return parts_.size() == 1 && !in_planes_ ? &a_ : nullptr; }
  int blocks_together() const override { return parts_.size() > 1 ? blocks() : 1; }
  int planes() const override { return in_planes_ ? out_.size[0] : 0; }
  // What was handed down, for each sample of out.
  int samples() const override { return out_.samples; }
  int columns() const override { return 1; }
  void write(double* to, int row) const override;

 private:
  In fixed_rows(const Part& part, int block, const Stretch& stretch) const;
  Tensor a_, out_;
  bool accumulate_, in_planes_;
  std::vector<Part> parts_;
  std::vector<float> rows_;
};

// What every linear map asks of its maps: as many samples and channels as its weights take from one to the other,
// memory that is not shared, and an epilogue that needs no more blocks together than come so, or planes, than come.
// std::invalid_argument if not; `step` names the map in the message.
void check_maps(const char* step, int source_channels, int target_channels, const Tensor& source,
                const Epilogue& epilogue, int blocks_together = 1, bool in_planes = false);

// A step that takes up the sum of some tensors.
Step take_up(const std::vector<Tensor>& terms, std::shared_ptr<Epilogue> epilogue);

// Aligned memory of this thread, at least so many floats, for what lives no longer than a task. Two uses that overlap
// in time take two drawers.
float* scratch(int drawer, std::size_t floats);

}  // namespace lrpfast
