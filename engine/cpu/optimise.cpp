// SPDX-License-Identifier: GPL-3.0-or-later
#include "optimise.h"

#include <algorithm>
#include <limits>

#include "pool.h"

namespace smalti {
namespace {

Parameters<double> parameters(const Optimised& s, std::int64_t k) {
    return {s.x.value[k],     s.y.value[k],       s.log_scale.value[k],
            s.theta.value[k], s.opacity.value[k], {s.tint.value[3 * k], s.tint.value[3 * k + 1], s.tint.value[3 * k + 2]}};
}

void step_one(const Adam<double>& adam, const Moving& m, std::int64_t i, double gradient, double& value) {
    if (m.rate == 0.0) return;
    adam_step(adam, m.rate, gradient, std::numeric_limits<double>::min(), value, m.mean[i], m.square[i]);
}

template <class Body>
void for_each_sprite(std::int64_t sprites, int threads, const Body& body) {
    constexpr std::int64_t kChunk = 256;
    parallel_for((sprites + kChunk - 1) / kChunk, threads, [&](std::int64_t chunk, int) {
        for (std::int64_t k = chunk * kChunk; k < std::min(sprites, (chunk + 1) * kChunk); ++k) body(k);
    });
}

}  // namespace

double optimise(const Scene& given, const Optimised& sprites, const Rule& rule, int threads, const Goal& goal,
                OptimiserWorkspace& work) {
    const std::int64_t n = given.sprites;
    work.drawn.resize(n), work.placement.resize(n), work.opacity.resize(n), work.tint.resize(3 * n);
    const auto extent = [&](std::int64_t k) { return Extent<double>{sprites.extent[2 * k], sprites.extent[2 * k + 1]}; };
    for_each_sprite(n, threads, [&](std::int64_t k) {
        const Drawable<double> d = drawable(parameters(sprites, k), extent(k), rule.pixel, rule.alpha_max);
        work.drawn[k] = d;
        work.placement[k] = d.placement;
        work.opacity[k] = d.opacity;
        std::copy_n(d.tint, 3, &work.tint[3 * k]);
    });
    Scene scene = given;
    scene.affine = nullptr, scene.placement = work.placement.data();
    scene.opacity = work.opacity.data(), scene.tint = work.tint.data();
    const double loss = differentiate(scene, threads, goal, work.step);
    for_each_sprite(n, threads, [&](std::int64_t k) {
        Parameters<double> p = parameters(sprites, k);
        DrawableGradient<double> found = merged(work.step, k);
        found.placement = about_centre(work.drawn[k].placement, found.placement);
        const Parameters<double> g = chain(work.drawn[k], found, rule.pixel, rule.alpha_max);
        step_one(rule.adam, sprites.x, k, g.x, p.x);
        step_one(rule.adam, sprites.y, k, g.y, p.y);
        step_one(rule.adam, sprites.log_scale, k, g.log_scale, p.log_scale);
        step_one(rule.adam, sprites.theta, k, g.theta, p.theta);
        step_one(rule.adam, sprites.opacity, k, g.opacity, p.opacity);
        for (int i = 0; i < 3; ++i) step_one(rule.adam, sprites.tint, 3 * k + i, g.tint[i], p.tint[i]);
        keep_in_bounds(rule.bounds, extent(k), sprites.log_scale.rate != 0.0, p);
        sprites.x.value[k] = p.x, sprites.y.value[k] = p.y, sprites.log_scale.value[k] = p.log_scale;
        sprites.theta.value[k] = p.theta, sprites.opacity.value[k] = p.opacity;
        std::copy_n(p.tint, 3, sprites.tint.value + 3 * k);
    });
    return loss;
}

}  // namespace smalti
