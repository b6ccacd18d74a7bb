// SPDX-License-Identifier: GPL-3.0-or-later
#include "plan.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "pool.h"

namespace smalti {
namespace {

ProjectedSprite project(const Scene& scene, std::int64_t k) {
    ProjectedSprite s{};
    s.placement = scene.affine ? placement_of(scene.affine + 6 * k) : scene.placement[k];
    s.opacity = static_cast<float>(scene.opacity[k]);
    for (int i = 0; i < 3; ++i) s.tint[i] = static_cast<float>(scene.tint[3 * k + i]);
    if (scene.shade > 0.0f)
        for (float& channel : s.tint) channel -= scene.shade * scene.luma[scene.templates[k]];
    s.drawn = is_drawable(s.placement, s.opacity, s.tint);
    if (!s.drawn) return s;
    const int first = scene.first_level[scene.templates[k]];
    const int count = scene.first_level[scene.templates[k] + 1] - first;
    s.view = view_of(s.placement, scene.levels + first, count, scene.lod_bias);
    return s;
}

// Calls visit(tile) for each tile that holds the center of a pixel inside the sprite's rotated rectangle.
template <class Visit>
void for_each_tile(const ProjectedSprite& s, const Scene& scene, const Plan& plan, Visit visit) {
    if (!s.drawn) return;
    const int above = scene.first_row / kTile, bottom = scene.first_row + scene.height;
    const Outline<double> outline = outline_of(s.placement, s.view.extent_u, s.view.extent_v, bottom);
    for (int row = std::max(outline.first_row, above); row <= outline.last_row; ++row) {
        const Span span = span_of(outline, row, scene.width);
        for (int column = span.first; column <= span.last; ++column) visit((row - above) * plan.tiles_x + column);
    }
}

}  // namespace

void make_plan(const Scene& scene, int threads, Plan& plan) {
    constexpr std::int64_t kChunk = 256;
    plan.tiles_x = (scene.width + kTile - 1) / kTile;
    plan.tiles_y = (scene.height + kTile - 1) / kTile;
    plan.first_row = scene.first_row;
    const std::int64_t n = scene.sprites, chunks = (n + kChunk - 1) / kChunk;
    plan.sprites.resize(n);
    plan.pair_start.resize(n + 1);
    plan.pair_start[0] = 0;
    parallel_for(chunks, threads, [&](std::int64_t chunk, int) {
        for (std::int64_t k = chunk * kChunk; k < std::min(n, (chunk + 1) * kChunk); ++k) {
            plan.sprites[k] = project(scene, k);
            std::int64_t count = 0;
            for_each_tile(plan.sprites[k], scene, plan, [&](int) { ++count; });
            plan.pair_start[k + 1] = count;
        }
    });
    for (std::int64_t k = 0; k < n; ++k) plan.pair_start[k + 1] += plan.pair_start[k];
    const std::int64_t pairs = plan.pair_start[n];
    if (pairs > std::numeric_limits<std::int32_t>::max())
        throw std::length_error("too many large sprites for this canvas: over 2^31 pairs of sprite and tile");

    plan.pair_tile.resize(pairs);
    plan.pair_sprite.resize(pairs);
    plan.tile_pair.resize(pairs);
    // Counting sort by tile, in as many parts as there are threads. Each part has a counter for each tile, which
    // becomes the place of its first pair there. Pairs are met in the order of the sprites, so each tile's list keeps
    // the stacking order, whatever the parts.
    const std::int64_t tiles = plan.tiles(), parts = std::max<std::int64_t>(1, std::min<std::int64_t>(threads, chunks));
    const auto first_sprite = [&](std::int64_t part) { return n * part / parts; };
    plan.next.assign(parts * tiles, 0);
    parallel_for(parts, threads, [&](std::int64_t part, int) {
        std::int64_t* const count = plan.next.data() + part * tiles;
        for (std::int64_t k = first_sprite(part); k < first_sprite(part + 1); ++k) {
            std::int64_t at = plan.pair_start[k];
            for_each_tile(plan.sprites[k], scene, plan, [&](int tile) {
                plan.pair_sprite[at] = static_cast<std::int32_t>(k);
                plan.pair_tile[at++] = tile;
                ++count[tile];
            });
        }
    });
    plan.tile_start.resize(tiles + 1);
    std::int64_t reached = 0;
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
        plan.tile_start[tile] = reached;
        for (std::int64_t part = 0; part < parts; ++part) {
            const std::int64_t count = plan.next[part * tiles + tile];
            plan.next[part * tiles + tile] = reached;
            reached += count;
        }
    }
    plan.tile_start[tiles] = reached;
    parallel_for(parts, threads, [&](std::int64_t part, int) {
        std::int64_t* const next = plan.next.data() + part * tiles;
        for (std::int64_t p = plan.pair_start[first_sprite(part)]; p < plan.pair_start[first_sprite(part + 1)]; ++p)
            plan.tile_pair[next[plan.pair_tile[p]]++] = static_cast<std::uint32_t>(p);
    });
}

}  // namespace smalti
