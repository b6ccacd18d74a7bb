// SPDX-License-Identifier: GPL-3.0-or-later
// The terms of a loss that look at a pixel's neighbourhood (kernels/structure.h), on planes at their own size: bands of
// rows are computed one by one, each always in the same order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "../kernels/structure.h"

namespace smalti {

constexpr int kBand = 32;  // rows of a band

// What a pass over a plane is given: pictures of one scale, [height, width] each.
template <class R>
struct PlanePair {
    int height, width;
    const R* rendered;
    const R* goal;
    const R* weights;  // null for all alike
};

// Gradients by the three maps of SSIM, [height, width] each, to be multiplied by what follows from the sums.
template <class R>
struct SsimMaps {
    R *mean, *product, *squares;
};

template <class R>
struct EdgeMaps {
    R *across, *down;
};

// Working memory of a thread.
template <class R>
struct BandScratch {
    std::vector<R> rows;
};

template <class R>
struct BandKernels {
    // Adds up luminance times structure (or structure alone), times the weights, over a band of rows, and writes the maps
    // of that sum's gradient.
    double (*ssim)(const PlanePair<R>& pair, bool with_luminance, int first, int last, const SsimMaps<R>& maps,
                   BandScratch<R>& scratch);
    // Adds the maps' gradient times `factor` to gradient [height, width].
    void (*ssim_gradient)(const PlanePair<R>& pair, R factor, int first, int last, const SsimMaps<R>& maps, R* gradient,
                          BandScratch<R>& scratch);
    // Adds up the squared gradients of the difference, times the weights, and writes the maps of half that sum's gradient.
    double (*edges)(const PlanePair<R>& pair, int first, int last, const EdgeMaps<R>& maps, BandScratch<R>& scratch);
    void (*edges_gradient)(const PlanePair<R>& pair, R factor, int first, int last, const EdgeMaps<R>& maps,
                           R* gradient, BandScratch<R>& scratch);
};

// Those of the instruction set in use.
const BandKernels<float>& float_band_kernels();

// One function for each instruction set that was built, see bands.cpp and CMakeLists.txt.
BandKernels<float> baseline_band_kernels();
BandKernels<float> avx2_band_kernels();
BandKernels<float> avx512_band_kernels();

}  // namespace smalti
