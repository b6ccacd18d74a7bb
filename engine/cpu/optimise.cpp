// SPDX-License-Identifier: GPL-3.0-or-later
#include "optimise.h"

#include <algorithm>
#include <limits>

#include "pool.h"

namespace smalti {
namespace {

Parameters<double> parameters(const SpriteParameters& s, std::int64_t k) {
    return {s.x.value[k],         s.y.value[k],
            s.log_scale.value[k], s.theta.value[k],
            s.opacity.value[k],   {s.tint.value[3 * k], s.tint.value[3 * k + 1], s.tint.value[3 * k + 2]}};
}

Extent<double> extent_of(const SpriteParameters& s, std::int64_t k) { return {s.extent[2 * k], s.extent[2 * k + 1]}; }

void step_one(const Adam<double>& adam, const AdamParameter& p, std::int64_t i, double gradient, double gate,
              double& value) {
    if (p.learning_rate == 0.0) return;
    adam_step(adam, gate * p.learning_rate, gradient, std::numeric_limits<double>::min(), value, p.mean[i],
              p.square[i]);
}

// Adds the gradient of a penalty, before it is taken about the sprite's center.
void add_penalty(const PenaltyGradient& penalty, std::int64_t k, RasterGradient<double>& to) {
    const double* g = penalty.affine + 6 * k;
    PlacementGradient<double>& p = to.placement;
    p.a += g[0], p.b += g[1], p.u += g[2], p.d += g[3], p.e += g[4], p.v += g[5];
    to.opacity += penalty.opacity[k];
}

template <class Body>
void for_each_sprite(std::int64_t sprites, int threads, const Body& body) {
    constexpr std::int64_t kChunk = 256;
    parallel_for((sprites + kChunk - 1) / kChunk, threads, [&](std::int64_t chunk, int) {
        for (std::int64_t k = chunk * kChunk; k < std::min(sprites, (chunk + 1) * kChunk); ++k) body(k);
    });
}

}  // namespace

void prepare(const Scene& canvas, const SpriteParameters& sprites, const Pixel<double>& pixel, double alpha_max,
             int threads, OptimiserWorkspace& work) {
    const std::int64_t n = canvas.sprites;
    work.input.resize(n), work.placement.resize(n), work.opacity.resize(n), work.tint.resize(3 * n);
    for_each_sprite(n, threads, [&](std::int64_t k) {
        const RasterInput<double> d = raster_input(parameters(sprites, k), extent_of(sprites, k), pixel, alpha_max);
        work.input[k] = d;
        work.placement[k] = d.placement;
        work.opacity[k] = d.opacity;
        std::copy_n(d.tint, 3, &work.tint[3 * k]);
    });
    Scene scene = canvas;
    scene.affine = nullptr, scene.placement = work.placement.data();
    scene.opacity = work.opacity.data(), scene.tint = work.tint.data();
    make_plan(scene, threads, work.step.plan);
}

double optimise(const Scene& scene, const SpriteParameters& sprites, const StepSettings& settings, int threads,
                const Goal& goal, OptimiserWorkspace& work) {
    const double loss = differentiate(scene, threads, goal, settings.gates, work.step);
    const Free free{sprites.x.learning_rate != 0.0, sprites.y.learning_rate != 0.0,
                    sprites.log_scale.learning_rate != 0.0, sprites.opacity.learning_rate != 0.0,
                    sprites.tint.learning_rate != 0.0};
    for_each_sprite(scene.sprites, threads, [&](std::int64_t k) {
        const double gate = settings.gates == nullptr ? 1.0 : settings.gates[k];
        if (gate == 0.0) return;
        Parameters<double> p = parameters(sprites, k);
        RasterGradient<double> gradient = reduce_gradient(work.step, k);
        if (settings.penalty.affine != nullptr) add_penalty(settings.penalty, k, gradient);
        gradient.placement = about_centre(work.input[k].placement, gradient.placement);
        const Parameters<double> g = parameter_gradient(work.input[k], gradient, settings.pixel, settings.alpha_max);
        step_one(settings.adam, sprites.x, k, g.x, gate, p.x);
        step_one(settings.adam, sprites.y, k, g.y, gate, p.y);
        AdamParameter log_scale = sprites.log_scale;
        // Adam's steps do not depend on the unit of a gradient, so its length is what changes.
        if (settings.scale_in_pixels) log_scale.learning_rate *= exp(-p.log_scale);
        step_one(settings.adam, log_scale, k, g.log_scale, gate, p.log_scale);
        step_one(settings.adam, sprites.theta, k, g.theta, gate, p.theta);
        step_one(settings.adam, sprites.opacity, k, g.opacity, gate, p.opacity);
        for (int i = 0; i < 3; ++i) step_one(settings.adam, sprites.tint, 3 * k + i, g.tint[i], gate, p.tint[i]);
        keep_in_bounds(settings.bounds, extent_of(sprites, k), free, p);
        sprites.x.value[k] = p.x, sprites.y.value[k] = p.y, sprites.log_scale.value[k] = p.log_scale;
        sprites.theta.value[k] = p.theta, sprites.opacity.value[k] = p.opacity;
        std::copy_n(p.tint, 3, sprites.tint.value + 3 * k);
    });
    return loss;
}

}  // namespace smalti
