// SPDX-License-Identifier: GPL-3.0-or-later
// The CPU back end's two calls, free of Python.
#pragma once

#include "plan.h"

namespace smalti {

// The instruction set in use: the best one that was built and that this processor has.
const char* instruction_set();

// image [height, width, 4], premultiplied. Returns the plan that `backward` wants.
Plan forward(const Scene& scene, int threads, float* image);

// grad_image [height, width, 4] -> grad_affine [sprites, 6], grad_opacity [sprites], grad_tint [sprites, 3]. The scene
// must be the one that the plan was made from. The result is the same for any number of threads.
void backward(const Scene& scene, const Plan& plan, int threads, const float* grad_image, double* grad_affine,
              double* grad_opacity, double* grad_tint);

}  // namespace smalti
