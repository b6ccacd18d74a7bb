// SPDX-License-Identifier: GPL-3.0-or-later
// Which tiles a sprite touches.
//
// Pairs of sprite and tile are counted in one pass and written in another, which must come to the same tiles to the
// last bit. What they compute is not inlined, and where a compiler could fuse either of two products with an addition it
// is written out which. Neither binds a GPU's assembler, which clones functions for their callers: the pass that writes
// also keeps to what was counted (engine/cuda/binning.cuh).
#pragma once

#include "sprite.h"

namespace smalti {

// A pixel's own test rounds differently: reach a little further, so that no tile is missed.
constexpr float kSlack = 1.0f / 256.0f;

// The corners of a sprite's rectangle on the canvas, and the rows of tiles that they span; none where first > last.
template <class R>
struct Outline {
    R x[4], y[4];
    int first_row, last_row;
};

template <class R>
SMALTI_ONE_COPY Outline<R> outline_of(const Placement<R>& p, float extent_u, float extent_v, int height) {
    Outline<R> o;
    o.first_row = 1, o.last_row = 0;
    const R determinant = fma(p.a, p.e, -(p.b * p.d));
    R top = R(0), bottom = R(0);
    for (int i = 0; i < 4; ++i) {
        const R u = i == 0 || i == 3 ? -extent_u : extent_u, v = i < 2 ? -extent_v : extent_v;
        o.x[i] = p.x + (p.e * u - p.b * v) / determinant;
        o.y[i] = p.y + (p.a * v - p.d * u) / determinant;
        top = i == 0 ? o.y[i] : least(top, o.y[i]);
        bottom = i == 0 ? o.y[i] : most(bottom, o.y[i]);
    }
    top -= R(kSlack), bottom += R(kSlack);
    const R last = R(height - 1);
    if (!(bottom >= R(0.5) && top <= last + R(0.5))) return o;
    o.first_row = static_cast<int>(clamped(ceil(top - R(0.5)), R(0), last)) / kTile;
    o.last_row = static_cast<int>(clamped(floor(bottom - R(0.5)), R(0), last)) / kTile;
    return o;
}

// The tiles of one row that hold the center of a pixel inside the rectangle, which is clipped to the centers of the
// row's pixels; none where first > last.
struct Span {
    int first, last;
};

template <class R>
SMALTI_ONE_COPY Span span_of(const Outline<R>& o, int row, int width) {
    const R y0 = R(row * kTile) + R(0.5) - R(kSlack), y1 = y0 + R(kTile - 1) + R(2) * R(kSlack);
    R left = R(0), right = R(0);
    bool found = false;
    for (int i = 0; i < 4; ++i) {
        const int j = (i + 1) & 3;
        R ax = o.x[i], ay = o.y[i], bx = o.x[j], by = o.y[j];
        if (ay > by) {
            const R x = ax, y = ay;
            ax = bx, ay = by, bx = x, by = y;
        }
        if (by < y0 || ay > y1) continue;
        const R slope = by > ay ? (bx - ax) / (by - ay) : R(0);
        const R px = ay < y0 ? ax + slope * (y0 - ay) : ax;
        const R qx = by > y1 ? ax + slope * (y1 - ay) : bx;
        left = found ? least(left, least(px, qx)) : least(px, qx);
        right = found ? most(right, most(px, qx)) : most(px, qx);
        found = true;
    }
    const R first = ceil(left - R(kSlack) - R(0.5)), last = floor(right + R(kSlack) - R(0.5));
    const R end = R(width - 1);
    if (!found || !(last >= R(0) && first <= end && first <= last)) return {1, 0};
    return {static_cast<int>(most(first, R(0))) / kTile, static_cast<int>(least(last, end)) / kTile};
}

}  // namespace smalti
