// SPDX-License-Identifier: GPL-3.0-or-later
// A whole step of the optimiser: parameters to sprites, the pass over the tiles, the chain rule, Adam.
#pragma once

#include <vector>

#include "composite.h"

namespace smalti {

// One kind of parameter of all sprites, with Adam's two moments; all change in place.
struct AdamParameter {
    double* value;
    double* mean;
    double* square;
    double learning_rate;  // of this step; 0 for what is frozen
};

struct SpriteParameters {
    AdamParameter x, y, log_scale, theta, opacity;  // [sprites]
    AdamParameter tint;                             // [sprites, 3]
    const double* extent;                           // [sprites, 2], see Extent
};

// The gradient of what is added to the loss; null where nothing is.
struct PenaltyGradient {
    const double* affine;   // [sprites, 6], by the maps from drawn pixels
    const double* opacity;  // [sprites]
};

struct StepSettings {
    Adam<double> adam;
    Bounds<double> bounds;
    Pixel<double> pixel;
    double alpha_max;
    PenaltyGradient penalty;
    const double* gates;   // [sprites], factors of the learning rates, 0 to 1; null for 1 everywhere
    bool scale_in_pixels;  // the learning rate of log_scale is divided by the scale: steps are as long in pixels
};

struct OptimiserWorkspace {
    Workspace step;
    std::vector<RasterInput<double>> input;
    std::vector<Placement<double>> placement;
    std::vector<double> opacity, tint;
};

// The first part of a step: what the sprites' parameters come to on the canvas. The scene's placement, opacity and tint
// are not read: they follow from the parameters.
void prepare(const Scene& scene, const SpriteParameters& sprites, const Pixel<double>& pixel, double alpha_max,
             int threads, OptimiserWorkspace& work);

// The rest of a step, after `prepare`. Returns the loss before the step, not scaled (see Goal). The result is the same
// for any number of threads.
double optimise(const Scene& scene, const SpriteParameters& sprites, const StepSettings& settings, int threads,
                const Goal& goal, OptimiserWorkspace& work);

}  // namespace smalti
