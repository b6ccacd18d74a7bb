// SPDX-License-Identifier: GPL-3.0-or-later
// The work inside one tile, compiled once for each instruction set.
#pragma once

#include <vector>

#include "../kernels/candidate.h"
#include "../kernels/pixel_loss.h"
#include "plan.h"

namespace smalti {

// Gradients of one (sprite, tile) pair. Those of the map are taken over the tile's own pixel coordinates (column, row),
// counted from its first pixel's center, which keeps single precision exact enough on any canvas.
struct PairGradient {
    float du, du_column, du_row;
    float dv, dv_column, dv_row;
    float lod;
    float opacity;
    float tint[3];
};

// What a backward pass stores between its two walks through a tile; grows to the deepest tile and is kept.
struct Scratch {
    std::vector<float> values;
    std::vector<int> rows;  // for each sprite of the tile, a bit for each row of pixels that it touches
    std::size_t used = 0;   // of `values`
};

// A loss that is a sum of terms, over an opaque background.
struct LossTerms {
    PixelFactors<float> pixel;  // for sums over pixels and channels of color
    float alpha;                // for the squared difference of the sprites' alpha and the target's
    const float* weights;       // [height, width], or null for 1 everywhere
    const float* target_alpha;  // [height, width]
    const float* gradient;      // [3, height, width], of further terms by the display-encoded colors; or null
};

// What a picture is compared with: its loss is the sum over pixels and channels of the squared (or absolute) difference
// to `image` [height, width, 4], and `scale` times that sum is differentiated.
struct Goal {
    const float* image = nullptr;
    float scale = 1.0f;
    bool absolute = false;
    // Whether the picture is in linear light, and display-encoded before it is compared; `image` is encoded then.
    bool encoded = false;
    // Instead of over the scene's background, picture and `image` (transparent, and not encoded then) are both
    // composited over the noise of this key, see display.h.
    bool on_noise = false;
    std::uint32_t noise_key = 0;
    // What is differentiated instead of the squared difference; the loss that is returned remains that, over colors.
    const LossTerms* terms = nullptr;
};

// How much of a pixel's color is a sprite's: its alpha there times the transmittance of what lies above it.
struct PixelWeight {
    std::int32_t sprite, pixel;  // pixel: row * width + column
    float weight;
};

struct TileKernels {
    const char* name;
    // Composites one tile into image [height, width, 4], premultiplied.
    void (*forward)(const Scene& scene, const Plan& plan, int tile, float* image);
    // Appends the blending weights of at least `least` at one tile's pixels.
    void (*pixel_weights)(const Scene& scene, const Plan& plan, int tile, float least, std::vector<PixelWeight>& to);
    // Writes the gradients of the tile's pairs into gradients[pair]; grad_image has the image's shape.
    void (*backward)(const Scene& scene, const Plan& plan, int tile, const float* grad_image, PairGradient* gradients,
                     Scratch& scratch);
    // Composites, compares and differentiates the tile at once; returns its part of the loss, not scaled.
    double (*step)(const Scene& scene, const Plan& plan, int tile, const Goal& goal, PairGradient* gradients,
                   Scratch& scratch);
    // Writes the display-encoded colors of one tile of an image [height, width, 4], drawn without a background, and those
    // of the goal into planes [3, height, width].
    void (*show)(const Scene& scene, const Plan& plan, int tile, const Goal& goal, const float* image, float* shown,
                 float* expected);
    // For each of the tile's pairs, by how much the sum of squared differences to goal [height, width, 4] grows in the
    // tile if the sprite is removed; or, for a candidate, its coefficients. `entries`: [sprites], or null where all are
    // drawn.
    void (*candidates)(const Scene& scene, const Plan& plan, int tile, const float* goal, const StackEntry* entries,
                       float* removal_errors, Coefficients<float>* coefficients, Scratch& scratch);
};

// One function for each instruction set that was built, see tiles.cpp and CMakeLists.txt.
TileKernels baseline_kernels();
TileKernels avx2_kernels();
TileKernels avx512_kernels();

}  // namespace smalti
