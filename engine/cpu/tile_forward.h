// SPDX-License-Identifier: GPL-3.0-or-later
// The forward pass over one tile: the stack is composited front to back. Included by tiles.cpp.
#pragma once

#include "tile_common.h"

namespace smalti {
namespace SMALTI_ISA {
namespace {

template <Colour kind, int levels>
void forward_rows(const Scene& scene, const Local& s, unsigned rows, State& state, Row (*colour)[kTile]) {
    const float opacity = s.opacity, bitmap_share = bitmap_share_of<kind>(scene),
                tint_share = tint_share_of<kind>(scene);
    const float tint[3] = {tint_share * s.tint[0], tint_share * s.tint[1], tint_share * s.tint[2]};
    for (; rows; rows &= rows - 1) {
        const int i = __builtin_ctz(rows);
        const Reals t = Reals::load(state.transmittance[i].v);
        const TexelFootprint<levels> footprint = texel_footprint<levels>(s, i, t, scene.stop);
        const Reals through = opacity * footprint.scale * t;
        if constexpr (!kShowsBitmap<kind>) {
            const Reals weight = through * sample_alpha(scene, s, footprint).value;
            for (int channel = 0; channel < 3; ++channel) add(colour[channel][i].v, weight * tint[channel]);
            attenuate(state.transmittance[i].v, t, weight);
        } else {
            const ColourSamples samples = sample_colours<kind>(scene, s, footprint);
            const Reals weight = through * samples.channel[3].value;
            for (int channel = 0; channel < 3; ++channel)
                add(colour[channel][i].v,
                    contribution<kind>(weight, tint[channel], through, bitmap_share, samples.channel[channel].value));
            attenuate(state.transmittance[i].v, t, weight);
        }
    }
}

template <Colour kind>
void forward_as(const Scene& scene, const Plan& plan, int tile, float* image) {
    const TileArea area = area_of(scene, plan, tile);
    State state;
    Row colour[3][kTile];
    reset(state, area);
    std::memset(colour, 0, sizeof colour);
    int visited = 0;
    for (std::int64_t at = plan.tile_start[tile + 1] - 1; at >= plan.tile_start[tile] && state.active_rows; --at) {
        const ProjectedSprite& sprite = plan.sprites[plan.pair_sprite[plan.tile_pair[at]]];
        const Local s = localise(sprite, area.x + 0.5, scene.first_row + area.y + 0.5);
        const unsigned rows = rows_touched(s) & state.active_rows;
        if (s.fraction > 0.0f)
            forward_rows<kind, 2>(scene, s, rows, state, colour);
        else
            forward_rows<kind, 1>(scene, s, rows, state, colour);
        if (++visited % kCheckEvery == 0) update_active_rows(state, scene.stop);
    }
    for (int i = 0; i < area.rows; ++i) {
        const std::int64_t first = static_cast<std::int64_t>(area.y + i) * scene.width + area.x;
        const float* const t = state.transmittance[i].v;
        float out[4 * kTile];
        for (int j = 0; j < kTile; ++j) {
            for (int channel = 0; channel < 3; ++channel) out[4 * j + channel] = colour[channel][i].v[j];
            out[4 * j + 3] = 1.0f - t[j];
        }
        if (scene.background)
            for (int j = 0; j < area.columns; ++j)
                for (int channel = 0; channel < 4; ++channel)
                    out[4 * j + channel] += t[j] * scene.background[4 * (first + j) + channel];
        std::memcpy(image + 4 * first, out, sizeof(float) * 4 * area.columns);
    }
}

template <int levels>
void weigh_rows(const Scene& scene, const Local& s, unsigned rows, State& state, const TileArea& area,
                std::int32_t sprite, float least, std::vector<PixelWeight>& to) {
    for (; rows; rows &= rows - 1) {
        const int i = __builtin_ctz(rows);
        const Reals t = Reals::load(state.transmittance[i].v);
        const TexelFootprint<levels> footprint = texel_footprint<levels>(s, i, t, scene.stop);
        const Reals weight = s.opacity * footprint.scale * t * sample_alpha(scene, s, footprint).value;
        Row weights;
        weight.store(weights.v);
        attenuate(state.transmittance[i].v, t, weight);
        const std::int32_t first = (area.y + i) * scene.width + area.x;
        for (int j = 0; j < area.columns; ++j)
            if (weights.v[j] >= least) to.push_back({sprite, first + j, weights.v[j]});
    }
}

void pixel_weights(const Scene& scene, const Plan& plan, int tile, float least, std::vector<PixelWeight>& to) {
    const TileArea area = area_of(scene, plan, tile);
    State state;
    reset(state, area);
    int visited = 0;
    for (std::int64_t at = plan.tile_start[tile + 1] - 1; at >= plan.tile_start[tile] && state.active_rows; --at) {
        const std::int32_t sprite = plan.pair_sprite[plan.tile_pair[at]];
        const Local s = localise(plan.sprites[sprite], area.x + 0.5, scene.first_row + area.y + 0.5);
        const unsigned rows = rows_touched(s) & state.active_rows;
        if (s.fraction > 0.0f)
            weigh_rows<2>(scene, s, rows, state, area, sprite, least, to);
        else
            weigh_rows<1>(scene, s, rows, state, area, sprite, least, to);
        if (++visited % kCheckEvery == 0) update_active_rows(state, scene.stop);
    }
}

void forward(const Scene& scene, const Plan& plan, int tile, float* image) {
    by_colour(scene, [&](auto kind) { forward_as<kind()>(scene, plan, tile, image); });
}

}  // namespace
}  // namespace SMALTI_ISA
}  // namespace smalti
