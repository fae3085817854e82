// The kernels of one instruction set, collected.
#include "vector.h"

#define LRPFAST_TEXT(name) #name
#define LRPFAST_NAME(name) LRPFAST_TEXT(name)

namespace lrpfast {
namespace LRPFAST_ISA {

void convolve(const ConvolutionTask&);
void depthwise(const DepthwiseTask&);
void activate(const FunctionParameters&, const float*, const float*, float*, long);
void activation_relevance(ActivationRule, const FunctionParameters&, const float*, const float*, const float*, float*,
                          long);
void part(float, float, const float*, float*, long);
void quotient(const QuotientTask&, QuotientSums&, long);
void contribute(float, float, float, const float*, const float*, bool, float*, long);
void affine(const float*, const float*, const float*, float*, long);
void add(const float*, const float*, float*, long);
double sum(const float*, long);
void max_pool(const PoolTask&, float*, int32_t*);
void max_unpool(const PoolTask&, const float*, const int32_t*, float*);
void sum_pool(const PoolTask&, const float*, float*);
void sum_unpool(const PoolTask&, const float*, const float*, float*);

const KernelTable& table() {
  static const KernelTable kTable = {LRPFAST_NAME(LRPFAST_ISA),
                                     kLanes == kBlock ? 4 : 1,
                                     convolve,
                                     depthwise,
                                     activate,
                                     activation_relevance,
                                     part,
                                     quotient,
                                     contribute,
                                     affine,
                                     add,
                                     sum,
                                     max_pool,
                                     max_unpool,
                                     sum_pool,
                                     sum_unpool};
  return kTable;
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
