// SPDX-License-Identifier: GPL-3.0-or-later
// Losses between two pictures, and their gradient by the first: those terms that look at one pixel alone (pixel_loss.h),
// and those that look at its neighbourhood (neighbourhood.h). In single precision for the optimiser, in double for tests.
#pragma once

#include <vector>

#include "../kernels/pixel_loss.h"
#include "neighbourhood.h"

namespace smalti {

// Display-encoded planes, and how much each pixel counts.
template <class R>
struct PictureView {
    int height, width;
    const R* rendered;  // [3, height, width]
    const R* goal;      // [3, height, width]
    const R* weights;   // [height, width], or null for all alike
};

// What each term is multiplied by; 0 where it plays no part.
struct NeighbourhoodFactors {
    double ssim, ms_ssim, edges;
    bool any() const { return ssim != 0.0 || ms_ssim != 0.0 || edges != 0.0; }
};

// One picture at one scale, with what its terms keep from the way forward to the way back.
template <class R>
struct PictureScale {
    int height = 0, width = 0;
    std::vector<R> rendered, goal, weights;  // empty at the first scale, which is the caller's
    std::vector<R> first, second, third;     // maps, [3, height, width] each
    std::vector<R> gradient;                 // [3, height, width]
};

template <class R>
struct PictureLossWorkspace {
    std::vector<PictureScale<R>> scales;
    std::vector<BandScratch<R>> scratch;  // [threads]
    std::vector<double> sums;             // of bands
};

// The sum of the terms of pixels: value, and its gradient added to gradient [3, height, width]. The mean is weighted.
template <class R>
double pixel_loss(const PictureView<R>& pictures, const PixelFactors<double>& factors, R* gradient);

// The sum of the terms of neighbourhoods, likewise. The same bits for any number of threads.
template <class R>
double neighbourhood_loss(const PictureView<R>& pictures, const NeighbourhoodFactors& factors, int threads, R* gradient,
                          PictureLossWorkspace<R>& work);

// Mean of weights [count], and 1 where there are none.
template <class R>
double mean_weight(const R* weights, std::int64_t count);

// Number of MS-SSIM's scales on a canvas of this size: a window still fits into the coarsest.
int scales_of(int height, int width);

}  // namespace smalti
