// SPDX-License-Identifier: GPL-3.0-or-later
// A sprite as one kernel hands it to the next, and how threads are numbered.
#pragma once

#include "../kernels/cover.h"
#include "../kernels/parameters.h"

namespace smalti {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// One sprite, ready to be drawn. Aligned, so that it is read 16 bytes at a time.
struct alignas(16) ProjectedSprite {
    Placement<float> placement;
    View view;
    float opacity;
    float tint[3];
    int drawn;
    float squared_aspect;  // of its height to its width; of parameters, not of maps
};

// The templates of an atlas, as placing a sprite needs them: levels of a template from its first one to that of the next.
struct Templates {
    const int* first_level;  // [templates + 1]
    const Level* levels;
    const float* luma;  // [templates], see Atlas.luma
};

struct alignas(16) SpritePart {
    int words[4];
};

constexpr int kSpriteParts = sizeof(ProjectedSprite) / sizeof(SpritePart);
static_assert(sizeof(ProjectedSprite) == 28 * sizeof(int), "engine/cuda/binning.py: SPRITE_WORDS = 28");
static_assert(kWarp == 32, "engine/cuda/binning.py: WARP = 32");
static_assert(kTile == 16, "engine/cuda/binning.py: TILE = 16");

__device__ inline int thread_of_grid() { return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); }

__device__ inline int lane_of_warp() { return static_cast<int>(threadIdx.x) % kWarp; }

// Where it is shaded, its tint is lowered by its template's mean luma (see kernels/blend.h).
template <class R>
__device__ ProjectedSprite project(const Placement<R>& p, float opacity, const float* tint, int of_template,
                                   const Templates& templates, R lod_bias, float shade) {
    ProjectedSprite s{};
    s.placement = {static_cast<float>(p.a), static_cast<float>(p.b), static_cast<float>(p.d),
                   static_cast<float>(p.e), static_cast<float>(p.x), static_cast<float>(p.y)};
    s.opacity = opacity;
    for (int i = 0; i < 3; ++i) s.tint[i] = tint[i];
    s.drawn = is_drawable(p, opacity, tint) && is_drawable(s.placement, opacity, tint);
    if (!s.drawn) return s;
    const int first = templates.first_level[of_template];
    s.view = view_of(p, templates.levels + first, templates.first_level[of_template + 1] - first, lod_bias);
    if (shade > 0.0f)
        for (int i = 0; i < 3; ++i) s.tint[i] -= shade * templates.luma[of_template];
    return s;
}

}  // namespace smalti
