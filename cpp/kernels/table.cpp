// The kernels of one instruction set, collected.
#include "vector.h"

#define LRPFAST_TEXT(name) #name
#define LRPFAST_NAME(name) LRPFAST_TEXT(name)

namespace lrpfast {
namespace LRPFAST_ISA {

void convolve(const ConvolutionTask&);
void narrow(const NarrowTask&);
void depthwise(const DepthwiseTask&);
void winograd_input(const WinogradInput&);
void winograd_multiply(const WinogradProduct&);
void winograd_output(const WinogradOutput&);
void skip(const SkipTask&);
void skip_by_sign(const SkipTask&, const BySign&);
void patch(const PatchTask&);
long nonzeros(const float*, long);
void activate(const FunctionParameters&, const float*, In, In, Out, Area);
void activation_relevance(ActivationRule, const FunctionParameters&, In, In, In, Out, Area);
void part(float, float, In, Out, Area);
void quotient(const QuotientTask&, QuotientSums&, Area);
float contribute(const ContributionTask&, Area);
void affine(In, In, In, Out, Area);
void add(In, In, Out, Area);
double sum(In, Area);
void sum_channels(In, long, int, Out, Area);
void max_pool(const PoolTask&, float*, int32_t*);
void max_unpool(const PoolTask&, const float*, const int32_t*, float*);
void share_pool(const PoolTask&, PoolShare, float, const float*, float*);
void sum_pool(const PoolTask&, const float*, float*);
void sum_unpool(const PoolTask&, const float*, const float*, float*);

const KernelTable& table() {
  static const KernelTable kTable = {LRPFAST_NAME(LRPFAST_ISA),
                                     {kLanes == kBlock ? 4 : 1, kLanes == kBlock ? 3 : 1, 1},
                                     convolve,
                                     narrow,
                                     depthwise,
                                     kLanes == kBlock ? 2 : 1,
                                     winograd_input,
                                     winograd_multiply,
                                     winograd_output,
                                     4 / kVectors,
                                     skip,
                                     skip_by_sign,
                                     patch,
                                     nonzeros,
                                     activate,
                                     activation_relevance,
                                     part,
                                     quotient,
                                     contribute,
                                     affine,
                                     add,
                                     sum,
                                     sum_channels,
                                     max_pool,
                                     max_unpool,
                                     share_pool,
                                     sum_pool,
                                     sum_unpool};
  return kTable;
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
