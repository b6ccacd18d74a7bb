// SPDX-License-Identifier: GPL-3.0-or-later
// From sprites to tiles: the mip levels of each sprite, the tiles it touches, and each tile's sprites in stacking
// order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../kernels/cover.h"

namespace smalti {

constexpr int kTilePixels = kTile * kTile;

// Borrowed views of the caller's arrays, in the units of `Scene` in engine/raster/scene.py.
struct Scene {
    std::int64_t sprites;
    const double* affine;              // [sprites, 6]: u = a x + b y + c, v = d x + e y + f; or null
    const double* opacity;             // [sprites]
    const double* tint;                // [sprites, 3]
    const std::int32_t* templates;     // [sprites]
    const std::uint64_t* alpha_quads;  // [texels], see fetch_alphas
    const std::uint64_t* texels;       // [texels], see fetch_texels
    const std::int32_t* first_level;   // [templates + 1], into levels
    const float* luma;                 // [templates], see Atlas.luma in engine/raster/atlas.py
    const Level* levels;
    int width;
    int height;
    const float* background;  // [height, width, 4] premultiplied, or null for transparent
    float mix, shade;
    double lod_bias;
    float stop;                                    // a pixel is finished once its transmittance is below this
    const Placement<double>* placement = nullptr;  // [sprites], read where affine is null
    int first_row = 0;                             // rows of the canvas above this strip of it, a multiple of kTile
};

// One sprite, ready to be drawn.
struct ProjectedSprite {
    Placement<double> placement;
    View view;
    float opacity;
    float tint[3];
    bool drawn;
};

// Pairs of (sprite, tile) are numbered sprite by sprite, so that the backward pass can give each its own place for
// gradients: merging them needs no atomics and no locks, and its order never depends on the number of threads.
struct Plan {
    int tiles_x = 0;
    int tiles_y = 0;
    int first_row = 0;  // the scene's
    std::int64_t tiles() const { return static_cast<std::int64_t>(tiles_x) * tiles_y; }
    std::vector<ProjectedSprite> sprites;
    std::vector<std::int64_t> pair_start;   // [sprites + 1]
    std::vector<std::int32_t> pair_tile;    // [pairs]
    std::vector<std::int64_t> tile_start;   // [tiles + 1]
    std::vector<std::uint32_t> tile_pair;   // [pairs], each tile's pairs, bottom of the stack first
    std::vector<std::int32_t> pair_sprite;  // [pairs]
    std::vector<std::int64_t> next;         // see make_plan
};

// Fills `plan`, whose memory is used again. Throws std::length_error where the pairs would not fit into 32-bit numbers.
void make_plan(const Scene& scene, int threads, Plan& plan);

}  // namespace smalti
