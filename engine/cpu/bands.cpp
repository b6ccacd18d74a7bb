// SPDX-License-Identifier: GPL-3.0-or-later
// The passes over bands of rows. CMake compiles this file once for each instruction set, with SMALTI_ISA naming it.
#include "isa_names.h"
#include "neighbourhood_bands.h"

namespace smalti {

BandKernels<float> SMALTI_JOIN(SMALTI_ISA, _band_kernels)() { return SMALTI_ISA::band_kernels<float>(); }

}  // namespace smalti
