// What the kernels of every instruction set offer, as plain structs and function pointers.
#pragma once

#include <stdint.h>

namespace lrpfast {

constexpr int kBlock = 16;  // channels in a block: the innermost axis of every tensor

// Where one tap of a convolution reads, relative to the pixel (in floats), and which tap of the packed weights it is.
struct Tap {
  long input;
  long index;
};

// Output blocks of one panel at some pixels of one sample.
struct ConvolutionTask {
  const float* input;  // first input block of the panel, at the pixel (0, 0, 0)
  long input_block;    // floats from one input block to the next
  int blocks;          // input blocks to sum over
  int last_channels;   // channels of the last of them, 1 to 16
  const Tap* taps;
  int tap_count;
  int kernel_taps;       // taps in the packed weights, of which `taps` may be some
  const float* weights;  // [block][tap][channel][panel blocks][16]
  int panel;             // output blocks of the panel
  const float* bias;     // [panel blocks][16], or null
  bool accumulate;       // add to the output instead of replacing it
  float* output;         // first output block of the panel
  long output_block;
  const long* input_pixels;  // offset of each pixel in a block, in floats
  const long* output_pixels;
  int pixels;
};

struct DepthwiseTask {
  const float* input;
  const Tap* taps;
  int tap_count;
  const float* weights;  // [tap][16]
  const float* bias;     // [16], or null
  bool accumulate;
  float* output;
  const long* input_pixels;
  const long* output_pixels;
  int pixels;
};

enum class Function : int { relu, leaky_relu, clip, sigmoid, tanh, elu, hard_sigmoid, hard_swish };

struct FunctionParameters {
  Function function;
  float alpha, beta, low, high;
};

enum class ActivationRule : int { gradient, deconvnet, guided_backprop, beta_smooth };

enum class Gate : int { open, positive, negative };

// Sums over a row that the audit needs, 16 lanes added up.
struct QuotientSums {
  double bias, stabilizer, quotients;
};

// s = share * gate(own) * r / stab(z)
struct QuotientTask {
  const float *r, *z, *own;  // own: pre-activation that the gate looks at (null if open)
  const float* bias;         // [16], the bias in z, for the account; or null
  Gate gate;
  float share, stabilizer;
  float* s;
};

// One row of windows of a pool over one block of channels. Sizes are plane, row, column.
struct PoolTask {
  const float* input;  // block of channels at (0, 0, 0), or where relevance is gathered from the windows
  long input_plane, input_row;
  int size[3], kernel[3], strides[3], dilations[3];
  int origin[3];  // first tap of the row's first window; may lie outside the map
  int windows;
};

struct KernelTable {
  const char* name;
  int max_panel;  // output blocks of a panel of packed weights, at most
  void (*convolve)(const ConvolutionTask&);
  void (*depthwise)(const DepthwiseTask&);
  // Elementwise, on `count` floats (a multiple of 16).
  void (*activate)(const FunctionParameters&, const float* x, const float* slope, float* y, long count);
  void (*activation_relevance)(ActivationRule, const FunctionParameters&, const float* x, const float* slope,
                               const float* r, float* out, long count);
  void (*part)(float positive, float negative, const float* x, float* y, long count);
  void (*quotient)(const QuotientTask&, QuotientSums& sums, long count);
  // out (+)= sign * part(a) * c
  void (*contribute)(float positive, float negative, float sign, const float* a, const float* c, bool accumulate,
                     float* out, long count);
  void (*affine)(const float* x, const float* scale, const float* shift, float* y, long count);
  void (*add)(const float* x, const float* y, float* out, long count);
  double (*sum)(const float* x, long count);
  // Pools: values and int32 winners per window; `factors` one per window.
  void (*max_pool)(const PoolTask&, float* output, int32_t* winners);
  void (*max_unpool)(const PoolTask&, const float* r, const int32_t* winners, float* out);
  void (*sum_pool)(const PoolTask&, const float* factors, float* output);
  void (*sum_unpool)(const PoolTask&, const float* factors, const float* s, float* out);
};

namespace baseline {
const KernelTable& table();
}
namespace avx2 {
const KernelTable& table();
}
namespace avx512 {
const KernelTable& table();
}

}  // namespace lrpfast
