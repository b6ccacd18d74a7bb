// SPDX-License-Identifier: GPL-3.0-or-later
#include "picture_loss.h"

#include <algorithm>
#include <numeric>

#include "composite.h"
#include "pool.h"

#define SMALTI_ISA plain
#include "neighbourhood_bands.h"

namespace smalti {
namespace {

template <class R>
const BandKernels<R>& band_kernels() {
    if constexpr (std::is_same_v<R, float>) {
        return float_band_kernels();
    } else {
        static const BandKernels<R> kernels = plain::band_kernels<R>();
        return kernels;
    }
}

// Means of 2 x 2 pixels; of fewer at an edge that is cut.
template <class R>
void halve(const R* plane, int height, int width, R* out) {
    const int columns = half_of(width);
    for (int i = 0; i < half_of(height); ++i) {
        const R* const upper = plane + static_cast<std::size_t>(2 * i) * width;
        const R* const lower = 2 * i + 1 < height ? upper + width : upper;
        R* const to = out + static_cast<std::size_t>(i) * columns;
        for (int j = 0; j < width / 2; ++j)
            to[j] = R(0.25) * (upper[2 * j] + upper[2 * j + 1] + lower[2 * j] + lower[2 * j + 1]);
        if (width % 2) to[columns - 1] = R(0.5) * (upper[width - 1] + lower[width - 1]);
    }
}

// Adds the transpose of `halve` of `small` to plane [height, width].
template <class R>
void add_halved_back(const R* small, int height, int width, R* plane) {
    const int columns = half_of(width);
    for (int i = 0; i < height; ++i) {
        const R* const from = small + static_cast<std::size_t>(i / 2) * columns;
        R* const to = plane + static_cast<std::size_t>(i) * width;
        const R row_share = height % 2 && i == height - 1 ? R(1) : R(0.5);
        for (int j = 0; j < width / 2; ++j) {
            const R share = R(0.5) * row_share * from[j];
            to[2 * j] += share, to[2 * j + 1] += share;
        }
        if (width % 2) to[width - 1] += row_share * from[columns - 1];
    }
}

template <class R>
class Neighbourhoods {
  public:
    Neighbourhoods(const PictureView<R>& pictures, int threads, R* gradient, PictureLossWorkspace<R>& work)
        : pictures_(pictures), threads_(std::max(threads, 1)), gradient_(gradient), work_(work) {
        if (work.scratch.size() < static_cast<std::size_t>(threads_)) work.scratch.resize(threads_);
    }

    double ssim(double factor) {
        prepare(1, 3);
        const double pixels = total_weight(0);
        const double value = forward_ssim(0, true) / pixels;
        backward_ssim(0, -factor / pixels, gradient_);
        return factor * (1.0 - value);
    }

    double ms_ssim(double factor) {
        const int scales = scales_of(pictures_.height, pictures_.width);
        prepare(scales, 3);
        double likeness[kMaxScales], slopes[kMaxScales];
        for (int s = 0; s < scales; ++s) likeness[s] = forward_ssim(s, s == scales - 1) / total_weight(s);
        const double product = ms_ssim_of(scales, likeness, slopes);
        for (int s = scales - 1; s >= 0; --s) {
            R* const to = of_scale(s);
            backward_ssim(s, -factor * slopes[s] / total_weight(s), to);
            if (s > 0) enlarge(s, to, of_scale(s - 1));
        }
        return factor * (1.0 - product);
    }

    double edges(double factor) {
        prepare(kEdgeScales, 2);
        double value = 0.0;
        // The mean of both directions' squares.
        for (int s = 0; s < kEdgeScales; ++s) value += forward_edges(s) / (2.0 * total_weight(s));
        for (int s = kEdgeScales - 1; s >= 0; --s) {
            backward_edges(s, factor / total_weight(s), of_scale(s));
            if (s > 0) enlarge(s, of_scale(s), of_scale(s - 1));
        }
        return factor * value;
    }

