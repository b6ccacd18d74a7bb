// SPDX-License-Identifier: GPL-3.0-or-later
// The passes over one tile. CMake compiles this file once for each instruction set, with SMALTI_ISA naming it.
#include "isa_names.h"
#include "tile_backward.h"
#include "tile_candidates.h"
#include "tile_forward.h"
#include "tiles.h"

namespace smalti {

TileKernels SMALTI_JOIN(SMALTI_ISA, _kernels)() {
    return {SMALTI_TEXT(SMALTI_ISA), SMALTI_ISA::forward, SMALTI_ISA::pixel_weights, SMALTI_ISA::backward,
            SMALTI_ISA::step,        SMALTI_ISA::show,    SMALTI_ISA::candidates};
}

}  // namespace smalti
