// SPDX-License-Identifier: GPL-3.0-or-later
// A whole step of the optimiser: what is drawn from the parameters, the pass over the tiles, the chain rule, Adam.
#pragma once

#include <vector>

#include "composite.h"

namespace smalti {

// One kind of parameter of all sprites, with Adam's two means; all change in place.
struct Moving {
    double* value;
    double* mean;
    double* square;
    double rate;  // of this step; 0 for what is locked, which stays as it is
};

struct Optimised {
    Moving x, y, log_scale, theta, opacity;  // [sprites]
    Moving tint;                             // [sprites, 3]
    const double* extent;                    // [sprites, 2], see Extent
};

struct Rule {
    Adam<double> adam;
    Bounds<double> bounds;
    Pixel<double> pixel;
    double alpha_max;
};

struct OptimiserWorkspace {
    Workspace step;
    std::vector<Drawable<double>> drawn;
    std::vector<Placement<double>> placement;
    std::vector<double> opacity, tint;
};

// One step. The scene's placement, opacity and tint are not read: they follow from the parameters. Returns the loss before
// the step, not scaled (see Goal). The result is the same for any number of threads.
double optimise(const Scene& scene, const Optimised& sprites, const Rule& rule, int threads, const Goal& goal,
                OptimiserWorkspace& work);

}  // namespace smalti
