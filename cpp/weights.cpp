#include "weights.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "dispatch.h"

namespace lrpfast {

std::vector<int> targets_with_weights(const float* weights, int outputs, int inputs, int taps, bool adjoint) {
  const int sources = adjoint ? outputs : inputs, targets = adjoint ? inputs : outputs;
  std::vector<int> found;
  for (int target = 0; target < targets; ++target) {
    bool any = false;
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(sources) * taps && !any; ++i) {
      const std::int64_t source = i / taps;
      const std::int64_t pair = adjoint ? source * inputs + target : target * inputs + source;
      any = weights[pair * taps + i % taps] != 0;
    }
    if (any) found.push_back(target);
  }
  return found;
}

PackedWeights::PackedWeights(Pool& pool, const float* weights, const float* for_negative, int outputs,
                             int inputs_per_group, int taps_, int groups, bool adjoint_)
    : taps(taps_),
      adjoint(adjoint_),
      choice(for_negative == nullptr ? Choice::none
             : adjoint_              ? Choice::by_target
                                     : Choice::by_source) {
  if (outputs < 1 || inputs_per_group < 1 || taps < 1 || groups < 1 || outputs % groups != 0)
    throw std::invalid_argument("weights whose channels do not divide into their groups");
  if (for_negative != nullptr && groups > 1)
    throw std::invalid_argument("weights by sign for several groups of channels");
  const int inputs = inputs_per_group * groups;
  source_channels = adjoint ? outputs : inputs;
  target_channels = adjoint ? inputs : outputs;
  if (groups == 1 && choice == Choice::none && source_channels >= kBlock && target_channels <= kNarrow * kBlock)
    targets = targets_with_weights(weights, outputs, inputs, taps, adjoint);
  if (groups > 1 && inputs == groups && outputs == groups)
    form = Form::depthwise;
  else
    form = !targets.empty() && targets.size() <= kNarrow ? Form::narrow : Form::dense;
  switch (form) {
    case Form::depthwise:
      pack_depthwise(pool, weights);
      break;
    case Form::narrow:
      pack_narrow(pool, weights, inputs);
      break;
    case Form::dense:
      pack_panels(pool, weights, for_negative, inputs_per_group, groups);
      break;
  }
}

void check_choice(const char* step, const PackedWeights& weights, const Epilogue& epilogue) {
  if (weights.choice == Choice::by_target && epilogue.factors() == nullptr)
    throw std::invalid_argument(std::string(step) + ": weights by sign of the factors of a map that has none");
}

void PackedWeights::pack_depthwise(Pool& pool, const float* weights) {
  floats_ = static_cast<std::int64_t>(blocks_of(target_channels)) * taps * kBlock;
  memory_ = pool.take(floats_);
  for (int block = 0; block < blocks_of(target_channels); ++block)
    for (int tap = 0; tap < taps; ++tap)
      for (int lane = 0; lane < kBlock; ++lane) {
        const int channel = block * kBlock + lane;
        memory_.block.get()[(static_cast<std::int64_t>(block) * taps + tap) * kBlock + lane] =
            channel < target_channels ? weights[static_cast<std::int64_t>(channel) * taps + tap] : 0.0f;
      }
}

void PackedWeights::pack_narrow(Pool& pool, const float* weights, int inputs) {
  const int blocks = blocks_of(source_channels);
  floats_ = static_cast<std::int64_t>(blocks) * taps * static_cast<std::int64_t>(targets.size()) * kBlock;
  memory_ = pool.take(floats_);
  float* packed = memory_.block.get();
  for (int block = 0; block < blocks; ++block)
    for (int tap = 0; tap < taps; ++tap)
      for (const int target : targets)
        for (int lane = 0; lane < kBlock; ++lane) {
          const int source = block * kBlock + lane;
          const std::int64_t output = adjoint ? source : target, input = adjoint ? target : source;
          *packed++ = source < source_channels ? weights[(output * inputs + input) * taps + tap] : 0.0f;
        }
}

void PackedWeights::pack_panels(Pool& pool, const float* weights, const float* for_negative, int inputs_per_group,
                                int groups) {
  const int target_group = target_channels / groups, source_group = source_channels / groups;
  const int choices = choice == Choice::none ? 1 : 2;  // weights for a pair of channels
  const int blocks = blocks_of(target_channels);
  // Narrow panels for groups, so that a panel does not multiply by the zeros between them.
  const int most = kernels().max_panel[static_cast<int>(choice)];
  const int widest = groups == 1 ? most : std::clamp(target_group / kBlock, 1, most);
  const int count = (blocks + widest - 1) / widest;
  for (int i = 0; i < count; ++i) {
    const int begin = static_cast<int>(static_cast<std::int64_t>(blocks) * i / count);
    const int end = static_cast<int>(static_cast<std::int64_t>(blocks) * (i + 1) / count);
    const int first_group = begin * kBlock / target_group;
    const int last_group = (std::min(end * kBlock, target_channels) - 1) / target_group;
    const int first_source = first_group * source_group, past_source = (last_group + 1) * source_group;
    const int first_block = first_source / kBlock, input_blocks = blocks_of(past_source) - first_block;
    const int last_channels = past_source - (first_block + input_blocks - 1) * kBlock;
    const std::int64_t channels = (input_blocks - 1) * kBlock + last_channels;
    panels.push_back({begin, end - begin, first_block, input_blocks, last_channels, floats_});
    floats_ += channels * taps * (end - begin) * choices * kBlock;
  }
  memory_ = pool.take(floats_);
  float* packed = memory_.block.get();
  const auto weight = [&](int source, int target, int tap, bool negative) {
    const bool linked = target < target_channels && source / source_group == target / target_group;
    if (!linked) return 0.0f;
    const std::int64_t output = adjoint ? source : target, input = (adjoint ? target : source) % inputs_per_group;
    return (negative ? for_negative : weights)[(output * inputs_per_group + input) * taps + tap];
  };
  for (const Panel& panel : panels)
    for (int block = 0; block < panel.input_blocks; ++block) {
      const int channels = block + 1 < panel.input_blocks ? kBlock : panel.last_channels;
      for (int tap = 0; tap < taps; ++tap)
        for (int k = 0; k < channels; ++k)
          for (int chosen = 0; chosen < choices; ++chosen)
            for (int b = panel.first_output_block; b < panel.first_output_block + panel.output_blocks; ++b)
              for (int lane = 0; lane < kBlock; ++lane)
                *packed++ = weight((panel.first_input_block + block) * kBlock + k, b * kBlock + lane, tap, chosen > 0);
    }
}

}  // namespace lrpfast
