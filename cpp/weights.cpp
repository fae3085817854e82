#include "weights.h"

#include <algorithm>
#include <stdexcept>

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

PackedWeights::PackedWeights(const float* weights, int outputs, int inputs_per_group, int taps_, int groups,
                             bool adjoint_)
    : taps(taps_), adjoint(adjoint_) {
  if (outputs < 1 || inputs_per_group < 1 || taps < 1 || groups < 1 || outputs % groups != 0)
    throw std::invalid_argument("weights whose channels do not divide into their groups");
  const int inputs = inputs_per_group * groups;
  source_channels = adjoint ? outputs : inputs;
  target_channels = adjoint ? inputs : outputs;
  if (groups == 1 && source_channels >= kBlock && target_channels <= kNarrow * kBlock)
    targets = targets_with_weights(weights, outputs, inputs, taps, adjoint);
  if (groups > 1 && inputs == groups && outputs == groups)
    form = Form::depthwise;
  else
    form = !targets.empty() && targets.size() <= kNarrow ? Form::narrow : Form::dense;
  switch (form) {
    case Form::depthwise:
      pack_depthwise(weights);
      break;
    case Form::narrow:
      pack_narrow(weights, inputs);
      break;
    case Form::dense:
      pack_panels(weights, inputs_per_group, groups);
      break;
  }
}

void PackedWeights::pack_depthwise(const float* weights) {
  floats_ = static_cast<std::int64_t>(blocks_of(target_channels)) * taps * kBlock;
  memory_ = pool_.take(floats_);
  for (int block = 0; block < blocks_of(target_channels); ++block)
    for (int tap = 0; tap < taps; ++tap)
      for (int lane = 0; lane < kBlock; ++lane) {
        const int channel = block * kBlock + lane;
        memory_.block.get()[(static_cast<std::int64_t>(block) * taps + tap) * kBlock + lane] =
            channel < target_channels ? weights[static_cast<std::int64_t>(channel) * taps + tap] : 0.0f;
      }
}

void PackedWeights::pack_narrow(const float* weights, int inputs) {
  const int blocks = blocks_of(source_channels);
  floats_ = static_cast<std::int64_t>(blocks) * taps * static_cast<std::int64_t>(targets.size()) * kBlock;
  memory_ = pool_.take(floats_);
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

void PackedWeights::pack_panels(const float* weights, int inputs_per_group, int groups) {
  const int target_group = target_channels / groups, source_group = source_channels / groups;
  const int blocks = blocks_of(target_channels);
  // Narrow panels for groups, so that a panel does not multiply by the zeros between them.
  const int widest = groups == 1 ? kernels().max_panel : std::clamp(target_group / kBlock, 1, kernels().max_panel);
  const int count = (blocks + widest - 1) / widest;
  for (int i = 0; i < count; ++i) {
    const int begin = static_cast<int>(static_cast<std::int64_t>(blocks) * i / count);
    const int end = static_cast<int>(static_cast<std::int64_t>(blocks) * (i + 1) / count);
    const int first_group = begin * kBlock / target_group;
    const int last_group = (std::min(end * kBlock, target_channels) - 1) / target_group;
    const int first_source = first_group * source_group, past_source = (last_group + 1) * source_group;
    const int first_block = first_source / kBlock, input_blocks = blocks_of(past_source) - first_block;
    const int last_channels = past_source - (first_block + input_blocks - 1) * kBlock;
    panels.push_back({begin, end - begin, first_block, input_blocks, last_channels, floats_});
    const std::int64_t channels = (input_blocks - 1) * kBlock + last_channels;
    floats_ += channels * taps * (end - begin) * kBlock;
  }
  memory_ = pool_.take(floats_);
  float* packed = memory_.block.get();
  for (const Panel& panel : panels)
    for (int block = 0; block < panel.input_blocks; ++block) {
      const int channels = block + 1 < panel.input_blocks ? kBlock : panel.last_channels;
      for (int tap = 0; tap < taps; ++tap)
        for (int k = 0; k < channels; ++k)
          for (int lane = 0; lane < panel.output_blocks * kBlock; ++lane) {
            const int source = (panel.first_input_block + block) * kBlock + k;
            const int target = panel.first_output_block * kBlock + lane;
            const bool linked = target < target_channels && source / source_group == target / target_group;
            const int output = adjoint ? source : target, input = adjoint ? target : source;
            *packed++ =
                linked
                    ? weights[(static_cast<std::int64_t>(output) * inputs_per_group + input % inputs_per_group) * taps +
                              tap]
                    : 0.0f;
          }
    }
}

}  // namespace lrpfast
