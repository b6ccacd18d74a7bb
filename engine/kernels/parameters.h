// SPDX-License-Identifier: GPL-3.0-or-later
// From the parameters that are optimized to what the rasteriser takes, back again by the chain rule, and Adam: one
// sprite, for every back end. R is float or double.
#pragma once

#include "sprite.h"

namespace smalti {

// The parameters: x and y in canvas pixels, the logarithm of the half-size in canvas pixels, theta in radians, logits
// of opacity and tint.
template <class R>
struct Parameters {
    R x, y, log_scale, theta, opacity, tint[3];
};

// What the rasteriser takes: a placement, an opacity and a tint from 0 to 1.
template <class R>
struct RasterInput {
    Placement<R> placement;
    R opacity, tint[3];
};

template <class R>
struct RasterGradient {
    PlacementGradient<R> placement;
    R opacity, tint[3];
};

// Half the width and half the height of a sprite whose scale is 1, canvas pixels.
template <class R>
struct Extent {
    R width, height;
};

// Size of a drawn pixel in canvas pixels: above 1 where the canvas is drawn smaller (coarse to fine).
template <class R>
struct Pixel {
    R width, height;
};

template <class R>
SMALTI_INLINE R sigmoid(R logit) {
    return R(1) / (R(1) + exp(-logit));
}

template <class R>
SMALTI_INLINE RasterInput<R> raster_input(const Parameters<R>& p, const Extent<R>& extent, const Pixel<R>& pixel,
                                          R alpha_max) {
    const R size = exp(p.log_scale), c = cos(p.theta), s = sin(p.theta);
    const R across = R(1) / (size * extent.width), down = R(1) / (size * extent.height);
    RasterInput<R> out;
    out.placement = {c * across * pixel.width, s * across * pixel.height, -s * down * pixel.width,
                     c * down * pixel.height,  p.x / pixel.width,         p.y / pixel.height};
    out.opacity = alpha_max * sigmoid(p.opacity);
    for (int i = 0; i < 3; ++i) out.tint[i] = sigmoid(p.tint[i]);
    return out;
}

// The chain rule: the gradient by the parameters from the gradient by `raster_input` of them.
template <class R>
SMALTI_INLINE Parameters<R> parameter_gradient(const RasterInput<R>& input, const RasterGradient<R>& gradient,
                                               const Pixel<R>& pixel, R alpha_max) {
    const Placement<R>& p = input.placement;
    const PlacementGradient<R>& g = gradient.placement;
    Parameters<R> out;
    out.x = -(p.a * g.u + p.d * g.v) / pixel.width;
    out.y = -(p.b * g.u + p.e * g.v) / pixel.height;
    out.log_scale = -(p.a * g.a + p.b * g.b + p.d * g.d + p.e * g.e);
    // On the canvas, turning changes a by -b, b by a, d by -e and e by d.
    const R ratio = pixel.width / pixel.height;
    out.theta = (p.a * g.b + p.d * g.e) / ratio - (p.b * g.a + p.e * g.d) * ratio;
    const R o = input.opacity / alpha_max;
    out.opacity = gradient.opacity * alpha_max * o * (R(1) - o);
    for (int i = 0; i < 3; ++i) out.tint[i] = gradient.tint[i] * input.tint[i] * (R(1) - input.tint[i]);
    return out;
}

// The gradient by what parameters can change of a sprite's map: by u and v, by the logarithm of both together, and by an
// angle that turns them, times the ratio of the sprite's height to its width.
template <class R>
struct SimilarityGradient {
    R u, v, scale, turn, opacity, tint[3];
};

// By how much the level of detail grows with the logarithm of u and v: 1 / ln 2.
constexpr double kLodOfScale = 1.4426950408889634;

// The chain rule from there.
template <class R>
SMALTI_INLINE Parameters<R> parameter_gradient(const RasterInput<R>& input, const SimilarityGradient<R>& g, R aspect,
                                               const Pixel<R>& pixel, R alpha_max) {
    const Placement<R>& p = input.placement;
    const R o = input.opacity / alpha_max;
    Parameters<R> out;
    out.x = -(p.a * g.u + p.d * g.v) / pixel.width;
    out.y = -(p.b * g.u + p.e * g.v) / pixel.height;
    out.log_scale = -g.scale;
    out.theta = g.turn / aspect;
    out.opacity = g.opacity * alpha_max * o * (R(1) - o);
    for (int i = 0; i < 3; ++i) out.tint[i] = g.tint[i] * input.tint[i] * (R(1) - input.tint[i]);
    return out;
}

// Adam (Kingma and Ba, 2015, algorithm 1): decay rates of the two moments, and 1 minus their powers by the number of
// steps.
template <class R>
struct Adam {
    R first, second, first_bias, second_bias;
};

template <class R>
SMALTI_INLINE void adam_step(const Adam<R>& adam, R learning_rate, R gradient, R tiny, R& value, R& mean, R& square) {
    mean += (R(1) - adam.first) * (gradient - mean);
    square = adam.second * square + (R(1) - adam.second) * gradient * gradient;
    // The smallest normal number keeps a parameter without any gradient where it is.
    const R length = sqrt(square / adam.second_bias);
    value -= learning_rate / adam.first_bias * mean / (length > tiny ? length : tiny);
}

// Where parameters have a gradient: sizes within the artist's range, logits whose sigmoid still has a slope, and a good
// part of the sprite on the canvas.
template <class R>
struct Bounds {
    R log_scale_low, log_scale_high, logit, width, height;
    R opacity_low;  // least logit of an opacity; comes after the bound on all logits
};

// Which parameters a step changes. A frozen one is left exactly as it is, out of bounds or not.
struct Free {
    bool x, y, log_scale, opacity, tint;
};

template <class R>
SMALTI_INLINE void keep_in_bounds(const Bounds<R>& bounds, const Extent<R>& extent, const Free& free,
                                  Parameters<R>& p) {
    if (free.log_scale) p.log_scale = clamped(p.log_scale, bounds.log_scale_low, bounds.log_scale_high);
    const R reach = R(0.5) * exp(p.log_scale) * (extent.width > extent.height ? extent.width : extent.height);
    if (free.x) p.x = clamped(p.x, -reach, bounds.width + reach);
    if (free.y) p.y = clamped(p.y, -reach, bounds.height + reach);
    if (free.opacity) {
        p.opacity = clamped(p.opacity, -bounds.logit, bounds.logit);
        if (p.opacity < bounds.opacity_low) p.opacity = bounds.opacity_low;
    }
    if (free.tint)
        for (int i = 0; i < 3; ++i) p.tint[i] = clamped(p.tint[i], -bounds.logit, bounds.logit);
}

}  // namespace smalti