  private:
    // Pictures at each scale, cleared gradients, and room for maps.
    void prepare(int scales, int maps) {
        if (work_.scales.size() < static_cast<std::size_t>(scales)) work_.scales.resize(scales);
        for (int s = 0; s < scales; ++s) {
            PictureScale<R>& at = work_.scales[s];
            at.height = s ? half_of(work_.scales[s - 1].height) : pictures_.height;
            at.width = s ? half_of(work_.scales[s - 1].width) : pictures_.width;
            const std::size_t size = 3 * plane_size(s);
            at.first.resize(size), at.second.resize(size);
            if (maps > 2) at.third.resize(size);
            if (!s) continue;
            at.gradient.assign(size, R(0));
            at.rendered.resize(size), at.goal.resize(size);
            at.weights.resize(pictures_.weights ? plane_size(s) : 0);
            const PlanePair<R> before[3] = {pair(s - 1, 0), pair(s - 1, 1), pair(s - 1, 2)};
            parallel_for(7, threads_, [&](std::int64_t part, int) {
                const PlanePair<R>& from = before[part % 3];
                const std::size_t plane = static_cast<std::size_t>(part % 3) * plane_size(s);
                if (part < 3) halve(from.rendered, from.height, from.width, at.rendered.data() + plane);
                if (part >= 3 && part < 6) halve(from.goal, from.height, from.width, at.goal.data() + plane);
                if (part == 6 && pictures_.weights) halve(from.weights, from.height, from.width, at.weights.data());
            });
        }
    }

    std::size_t plane_size(int s) const {
        return static_cast<std::size_t>(work_.scales[s].height) * work_.scales[s].width;
    }

    PlanePair<R> pair(int s, int plane) const {
        const PictureScale<R>& at = work_.scales[s];
        const std::size_t offset = static_cast<std::size_t>(plane) * plane_size(s);
        const R* const weights = !pictures_.weights ? nullptr : s ? at.weights.data() : pictures_.weights;
        return {at.height, at.width, (s ? at.rendered.data() : pictures_.rendered) + offset,
                (s ? at.goal.data() : pictures_.goal) + offset, weights};
    }

    // What the sum over the pixels and the three planes of a scale is divided by.
    double total_weight(int s) const {
        const double pixels = 3.0 * static_cast<double>(plane_size(s));
        return pixels * mean_weight(pair(s, 0).weights, static_cast<std::int64_t>(plane_size(s)));
    }

    R* of_scale(int s) { return s ? work_.scales[s].gradient.data() : gradient_; }

    // Calls body(plane, first row, last row, scratch) for each band of each plane; returns the sum of the results.
    template <class Body>
    double for_each_band(int s, const Body& body) {
        const int height = work_.scales[s].height, bands = (height + kBand - 1) / kBand;
        work_.sums.assign(3 * static_cast<std::size_t>(bands), 0.0);
        parallel_for(3 * bands, threads_, [&](std::int64_t task, int worker) {
            const int plane = static_cast<int>(task) / bands, first = static_cast<int>(task) % bands * kBand;
            work_.sums[task] = body(plane, first, std::min(first + kBand, height), work_.scratch[worker]);
        });
        return std::accumulate(work_.sums.begin(), work_.sums.end(), 0.0);
    }

    SsimMaps<R> ssim_maps(int s, int plane) {
        PictureScale<R>& at = work_.scales[s];
        const std::size_t offset = static_cast<std::size_t>(plane) * plane_size(s);
        return {at.first.data() + offset, at.second.data() + offset, at.third.data() + offset};
    }

    EdgeMaps<R> edge_maps(int s, int plane) {
        PictureScale<R>& at = work_.scales[s];
        const std::size_t offset = static_cast<std::size_t>(plane) * plane_size(s);
        return {at.first.data() + offset, at.second.data() + offset};
    }

    double forward_ssim(int s, bool with_luminance) {
        return for_each_band(s, [&](int plane, int first, int last, BandScratch<R>& scratch) {
            return band_kernels<R>().ssim(pair(s, plane), with_luminance, first, last, ssim_maps(s, plane), scratch);
        });
    }

    void backward_ssim(int s, double factor, R* gradient) {
        for_each_band(s, [&](int plane, int first, int last, BandScratch<R>& scratch) {
            R* const to = gradient + static_cast<std::size_t>(plane) * plane_size(s);
            band_kernels<R>().ssim_gradient(pair(s, plane), static_cast<R>(factor), first, last, ssim_maps(s, plane),
                                            to, scratch);
            return 0.0;
        });
    }

