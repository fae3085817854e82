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

// Memory that later work reads, to be fetched into the second level cache meanwhile; null: nothing is.
struct Ahead {
  const float* at;
  long floats;
};

// Where output blocks are going to be written when they are done, from the first one on; null: not known.
struct Destination {
  Ahead rows;  // of the first block
  long block;  // floats from one block to the next
};

// Which weights a channel has: the same for all; or two, one for values above zero, and one for the others, and the
// values are those of the source, or what the results are going to be multiplied with.
enum class Choice { none, by_source, by_target };

// Output blocks of one panel at some pixels of one sample.
struct ConvolutionTask {
  const float* input;  // first input block of the panel, at the pixel (0, 0, 0)
  long input_block;    // floats from one input block to the next
  int blocks;          // input blocks to sum over
  int last_channels;   // channels of the last of them, 1 to 16
  const Tap* taps;
  int tap_count;
  int kernel_taps;       // taps in the packed weights, of which `taps` may be some
  const float* weights;  // [block][tap][channel][choices][panel blocks][16]
  Choice choice;
  const float* signs;  // values that choose by target: of the first output block; null for other choices
  long sign_block;
  const long* sign_pixels;  // offset of each pixel there
  int panel;                // output blocks of the panel
  Ahead next_weights;
  Ahead next_input;  // of the first input block; of the others the same
  Ahead upcoming;    // weights of a step behind this one
  Destination destination;
  float* output;  // first output block of the panel
  long output_block;
  const long* input_pixels;  // offset of each pixel in a block, in floats
  const long* output_pixels;
  int pixels;
};

constexpr int kNarrow = 6;  // output channels of a narrow convolution, at most

// All output channels that are not zero, of which there are few, at some pixels of one sample.
struct NarrowTask {
  const float* input;
  long input_block;
  int blocks;
  const Tap* taps;
  int tap_count, kernel_taps;
  const float* weights;  // [block][tap][target][16 input channels]
  int targets;           // 1 to kNarrow
  long target[kNarrow];  // where each goes, from the first place of the pixel on
  Ahead next_input;      // of the first input block; of the others the same
  float* output;
  long output_block;
  int output_blocks;  // to be cleared beside the targets
  const long* input_pixels;
  const long* output_pixels;
  int pixels;
};

struct DepthwiseTask {
  const float* input;
  const Tap* taps;
  int tap_count;
  int run;  // so many taps after each other lie side by side in the input, and so do so many pixels; or both are 1
  int row;
  const float* weights;  // [tap][16]
  Ahead next_input, upcoming;
  Destination destination;
  float* output;
  const long* input_pixels;
  const long* output_pixels;
  int pixels;
};

enum class Function : int {
  identity,
  relu,
  leaky_relu,
  clip,
  sigmoid,
  tanh,
  elu,
  hard_sigmoid,
  hard_swish,
  softplus,
  softsign,
  silu,
  mish,
  gelu,
  gelu_tanh,
  erf,
  exp,
  log,
  square,
  sqrt,
  power,  // of exponent alpha
  reciprocal,
  abs
};

struct FunctionParameters {
  Function function;
  float alpha, beta, low, high;
};

enum class ActivationRule : int { gradient, deconvnet, guided_backprop, beta_smooth };

enum class Gate : int { open, positive, negative };

// Rows of one block of a map: the first float, and floats from one row to the next. Null where there are none.
struct In {
  const float* at;
  long row;
};
struct Out {
  float* at;
  long row;
};

// How many rows, and floats in each (a multiple of 16).
struct Area {
  int rows;
  long floats;
};

// Sums over an area that the audit needs, 16 lanes added up.
struct QuotientSums {
  float received, bias, stabilizer, quotients;
};

// s = share * gate(own) * r / stab(z), with z = of_own * own + of_values * values + bias - within + constant
struct QuotientTask {
  In r, values, constant, own;  // constant may be null, and own if nothing asks for it
  const float *bias, *within;   // [16], or null; what is within the values already counts for the account only
  Gate gate;
  float share, of_own, of_values, stabilizer;
  float noise;  // share of the largest value below which a denominator is rounding, and counts as 0
  Out s;
};

// out (+)= (positive max(a, 0) + negative min(a, 0)) * spread
struct ContributionTask {
  float positive, negative;
  In a, fixed, spread;  // a or fixed may be null, for zeros
  bool accumulate;
  Out out;
};

// What the relevance of a window is shared out by: its largest values, in equal parts, or all values.
enum class PoolShare { ties, values };

// One row of windows of a pool over one block of channels. Sizes are plane, row, column.
struct PoolTask {
  const float* input;  // block of channels at (0, 0, 0), or where relevance is gathered from the windows
  long input_plane, input_row;
  int size[3], kernel[3], strides[3], dilations[3];
  int origin[3];  // first tap of the row's first window; may lie outside the map
  int windows;
  // Places of a window show the same if none of 16 channels differs by more than this share of the largest value there;
  // 0: never. They are compared by `shown`, whose planes are those of the input: the input, or what it is a function
  // of.
  float margin;
  const float* shown;
  long shown_row;
};

// Winograd's F(4x4, 3x3): a tile of 4 x 4 outputs is made of 6 x 6 inputs through 36 points, each a product of matrices
// of its own.

