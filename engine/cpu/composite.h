// SPDX-License-Identifier: GPL-3.0-or-later
// The CPU back end's operations, without Python.
#pragma once

#include "../kernels/parameters.h"
#include "plan.h"
#include "tiles.h"

namespace smalti {

// The instruction set in use: the best one that was built and that this processor has.
const char* instruction_set();

// Memory of a call, kept from one call to the next: once it is as large as they need, nothing is allocated any more.
struct Workspace {
    Plan plan;
    std::vector<PairGradient> pairs;
    std::vector<Scratch> scratch;  // [threads]
    std::vector<double> losses;    // [tiles]
    std::vector<char> open;        // [tiles], whether the last step could change something there
    std::vector<float> image;      // [height, width, 4]
};

// All blending weights of at least `least` at the pixels of a scene, sprite by sprite: those of sprite k are those from
// start[k] to start[k + 1], tile by tile. The result is the same for any number of threads.
struct PixelWeights {
    std::vector<std::int64_t> start;  // [sprites + 1]
    std::vector<std::int32_t> pixel;  // row * width + column
    std::vector<float> weight;
};

PixelWeights pixel_weights(const Scene& scene, int threads, float least);

// image [height, width, 4], premultiplied. Returns the plan that `backward` wants.
Plan forward(const Scene& scene, int threads, float* image);

// Output arrays for gradients: affine [sprites, 6], opacity [sprites], tint [sprites, 3].
struct Gradients {
    double* affine;
    double* opacity;
    double* tint;
};

// grad_image [height, width, 4] -> gradients. The scene must be the one that the plan was made from. The result is the
// same for any number of threads.
void backward(const Scene& scene, const Plan& plan, int threads, const float* grad_image, const Gradients& out);

// Forward, comparison and backward in one pass over the tiles, which samples every sprite once instead of twice.
// Returns the loss, not scaled (see Goal).
double step(const Scene& scene, int threads, const Goal& goal, const Gradients& out);

// shown, expected [3, height, width]: the display-encoded colors of the picture of the workspace's plan, and of the goal.
void show(const Scene& scene, int threads, const Goal& goal, Workspace& work, float* shown, float* expected);

// As `step` for the workspace's plan, up to the gradients of pairs, which stay in the workspace; `reduce_gradient` adds up those of sprite k, by a
// map whose constants c and f are held constant instead of its center (see `about_centre`). With gates [sprites], tiles
// where every sprite's is 0 are left out: their pairs get no gradients, and their loss is that of the step before.
double differentiate(const Scene& scene, int threads, const Goal& goal, const double* gates, Workspace& work);

RasterGradient<double> reduce_gradient(const Workspace& work, std::int64_t k);

// removal_errors [sprites]: by how much the sum of squared differences to goal [height, width, 4] grows if that sprite
// alone is removed; below 0 for one that raises the error. With entries [sprites], some are candidates: coefficients
// [sprites, kCoefficients] gets theirs (0 for the others), taken against the picture without the sprite that each
// replaces; their removal errors are 0.
void evaluate_candidates(const Scene& scene, int threads, const float* goal, const StackEntry* entries,
                         double* removal_errors, double* coefficients);

}  // namespace smalti