    double forward_edges(int s) {
        return for_each_band(s, [&](int plane, int first, int last, BandScratch<R>& scratch) {
            return band_kernels<R>().edges(pair(s, plane), first, last, edge_maps(s, plane), scratch);
        });
    }

    void backward_edges(int s, double factor, R* gradient) {
        for_each_band(s, [&](int plane, int first, int last, BandScratch<R>& scratch) {
            R* const to = gradient + static_cast<std::size_t>(plane) * plane_size(s);
            band_kernels<R>().edges_gradient(pair(s, plane), static_cast<R>(factor), first, last, edge_maps(s, plane),
                                             to, scratch);
            return 0.0;
        });
    }

    // Adds the gradient of a scale to that of the one before.
    void enlarge(int s, const R* small, R* large) {
        const PictureScale<R>& before = work_.scales[s - 1];
        parallel_for(3, threads_, [&](std::int64_t plane, int) {
            add_halved_back(small + plane * plane_size(s), before.height, before.width,
                            large + plane * plane_size(s - 1));
        });
    }

    const PictureView<R>& pictures_;
    int threads_;
    R* gradient_;
    PictureLossWorkspace<R>& work_;
};

}  // namespace

int scales_of(int height, int width) {
    for (int n = kMaxScales; n > 1; --n)
        if (std::min(height, width) >= kWindow << (n - 1)) return n;
    return 1;
}

template <class R>
double mean_weight(const R* weights, std::int64_t count) {
    return weights ? std::accumulate(weights, weights + count, 0.0) / static_cast<double>(count) : 1.0;
}

template <class R>
double pixel_loss(const PictureView<R>& pictures, const PixelFactors<double>& factors, R* gradient) {
    const std::int64_t pixels = static_cast<std::int64_t>(pictures.height) * pictures.width;
    const double unit = 1.0 / (static_cast<double>(pixels) * mean_weight(pictures.weights, pixels));
    const PixelFactors<R> of_pixel{static_cast<R>(factors.mse / 3), static_cast<R>(factors.l1 / 3),
                                   static_cast<R>(factors.huber / 3), static_cast<R>(factors.oklab)};
    double sum = 0.0;
    for (std::int64_t i = 0; i < pixels; ++i) {
        const R rendered[3] = {pictures.rendered[i], pictures.rendered[pixels + i], pictures.rendered[2 * pixels + i]};
        const R goal[3] = {pictures.goal[i], pictures.goal[pixels + i], pictures.goal[2 * pixels + i]};
        const PixelTerms<R> terms = pixel_terms(rendered, goal, of_pixel);
        const double weight = unit * (pictures.weights ? static_cast<double>(pictures.weights[i]) : 1.0);
        sum += weight * static_cast<double>(terms.value);
        for (int c = 0; c < 3; ++c) gradient[c * pixels + i] += static_cast<R>(weight) * terms.gradient[c];
    }
    return sum;
}

template <class R>
double neighbourhood_loss(const PictureView<R>& pictures, const NeighbourhoodFactors& factors, int threads, R* gradient,
                          PictureLossWorkspace<R>& work) {
    Neighbourhoods<R> terms(pictures, threads, gradient, work);
    double value = 0.0;
    if (factors.ssim != 0.0) value += terms.ssim(factors.ssim);
    if (factors.ms_ssim != 0.0) value += terms.ms_ssim(factors.ms_ssim);
    if (factors.edges != 0.0) value += terms.edges(factors.edges);
    return value;
}

template double mean_weight(const float*, std::int64_t);
template double mean_weight(const double*, std::int64_t);
template double pixel_loss(const PictureView<float>&, const PixelFactors<double>&, float*);
template double pixel_loss(const PictureView<double>&, const PixelFactors<double>&, double*);
template double neighbourhood_loss(const PictureView<float>&, const NeighbourhoodFactors&, int, float*,
                                   PictureLossWorkspace<float>&);
template double neighbourhood_loss(const PictureView<double>&, const NeighbourhoodFactors&, int, double*,
                                   PictureLossWorkspace<double>&);

}  // namespace smalti
