// SPDX-License-Identifier: GPL-3.0-or-later
// The backward pass over one tile, by itself and fused with the comparison. Included by tiles.cpp.
//
// The stack is walked twice. Front to back, each sprite is sampled, and what the way back needs is stored for each row
// of pixels; back to front, `behind` (see blend.h) is accumulated.
#pragma once

#include "tile_compare.h"

namespace smalti {
namespace SMALTI_ISA {
namespace {

// What is stored of a row: T, then for alpha, and for red, green and blue where the bitmap's colors show, the sampled
// value and its derivatives by u, v and level of detail.
constexpr int kTransmittance = 0, kAlpha = 1, kColours = 5;
constexpr int stored_rows(Colour kind) { return kind == Colour::tint ? kColours : kColours + 12; }

struct Sums {
    Row du, du_row, dv, dv_row, lod, opacity, tint[3];
};

template <int levels>
SMALTI_ISA_INLINE void store_sample(float* out, int at, Reals scale, const Sample<Reals>& s) {
    (scale * s.value).store(out + at * kTile);
    (scale * s.du).store(out + (at + 1) * kTile);
    (scale * s.dv).store(out + (at + 2) * kTile);
    if constexpr (levels > 1) (scale * s.dlod).store(out + (at + 3) * kTile);
}

// `draw` adds up the picture's colors too, into `colour`.
template <Colour kind, int levels, bool draw>
void front_to_back_rows(const Scene& scene, const Local& s, unsigned rows, State& state, Row (*colour)[kTile],
                        float* stored) {
    const float opacity = s.opacity, bitmap_share = bitmap_share_of<kind>(scene),
                tint_share = tint_share_of<kind>(scene);
    const float tint[3] = {tint_share * s.tint[0], tint_share * s.tint[1], tint_share * s.tint[2]};
    for (; rows; rows &= rows - 1, stored += stored_rows(kind) * kTile) {
        const int i = __builtin_ctz(rows);
        const Reals t = Reals::load(state.transmittance[i].v);
        const TexelFootprint<levels> footprint = texel_footprint<levels>(s, i, t, scene.stop);
        const Reals through = opacity * footprint.scale * t;
        t.store(stored + kTransmittance * kTile);
        if constexpr (!kShowsBitmap<kind>) {
            const Sample<Reals> q = sample_alpha(scene, s, footprint);
            const Reals weight = through * q.value;
            store_sample<levels>(stored, kAlpha, footprint.scale, q);
            if constexpr (draw)
                for (int channel = 0; channel < 3; ++channel) add(colour[channel][i].v, weight * tint[channel]);
            attenuate(state.transmittance[i].v, t, weight);
        } else {
            const ColourSamples samples = sample_colours<kind>(scene, s, footprint);
            const Reals weight = through * samples.channel[3].value;
            store_sample<levels>(stored, kAlpha, footprint.scale, samples.channel[3]);
            for (int channel = 0; channel < 3; ++channel) {
                store_sample<levels>(stored, kColours + 4 * channel, footprint.scale, samples.channel[channel]);
                if constexpr (draw)
                    add(colour[channel][i].v, contribution<kind>(weight, tint[channel], through, bitmap_share,
                                                                 samples.channel[channel].value));
            }
            attenuate(state.transmittance[i].v, t, weight);
        }
    }
}

template <Colour kind, int levels>
void back_to_front_rows(const Scene& scene, const Local& s, unsigned rows, const Row (*grad)[kTile],
                        const float* stored, Row* behind, Sums& to) {
    const float opacity = s.opacity, bitmap_share = bitmap_share_of<kind>(scene),
                tint_share = tint_share_of<kind>(scene);
    const float tr = tint_share * s.tint[0], tg = tint_share * s.tint[1], tb = tint_share * s.tint[2];
    Reals sum_du = 0.0f, sum_du_row = 0.0f, sum_dv = 0.0f, sum_dv_row = 0.0f, sum_lod = 0.0f, sum_opacity = 0.0f;
    Reals sum_red = 0.0f, sum_green = 0.0f, sum_blue = 0.0f;
    for (; rows; rows &= rows - 1, stored += stored_rows(kind) * kTile) {
        const int i = __builtin_ctz(rows);
        const auto in = [&](int at) { return Reals::load(stored + at * kTile); };
        Reals r = Reals::load(grad[0][i].v), g = Reals::load(grad[1][i].v), b = Reals::load(grad[2][i].v);
        const Reals t = in(kTransmittance), back = Reals::load(behind[i].v);
        const auto sample_at = [&](int at) {
            return Sample<Reals>{in(at), in(at + 1), in(at + 2), levels > 1 ? in(at + 3) : Reals(0.0f)};
        };
        const Sample<Reals> q = sample_at(kAlpha);
        Reals by_alpha = 0.0f;  // what goes to q where colors are cut off
        if constexpr (kind == Colour::shaded) {
            const auto limit = [&](Reals& gradient, float shared_tint, int at) {
                const Reals value = shared_tint * q.value + bitmap_share * in(at);
                const Limited<Reals> parts = limited_gradient(gradient, value, q.value);
                gradient = parts.value, by_alpha = by_alpha + parts.alpha;
            };
            limit(r, tr, kColours), limit(g, tg, kColours + 4), limit(b, tb, kColours + 8);
        }
        Sample<Reals> p{0.0f, 0.0f, 0.0f, 0.0f};
        if constexpr (kShowsBitmap<kind>)
            p = weighted_colour(r, sample_at(kColours), g, sample_at(kColours + 4), b, sample_at(kColours + 8));
        Reals tinted = r * tr + g * tg + b * tb;
        if constexpr (kind == Colour::shaded) tinted = tinted + by_alpha;
        const PixelGradient<Reals> gradient =
            backward_pixel<kind, (levels > 1)>(tinted, Reals::load(grad[3][i].v), back, t, q, p, opacity, bitmap_share);
        (back + gradient.behind).store(behind[i].v);
        const float row = static_cast<float>(i);
        if constexpr (kShowsTint<kind>) {
            const Reals weight = opacity * q.value * t;
            sum_red = sum_red + weight * r;
            sum_green = sum_green + weight * g;
            sum_blue = sum_blue + weight * b;
        }
        sum_du = sum_du + gradient.du;
        sum_du_row = sum_du_row + gradient.du * row;
        sum_dv = sum_dv + gradient.dv;
        sum_dv_row = sum_dv_row + gradient.dv * row;
        sum_lod = sum_lod + gradient.lod;
        sum_opacity = sum_opacity + gradient.opacity;
    }
    sum_du.store(to.du.v), sum_du_row.store(to.du_row.v), sum_dv.store(to.dv.v), sum_dv_row.store(to.dv_row.v);
    sum_lod.store(to.lod.v), sum_opacity.store(to.opacity.v);
    sum_red.store(to.tint[0].v), sum_green.store(to.tint[1].v), sum_blue.store(to.tint[2].v);
}

// Returns the place in the tile's list of the lowest sprite that was visited: those below it are occluded.
template <Colour kind, bool draw>
std::int64_t front_to_back(const Scene& scene, const Plan& plan, int tile, const TileArea& area, State& state,
                           Row (*colour)[kTile], Scratch& scratch) {
    const std::int64_t first = plan.tile_start[tile], last = plan.tile_start[tile + 1];
    scratch.rows.assign(static_cast<std::size_t>(last - first), 0);
    scratch.used = 0;
    std::int64_t at = last - 1;
    for (int visited = 0; at >= first && state.active_rows; --at) {
        const ProjectedSprite& sprite = plan.sprites[plan.pair_sprite[plan.tile_pair[at]]];
        const Local s = localise(sprite, area.x + 0.5, scene.first_row + area.y + 0.5);
        const unsigned rows = rows_touched(s) & state.active_rows;
        scratch.rows[at - first] = static_cast<int>(rows);
        const std::size_t needed =
            scratch.used + static_cast<std::size_t>(__builtin_popcount(rows)) * stored_rows(kind) * kTile;
        if (scratch.values.size() < needed) scratch.values.resize(std::max(needed, 2 * scratch.values.size()));
        float* const stored = scratch.values.data() + scratch.used;
        if (s.fraction > 0.0f)
            front_to_back_rows<kind, 2, draw>(scene, s, rows, state, colour, stored);
        else
            front_to_back_rows<kind, 1, draw>(scene, s, rows, state, colour, stored);
        scratch.used = needed;
        if (++visited % kCheckEvery == 0) update_active_rows(state, scene.stop);
    }
    return at + 1;
}

// Walks back from there, and writes the gradients of the tile's pairs.
template <Colour kind>
void back_to_front(const Scene& scene, const Plan& plan, int tile, const TileArea& area, std::int64_t lowest,
                   const Row (*grad)[kTile], Row* behind, PairGradient* gradients, Scratch& scratch) {
    const std::int64_t first = plan.tile_start[tile], last = plan.tile_start[tile + 1];
    // Occluded sprites get zero gradient.
    for (std::int64_t hidden = first; hidden < lowest; ++hidden) gradients[plan.tile_pair[hidden]] = PairGradient{};
    const float tint_share = tint_share_of<kind>(scene);
    for (std::int64_t at = lowest; at < last; ++at) {
        const std::uint32_t pair = plan.tile_pair[at];
        const ProjectedSprite& sprite = plan.sprites[plan.pair_sprite[pair]];
        const Local s = localise(sprite, area.x + 0.5, scene.first_row + area.y + 0.5);
        const unsigned rows = static_cast<unsigned>(scratch.rows[at - first]);
        scratch.used -= static_cast<std::size_t>(__builtin_popcount(rows)) * stored_rows(kind) * kTile;
        Sums sums;
        const float* const stored = scratch.values.data() + scratch.used;
        if (s.fraction > 0.0f)
            back_to_front_rows<kind, 2>(scene, s, rows, grad, stored, behind, sums);
        else
            back_to_front_rows<kind, 1>(scene, s, rows, grad, stored, behind, sums);
        PairGradient& out = gradients[pair];
        out.du = total(sums.du), out.du_column = total_by_column(sums.du), out.du_row = total(sums.du_row);
        out.dv = total(sums.dv), out.dv_column = total_by_column(sums.dv), out.dv_row = total(sums.dv_row);
        out.lod = total(sums.lod);
        out.opacity = total(sums.opacity);
        for (int i = 0; i < 3; ++i) out.tint[i] = tint_share * total(sums.tint[i]);
    }
}

template <Colour kind>
void backward_as(const Scene& scene, const Plan& plan, int tile, const float* grad_image, PairGradient* gradients,
                 Scratch& scratch) {
    const TileArea area = area_of(scene, plan, tile);
    State state;
    Row grad[4][kTile];
    Row behind[kTile];
    reset(state, area);
    std::memset(grad, 0, sizeof grad);
    std::memset(behind, 0, sizeof behind);
    Row planes[4], under[4];
    for (int i = 0; i < area.rows; ++i) {
        const std::int64_t start = 4 * (static_cast<std::int64_t>(area.y + i) * scene.width + area.x);
        split(grad_image + start, area.columns, planes);
        for (int channel = 0; channel < 4; ++channel) grad[channel][i] = planes[channel];
        if (!scene.background) continue;
        split(scene.background + start, area.columns, under);
        Reals sum = 0.0f;
        for (int channel = 0; channel < 4; ++channel)
            sum = sum + Reals::load(planes[channel].v) * Reals::load(under[channel].v);
        sum.store(behind[i].v);
    }
    const std::int64_t lowest = front_to_back<kind, false>(scene, plan, tile, area, state, nullptr, scratch);
    back_to_front<kind>(scene, plan, tile, area, lowest, grad, behind, gradients, scratch);
}

void backward(const Scene& scene, const Plan& plan, int tile, const float* grad_image, PairGradient* gradients,
              Scratch& scratch) {
    if (plan.tile_start[tile] == plan.tile_start[tile + 1]) return;
    by_colour(scene, [&](auto kind) { backward_as<kind()>(scene, plan, tile, grad_image, gradients, scratch); });
}

// Composites, compares and differentiates at once: the stack is sampled a single time.
template <Colour kind>
double step_as(const Scene& scene, const Plan& plan, int tile, const Goal& goal, PairGradient* gradients,
               Scratch& scratch) {
    const TileArea area = area_of(scene, plan, tile);
    State state;
    Row colour[3][kTile];
    Row grad[4][kTile];
    Row behind[kTile];
    reset(state, area);
    std::memset(colour, 0, sizeof colour);
    std::memset(grad, 0, sizeof grad);
    std::memset(behind, 0, sizeof behind);
    const std::int64_t lowest = front_to_back<kind, true>(scene, plan, tile, area, state, colour, scratch);
    const double loss = compare(scene, area, goal, state, colour, grad, behind);
    back_to_front<kind>(scene, plan, tile, area, lowest, grad, behind, gradients, scratch);
    return loss;
}

double step(const Scene& scene, const Plan& plan, int tile, const Goal& goal, PairGradient* gradients,
            Scratch& scratch) {
    return by_colour(scene, [&](auto kind) { return step_as<kind()>(scene, plan, tile, goal, gradients, scratch); });
}

}  // namespace
}  // namespace SMALTI_ISA
}  // namespace smalti
