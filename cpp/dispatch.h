// Which instruction set runs.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace lrpfast {

// The kernels in use: the widest instruction set of this machine, or the one that LRPFAST_ISA names.
// Throws std::runtime_error if that one is unknown or missing here.
const KernelTable& kernels();

// Names of the instruction sets that this machine can run, narrowest first.
std::vector<std::string> available_isas();

}  // namespace lrpfast
