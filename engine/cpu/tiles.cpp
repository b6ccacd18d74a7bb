// SPDX-License-Identifier: GPL-3.0-or-later
// The passes over one tile. CMake compiles this file once for each instruction set, with SMALTI_ISA naming it.
#include "tile_backward.h"
#include "tile_candidates.h"
#include "tile_forward.h"
#include "tiles.h"

namespace smalti {

#define SMALTI_JOIN2(a, b) a##b
#define SMALTI_JOIN(a, b) SMALTI_JOIN2(a, b)
#define SMALTI_TEXT2(a) #a
#define SMALTI_TEXT(a) SMALTI_TEXT2(a)

TileKernels SMALTI_JOIN(SMALTI_ISA, _kernels)() {
    return {SMALTI_TEXT(SMALTI_ISA), SMALTI_ISA::forward, SMALTI_ISA::backward, SMALTI_ISA::step,
            SMALTI_ISA::candidates};
}

}  // namespace smalti
