// SPDX-License-Identifier: GPL-3.0-or-later
#include "plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "pool.h"

namespace smalti {
namespace {

bool drawable(const Sprite& s) {
    const double det = s.a * s.e - s.b * s.d;
    const double sum = s.a + s.b + s.c + s.d + s.e + s.f + s.opacity + s.tint[0] + s.tint[1] + s.tint[2];
    return std::isfinite(sum) && std::isfinite(det) && std::isfinite(1.0 / det);
}

Sprite prepare(const Scene& scene, std::int64_t k) {
    Sprite s{};
    const double* m = scene.affine + 6 * k;
    s.a = m[0], s.b = m[1], s.c = m[2], s.d = m[3], s.e = m[4], s.f = m[5];
    s.opacity = static_cast<float>(scene.opacity[k]);
    for (int i = 0; i < 3; ++i) s.tint[i] = static_cast<float>(scene.tint[3 * k + i]);

    if (!drawable(s)) return s;

    const int first = scene.first_level[scene.templates[k]];
    const int count = scene.first_level[scene.templates[k] + 1] - first;
    const Level* levels = scene.levels + first;
    // Texels per pixel, as the square root of the ratio of areas.
    const double texels = std::fabs(s.a * s.e - s.b * s.d) * 0.25 * levels[0].width * levels[0].height;
    const double wanted = 0.5 * std::log2(texels) + kLodOffset + scene.lod_bias;
    const double lod = std::min(std::max(wanted, 0.0), static_cast<double>(count - 1));
    s.lod_free = wanted > 0.0 && wanted < count - 1;
    const int fine = std::min(static_cast<int>(lod), count - 1);
    s.fraction = static_cast<float>(lod - fine);
    const int coarse = s.fraction > 0.0f ? std::min(fine + 1, count - 1) : fine;
    s.fine = sampler_of(levels[fine]);
    s.coarse = sampler_of(levels[coarse]);
    s.extent_u = 1.0f + 1.0f / static_cast<float>(levels[coarse].width);
    s.extent_v = 1.0f + 1.0f / static_cast<float>(levels[coarse].height);
    return s;
}

// Pairs are counted in one pass and written in another, which must come to the same tiles to the last bit: what they
// compute is not inlined, so that both run the same instructions (a compiler may fuse multiplications with additions in
// one copy and not in the other).
#if defined(_MSC_VER)
#define SMALTI_ONE_COPY __declspec(noinline)
#else
#define SMALTI_ONE_COPY __attribute__((noinline))
#endif

// A pixel's own test runs in single precision: reach a little further, so that no tile is missed by rounding.
constexpr double kSlack = 1.0 / 256.0;

// The corners of a sprite's rectangle on the canvas, and the rows of tiles that they span; none where first > last.
struct Outline {
    double x[4], y[4];
    int first_row, last_row;
};

SMALTI_ONE_COPY Outline outline_of(const Sprite& s, const Scene& scene) {
    Outline o{};
    o.first_row = 1, o.last_row = 0;
    if (!drawable(s)) return o;
    const double det = s.a * s.e - s.b * s.d;
    const double su[4] = {-1, 1, 1, -1}, sv[4] = {-1, -1, 1, 1};
    for (int i = 0; i < 4; ++i) {
        const double u = su[i] * s.extent_u - s.c, v = sv[i] * s.extent_v - s.f;
        o.x[i] = (s.e * u - s.b * v) / det;
        o.y[i] = (s.a * v - s.d * u) / det;
    }
    const double top = *std::min_element(o.y, o.y + 4) - kSlack, bottom = *std::max_element(o.y, o.y + 4) + kSlack;
    if (!(bottom >= 0.5 && top <= scene.height - 0.5)) return o;
    const auto row_of = [&](double value) {
        return static_cast<int>(std::min(std::max(value, 0.0), static_cast<double>(scene.height - 1))) / kTile;
    };
    o.first_row = row_of(std::ceil(top - 0.5));
    o.last_row = row_of(std::floor(bottom - 0.5));
    return o;
}

// The tiles of one row that hold the centre of a pixel inside the rectangle; none where first > last.
struct Span {
    int first, last;
};

SMALTI_ONE_COPY Span span_of(const Outline& o, int row, int width) {
    const double y0 = row * kTile + 0.5 - kSlack, y1 = y0 + kTile - 1 + 2 * kSlack;
    double left = std::numeric_limits<double>::infinity(), right = -left;
    for (int i = 0; i < 4; ++i) {
        const int j = (i + 1) & 3;
        double ax = o.x[i], ay = o.y[i], bx = o.x[j], by = o.y[j];
        if (ay > by) std::swap(ax, bx), std::swap(ay, by);
        if (by < y0 || ay > y1) continue;
        const double slope = by > ay ? (bx - ax) / (by - ay) : 0.0;
        const double px = ay < y0 ? ax + slope * (y0 - ay) : ax;
        const double qx = by > y1 ? ax + slope * (y1 - ay) : bx;
        left = std::min(left, std::min(px, qx));
        right = std::max(right, std::max(px, qx));
    }
    const double first = std::ceil(left - kSlack - 0.5), last = std::floor(right + kSlack - 0.5);
    if (!(last >= 0.0 && first <= width - 1 && first <= last)) return {1, 0};
    return {static_cast<int>(std::max(first, 0.0)) / kTile,
            static_cast<int>(std::min(last, static_cast<double>(width - 1))) / kTile};
}

// Calls visit(tile) for each tile that holds the centre of a pixel inside the sprite's rotated rectangle: for each row
// of tiles the rectangle is clipped to the centres of the row's pixels, and what is left of it spans the columns.
template <class Visit>
void for_each_tile(const Sprite& s, const Scene& scene, const Plan& plan, Visit visit) {
    const Outline outline = outline_of(s, scene);
    for (int row = outline.first_row; row <= outline.last_row; ++row) {
        const Span span = span_of(outline, row, scene.width);
        for (int column = span.first; column <= span.last; ++column) visit(row * plan.tiles_x + column);
    }
}

}  // namespace

void make_plan(const Scene& scene, int threads, Plan& plan) {
    constexpr std::int64_t kChunk = 256;
    plan.tiles_x = (scene.width + kTile - 1) / kTile;
    plan.tiles_y = (scene.height + kTile - 1) / kTile;
    const std::int64_t n = scene.sprites, chunks = (n + kChunk - 1) / kChunk;
    plan.sprites.resize(n);
    plan.pair_start.resize(n + 1);
    plan.pair_start[0] = 0;
    parallel_for(chunks, threads, [&](std::int64_t chunk, int) {
        for (std::int64_t k = chunk * kChunk; k < std::min(n, (chunk + 1) * kChunk); ++k) {
            plan.sprites[k] = prepare(scene, k);
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
    // Counting sort by tile, in as many parts as there are threads. Each part has a counter for each tile, which becomes
    // the place of its first pair there. Pairs are met in the order of the sprites, so each tile's list keeps the stacking
    // order, whatever the parts.
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