// From one row of tiles of one block to their points.
struct WinogradInput {
  const float* input;  // the block at pixel (0, 0)
  long row;
  int size[2];    // rows and columns of the map, with zeros all around
  int origin[2];  // row and column of the first element of the first tile; may lie outside the map
  int tiles;      // each begins 4 columns after the one before
  float* points;  // point p of tile i at points[p * point + i * 16]
  long point;
};

// For one point: the output blocks of a panel of some tiles, summed over the input channels.
struct WinogradProduct {
  const float* points;  // [input block][tile][16]
  long block;           // floats from one input block to the next
  int blocks;
  const float* weights;  // [input block][16][panel][16]
  int panel;
  int tiles;
  float* out;  // [panel][tile][16]
  long out_block;
  const float* ahead;  // as many weights that are needed next, to be fetched meanwhile; or null
};

// From the points of one row of tiles of one block to rows of outputs.
struct WinogradOutput {
  const float* points;
  long point;
  int tiles;
  float* out;
  long row;
  int rows, columns;  // of outputs that are wanted: up to 4 and up to 4 * tiles
};

// One kernel row of a group of input blocks, from some rows of a map to the sums of a panel of outputs.
struct SkipTask {
  int taps;            // of the kernel row: 1 or 3
  const float* input;  // first block of the group, first pixel
  long input_block, input_column, input_row;
  int blocks;  // of the group, up to skip_blocks(taps)
  int rows, columns;
  const float* weights;  // [channel][tap][output block][16]
  int panel;             // output blocks
  float* sums;           // [panel][row][columns + taps - 1][16]: a pixel adds its tap t to column + taps - 1 - t
  long sum_block, sum_row;
  Ahead next_weights, upcoming;  // of the next group, and of a step behind this one
};

constexpr int kMostBySign = 2;  // groups of a rule

// What the signs of some values make of the weights of an adjoint, for groups of which the sources lie one behind the
// other: factors of the weights that have the sign of the value, and of the others.
struct BySign {
  const float* x;  // of the panel's first block, at the first pixel
  long block, row;
  int groups;
  long group;  // floats from the blocks of the first group to those of the second
  float same[kMostBySign], other[kMostBySign];
};

// From the pixels of a row, and some blocks of inputs, to the patches that they reach in an image of few channels.
struct PatchTask {
  const float* input;  // first block, first pixel
  long input_block, input_column;
  int blocks;  // up to kPatchBlocks
  int columns;
  const float* weights;  // [channel of the blocks][some kernel rows][width][16]
  long channel;          // floats from one channel to the next
  int rows, width;       // of kernel rows that are wanted, and of blocks of 16 floats in each
  float* image;          // the patch of the first pixel: rows of pixels, the channels of one behind those of another
  long row, column;      // floats from one row to the next, and from the patch of a pixel to that of the next one
};

// Input blocks of one task, at most.
constexpr int kPatchBlocks = 4;

// Input blocks of a group, at most.
constexpr int skip_blocks(int taps) { return taps == 1 ? 4 : 2; }

struct KernelTable {
  const char* name;
  int max_panel[3];  // output blocks of a panel of packed weights for each choice, at most
  void (*convolve)(const ConvolutionTask&);
  void (*narrow)(const NarrowTask&);
  void (*depthwise)(const DepthwiseTask&);
  int winograd_panel;  // output blocks of a panel of transformed weights, at most
  void (*winograd_input)(const WinogradInput&);
  void (*winograd_multiply)(const WinogradProduct&);
  void (*winograd_output)(const WinogradOutput&);
  int skip_panel;  // output blocks of a panel of 3 taps, at most; twice as many of one tap
  void (*skip)(const SkipTask&);
  void (*skip_by_sign)(const SkipTask&, const BySign&);  // of one tap, whose input columns are those of x
  void (*patch)(const PatchTask&);
  long (*nonzeros)(const float* x, long floats);  // how many there are; x is aligned, floats a multiple of 16
  // y = function(x + bias), with a bias of 16 floats or null, and one slope for each element or null.
  void (*activate)(const FunctionParameters&, const float* bias, In x, In slope, Out y, Area);
  void (*activation_relevance)(ActivationRule, const FunctionParameters&, In x, In slope, In r, Out out, Area);
  void (*part)(float positive, float negative, In x, Out y, Area);
  void (*quotient)(const QuotientTask&, QuotientSums& sums, Area);
  float (*contribute)(const ContributionTask&, Area);  // returns the sum of what it handed down
  void (*affine)(In x, In scale, In shift, Out y, Area);
  void (*add)(In x, In y, Out out, Area);
  double (*sum)(In x, Area);
  // y = the sum over `blocks` blocks of channels, `block` floats apart, in the first of 16 lanes; the others are zero.
  void (*sum_channels)(In x, long block, int blocks, Out y, Area);
  // Pools: values and int32 winners per window; `factors` one per window.
  void (*max_pool)(const PoolTask&, float* output, int32_t* winners);
  void (*max_unpool)(const PoolTask&, const float* r, const int32_t* winners, float* out);
  void (*share_pool)(const PoolTask&, PoolShare, float stabilizer, const float* r, float* out);
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
