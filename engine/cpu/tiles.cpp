// SPDX-License-Identifier: GPL-3.0-or-later
// One tile, forward and backward. CMake compiles this file once for each instruction set, with SMALTI_ISA naming it.
#include "tiles.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <type_traits>

#include "../kernels/blend.h"
#include "../kernels/display.h"
#include "corners.h"

namespace smalti {
namespace SMALTI_ISA {
namespace {

struct alignas(64) Row {
    float v[kTile];
};

// A sprite as seen from the first pixel of a tile, in single precision: the position is taken in double precision
// before, so that a small sprite far from the canvas's origin loses nothing.
struct Local {
    float a, b, c, d, e, f;
    float extent_u, extent_v, fraction, opacity;
    float tint[3];
    Sampler fine, coarse;
};

SMALTI_ISA_INLINE Local localise(const Sprite& s, double x, double y) {
    const Placement<double>& p = s.placement;
    Local l;
    l.a = static_cast<float>(p.a), l.b = static_cast<float>(p.b);
    l.d = static_cast<float>(p.d), l.e = static_cast<float>(p.e);
    l.c = static_cast<float>(p.a * (x - p.x) + p.b * (y - p.y));
    l.f = static_cast<float>(p.d * (x - p.x) + p.e * (y - p.y));
    l.extent_u = s.view.extent_u, l.extent_v = s.view.extent_v, l.fraction = s.view.fraction, l.opacity = s.opacity;
    for (int i = 0; i < 3; ++i) l.tint[i] = s.tint[i];
    l.fine = s.view.fine, l.coarse = s.view.coarse;
    return l;
}

// Which rows of the tile hold a pixel inside the sprite. Columns where |u| and |v| stay within the extents form an
// interval in each row; a row without one is left out. Rounding may keep a row too many, never lose one.
SMALTI_ISA_INLINE unsigned rows_touched(const Local& s) {
    const float steep = 1e30f;
    const float ia = fabs(s.a) > 1e-30f ? 1.0f / s.a : steep;
    const float id = fabs(s.d) > 1e-30f ? 1.0f / s.d : steep;
    const Reals u = s.c + s.b * ascending(), v = s.f + s.e * ascending();
    const Reals u0 = (-s.extent_u - u) * ia, u1 = (s.extent_u - u) * ia;
    const Reals v0 = (-s.extent_v - v) * id, v1 = (s.extent_v - v) * id;
    const float slack = 1e-2f, end = static_cast<float>(kTile - 1);
    Reals first = larger(smaller(u0, u1), smaller(v0, v1)) - slack;
    Reals last = smaller(larger(u0, u1), larger(v0, v1)) + slack;
    // Written so that an interval that is not a number, which extreme maps give, becomes the whole row.
    first = choose(Reals(0.0f) < first, smaller(first, static_cast<float>(kTile)), 0.0f);
    last = choose(last < end, last, end);
    // Not negative, so truncation is the floor; the first column is the ceiling.
    alignas(64) std::int32_t touched[kTile];
    (number(truncated(first + 0.99999f)) <= last).store(touched);
    unsigned rows = 0;
    for (int i = 0; i < kTile; ++i) rows |= (static_cast<unsigned>(touched[i]) & 1u) << i;
    return rows;
}

// What a row of pixels sees of a sprite's template: `levels` is 1 where the level of detail lies on a single level, as for
// all sprites larger than their bitmap.
template <int levels>
struct Sight {
    Reals scale;  // kTexelScale where the sprite is drawn, else 0
    Footprint<Reals, Ints> at[levels];
};

// Pixels outside look at the template's centre, which is always a valid place to read.
template <int levels>
SMALTI_ISA_INLINE Sight<levels> look(const Local& s, int i, Reals t, float stop) {
    const float u_row = s.c + s.b * static_cast<float>(i), v_row = s.f + s.e * static_cast<float>(i);
    const Reals u = s.a * ascending() + u_row, v = s.d * ascending() + v_row;
    const Ints drawn = (magnitude(u) <= s.extent_u) & (magnitude(v) <= s.extent_v) & (stop <= t);
    const Reals seen_u = choose(drawn, u, 0.0f), seen_v = choose(drawn, v, 0.0f);
    Sight<levels> sight;
    sight.scale = choose(drawn, Reals(kTexelScale), 0.0f);
    sight.at[0] = footprint_of(s.fine, seen_u, seen_v);
    if constexpr (levels > 1) sight.at[1] = footprint_of(s.coarse, seen_u, seen_v);
    return sight;
}

// The alphas that a row of pixels sees, in 16-bit units.
template <int levels>
SMALTI_ISA_INLINE Sample<Reals> alphas(const Scene& scene, const Local& s, const Sight<levels>& sight) {
    Sample<Reals> found[levels];
    for (int level = 0; level < levels; ++level) {
        const Footprint<Reals, Ints>& at = sight.at[level];
        alignas(64) std::int32_t index[kTile];
        Reals corners[4];
        at.index.store(index);
        fetch_alphas(scene.alpha_quads, index, corners);
        found[level] = bilinear(level == 0 ? s.fine : s.coarse, at.fx, at.fy, corners[0], corners[1], corners[2],
                                corners[3]);
    }
    return levels == 1 ? found[0] : between_levels(found[0], found[levels - 1], s.fraction);
}

// The same for red, green, blue and alpha.
struct Colours {
    Sample<Reals> channel[4];
};

template <int levels>
SMALTI_ISA_INLINE Colours colours(const Scene& scene, const Local& s, const Sight<levels>& sight) {
    Colours found[levels];
    for (int level = 0; level < levels; ++level) {
        const Sampler& sampler = level == 0 ? s.fine : s.coarse;
        const Footprint<Reals, Ints>& at = sight.at[level];
        alignas(64) std::int32_t index[kTile];
        Reals upper[8], lower[8];
        at.index.store(index);
        fetch_texels(scene.texels, index, upper);
        fetch_texels(scene.texels + sampler.stride, index, lower);
        for (int channel = 0; channel < 4; ++channel)
            found[level].channel[channel] = bilinear(sampler, at.fx, at.fy, upper[channel], upper[4 + channel],
                                                     lower[channel], lower[4 + channel]);
    }
    if constexpr (levels > 1)
        for (int channel = 0; channel < 4; ++channel)
            found[0].channel[channel] =
                between_levels(found[0].channel[channel], found[1].channel[channel], s.fraction);
    return found[0];
}

// Per-pixel state of a tile on its way down the stack.
struct State {
    Row transmittance[kTile];
    unsigned open_rows;  // rows in which some pixel is not finished
};

SMALTI_ISA_INLINE void update_open_rows(State& state, float stop) {
    unsigned open = 0;
    for (int i = 0; i < kTile; ++i) {
        float most = 0.0f;
        for (int lane = 0; lane < kTile; ++lane) most = std::max(most, state.transmittance[i].v[lane]);
        open |= static_cast<unsigned>(most >= stop) << i;
    }
    state.open_rows &= open;
}

constexpr int kCheckEvery = 4;  // sprites between two looks at which rows are finished

struct TileArea {
    int x, y, columns, rows;
};

SMALTI_ISA_INLINE TileArea area_of(const Scene& scene, const Plan& plan, int tile) {
    TileArea t;
    t.x = (tile % plan.tiles_x) * kTile, t.y = (tile / plan.tiles_x) * kTile;
    t.columns = std::min(kTile, scene.width - t.x), t.rows = std::min(kTile, scene.height - t.y);
    return t;
}

SMALTI_ISA_INLINE void open(State& state, const TileArea& area) {
    for (int i = 0; i < kTile; ++i)
        for (int lane = 0; lane < kTile; ++lane)
            state.transmittance[i].v[lane] = i < area.rows && lane < area.columns ? 1.0f : 0.0f;
    state.open_rows = area.rows == kTile ? 0xffffu : (1u << area.rows) - 1u;
}

// The share of the bitmap's own colours, a constant where it can be one.
template <Colour kind>
SMALTI_ISA_INLINE float share_of_bitmap(const Scene& scene) {
    return kind == Colour::tint ? 0.0f : kind == Colour::bitmap ? 1.0f : scene.mix;
}

template <Colour kind>
using Constant = std::integral_constant<Colour, kind>;

template <class Body>
SMALTI_ISA_INLINE auto by_colour(const Scene& scene, const Body& body) {
    if (!(scene.mix > 0.0f)) return body(Constant<Colour::tint>{});
    return scene.mix < 1.0f ? body(Constant<Colour::mixed>{}) : body(Constant<Colour::bitmap>{});
}

SMALTI_ISA_INLINE void add(float* to, Reals value) { (Reals::load(to) + value).store(to); }

// Rounding must never bring a transmittance below 0: with a stop of 0 it would end the pixel.
SMALTI_ISA_INLINE void dim(float* transmittance, Reals t, Reals weight) { larger(t - weight, 0.0f).store(transmittance); }

template <Colour kind, int levels>
void forward_rows(const Scene& scene, const Local& s, unsigned rows, State& state, Row (*colour)[kTile]) {
    const float opacity = s.opacity, own = share_of_bitmap<kind>(scene), painted = 1.0f - own;
    const float tint[3] = {painted * s.tint[0], painted * s.tint[1], painted * s.tint[2]};
    for (; rows; rows &= rows - 1) {
        const int i = __builtin_ctz(rows);
        const Reals t = Reals::load(state.transmittance[i].v);
        const Sight<levels> sight = look<levels>(s, i, t, scene.stop);
        const Reals through = opacity * sight.scale * t;
        if constexpr (!kShowsBitmap<kind>) {
            const Reals weight = through * alphas(scene, s, sight).value;
            for (int channel = 0; channel < 3; ++channel) add(colour[channel][i].v, weight * tint[channel]);
            dim(state.transmittance[i].v, t, weight);
        } else {
            const Colours seen = colours(scene, s, sight);
            const Reals weight = through * seen.channel[3].value;
            for (int channel = 0; channel < 3; ++channel)
                add(colour[channel][i].v, shown<kind>(weight, tint[channel], through, own, seen.channel[channel].value));
            dim(state.transmittance[i].v, t, weight);
        }
    }
}

template <Colour kind>
void forward_as(const Scene& scene, const Plan& plan, int tile, float* image) {
    const TileArea area = area_of(scene, plan, tile);
    State state;
    Row colour[3][kTile];
    open(state, area);
    std::memset(colour, 0, sizeof colour);
    int visited = 0;
    for (std::int64_t at = plan.tile_start[tile + 1] - 1; at >= plan.tile_start[tile] && state.open_rows; --at) {
        const Sprite& sprite = plan.sprites[plan.pair_sprite[plan.tile_pair[at]]];
        const Local s = localise(sprite, area.x + 0.5, area.y + 0.5);
        const unsigned rows = rows_touched(s) & state.open_rows;
        if (s.fraction > 0.0f)
            forward_rows<kind, 2>(scene, s, rows, state, colour);
        else
            forward_rows<kind, 1>(scene, s, rows, state, colour);
        if (++visited % kCheckEvery == 0) update_open_rows(state, scene.stop);
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

void forward(const Scene& scene, const Plan& plan, int tile, float* image) {
    by_colour(scene, [&](auto kind) { forward_as<kind()>(scene, plan, tile, image); });
}

// The backward pass walks the stack twice. On the way down it samples and remembers, for each row it draws, what the way
// up needs; on the way up it carries `behind` (see blend.h).
//
// What is remembered of a row: T, then for alpha, and for red, green and blue where the bitmap's colours show, the sampled
// value and its derivatives by u, v and level of detail.
constexpr int kTransmittance = 0, kAlpha = 1, kColours = 5;
constexpr int stored_rows(Colour kind) { return kind == Colour::tint ? kColours : kColours + 12; }

struct Sums {
    Row du, du_row, dv, dv_row, lod, opacity, tint[3];
};

SMALTI_ISA_INLINE float total(const Row& row) {
    float sum = 0.0f;
    for (int lane = 0; lane < kTile; ++lane) sum += row.v[lane];
    return sum;
}

SMALTI_ISA_INLINE float total_by_column(const Row& row) {
    float sum = 0.0f;
    for (int lane = 0; lane < kTile; ++lane) sum += row.v[lane] * static_cast<float>(lane);
    return sum;
}

template <int levels>
SMALTI_ISA_INLINE void keep(float* out, int at, Reals scale, const Sample<Reals>& s) {
    (scale * s.value).store(out + at * kTile);
    (scale * s.du).store(out + (at + 1) * kTile);
    (scale * s.dv).store(out + (at + 2) * kTile);
    if constexpr (levels > 1) (scale * s.dlod).store(out + (at + 3) * kTile);
}

// `draw` adds up the picture's colours too, into `colour`.
template <Colour kind, int levels, bool draw>
void down_rows(const Scene& scene, const Local& s, unsigned rows, State& state, Row (*colour)[kTile], float* stored) {
    const float opacity = s.opacity, own = share_of_bitmap<kind>(scene), painted = 1.0f - own;
    const float tint[3] = {painted * s.tint[0], painted * s.tint[1], painted * s.tint[2]};
    for (; rows; rows &= rows - 1, stored += stored_rows(kind) * kTile) {
        const int i = __builtin_ctz(rows);
        const Reals t = Reals::load(state.transmittance[i].v);
        const Sight<levels> sight = look<levels>(s, i, t, scene.stop);
        const Reals through = opacity * sight.scale * t;
        t.store(stored + kTransmittance * kTile);
        if constexpr (!kShowsBitmap<kind>) {
            const Sample<Reals> q = alphas(scene, s, sight);
            const Reals weight = through * q.value;
            keep<levels>(stored, kAlpha, sight.scale, q);
            if constexpr (draw)
                for (int channel = 0; channel < 3; ++channel) add(colour[channel][i].v, weight * tint[channel]);
            dim(state.transmittance[i].v, t, weight);
        } else {
            const Colours seen = colours(scene, s, sight);
            const Reals weight = through * seen.channel[3].value;
            keep<levels>(stored, kAlpha, sight.scale, seen.channel[3]);
            for (int channel = 0; channel < 3; ++channel) {
                keep<levels>(stored, kColours + 4 * channel, sight.scale, seen.channel[channel]);
                if constexpr (draw)
                    add(colour[channel][i].v,
                        shown<kind>(weight, tint[channel], through, own, seen.channel[channel].value));
            }
            dim(state.transmittance[i].v, t, weight);
        }
    }
}

template <Colour kind, int levels>
void up_rows(const Scene& scene, const Local& s, unsigned rows, const Row (*grad)[kTile], const float* stored,
             Row* behind, Sums& to) {
    const float opacity = s.opacity, own = share_of_bitmap<kind>(scene), painted = 1.0f - own;
    const float tr = painted * s.tint[0], tg = painted * s.tint[1], tb = painted * s.tint[2];
    Reals sum_du = 0.0f, sum_du_row = 0.0f, sum_dv = 0.0f, sum_dv_row = 0.0f, sum_lod = 0.0f, sum_opacity = 0.0f;
    Reals sum_red = 0.0f, sum_green = 0.0f, sum_blue = 0.0f;
    for (; rows; rows &= rows - 1, stored += stored_rows(kind) * kTile) {
        const int i = __builtin_ctz(rows);
        const auto in = [&](int at) { return Reals::load(stored + at * kTile); };
        const Reals r = Reals::load(grad[0][i].v), g = Reals::load(grad[1][i].v), b = Reals::load(grad[2][i].v);
        const Reals t = in(kTransmittance), back = Reals::load(behind[i].v);
        const auto remembered = [&](int at) {
            return Sample<Reals>{in(at), in(at + 1), in(at + 2), levels > 1 ? in(at + 3) : Reals(0.0f)};
        };
        const Sample<Reals> q = remembered(kAlpha);
        Sample<Reals> p{0.0f, 0.0f, 0.0f, 0.0f};
        if constexpr (kShowsBitmap<kind>)
            p = seen_through(r, remembered(kColours), g, remembered(kColours + 4), b, remembered(kColours + 8));
        const Lesson<Reals> learnt = lesson<kind, (levels > 1)>(r * tr + g * tg + b * tb, Reals::load(grad[3][i].v), back,
                                                                t, q, p, opacity, own);
        (back + learnt.behind).store(behind[i].v);
        const float row = static_cast<float>(i);
        if constexpr (kShowsTint<kind>) {
            const Reals weight = opacity * q.value * t;
            sum_red = sum_red + weight * r;
            sum_green = sum_green + weight * g;
            sum_blue = sum_blue + weight * b;
        }
        sum_du = sum_du + learnt.du;
        sum_du_row = sum_du_row + learnt.du * row;
        sum_dv = sum_dv + learnt.dv;
        sum_dv_row = sum_dv_row + learnt.dv * row;
        sum_lod = sum_lod + learnt.lod;
        sum_opacity = sum_opacity + learnt.opacity;
    }
    sum_du.store(to.du.v), sum_du_row.store(to.du_row.v), sum_dv.store(to.dv.v), sum_dv_row.store(to.dv_row.v);
    sum_lod.store(to.lod.v), sum_opacity.store(to.opacity.v);
    sum_red.store(to.tint[0].v), sum_green.store(to.tint[1].v), sum_blue.store(to.tint[2].v);
}

// Walks down the stack; returns the place in the tile's list of the lowest sprite that was visited.
template <Colour kind, bool draw>
std::int64_t down(const Scene& scene, const Plan& plan, int tile, const TileArea& area, State& state,
                  Row (*colour)[kTile], Scratch& scratch) {
    const std::int64_t first = plan.tile_start[tile], last = plan.tile_start[tile + 1];
    scratch.rows.assign(static_cast<std::size_t>(last - first), 0);
    scratch.used = 0;
    std::int64_t at = last - 1;
    for (int visited = 0; at >= first && state.open_rows; --at) {
        const Sprite& sprite = plan.sprites[plan.pair_sprite[plan.tile_pair[at]]];
        const Local s = localise(sprite, area.x + 0.5, area.y + 0.5);
        const unsigned rows = rows_touched(s) & state.open_rows;
        scratch.rows[at - first] = static_cast<int>(rows);
        const std::size_t needed =
            scratch.used + static_cast<std::size_t>(__builtin_popcount(rows)) * stored_rows(kind) * kTile;
        if (scratch.values.size() < needed) scratch.values.resize(std::max(needed, 2 * scratch.values.size()));
        float* const stored = scratch.values.data() + scratch.used;
        if (s.fraction > 0.0f)
            down_rows<kind, 2, draw>(scene, s, rows, state, colour, stored);
        else
            down_rows<kind, 1, draw>(scene, s, rows, state, colour, stored);
        scratch.used = needed;
        if (++visited % kCheckEvery == 0) update_open_rows(state, scene.stop);
    }
    return at + 1;
}

// Walks up again from there, and writes the gradients of the tile's pairs.
template <Colour kind>
void up(const Scene& scene, const Plan& plan, int tile, const TileArea& area, std::int64_t lowest,
        const Row (*grad)[kTile], Row* behind, PairGradient* gradients, Scratch& scratch) {
    const std::int64_t first = plan.tile_start[tile], last = plan.tile_start[tile + 1];
    // Sprites under the last one that anybody sees learn nothing.
    for (std::int64_t hidden = first; hidden < lowest; ++hidden) gradients[plan.tile_pair[hidden]] = PairGradient{};
    const float painted = 1.0f - share_of_bitmap<kind>(scene);
    for (std::int64_t at = lowest; at < last; ++at) {
        const std::uint32_t pair = plan.tile_pair[at];
        const Sprite& sprite = plan.sprites[plan.pair_sprite[pair]];
        const Local s = localise(sprite, area.x + 0.5, area.y + 0.5);
        const unsigned rows = static_cast<unsigned>(scratch.rows[at - first]);
        scratch.used -= static_cast<std::size_t>(__builtin_popcount(rows)) * stored_rows(kind) * kTile;
        Sums sums;
        const float* const stored = scratch.values.data() + scratch.used;
        if (s.fraction > 0.0f)
            up_rows<kind, 2>(scene, s, rows, grad, stored, behind, sums);
        else
            up_rows<kind, 1>(scene, s, rows, grad, stored, behind, sums);
        PairGradient& out = gradients[pair];
        out.du = total(sums.du), out.du_column = total_by_column(sums.du), out.du_row = total(sums.du_row);
        out.dv = total(sums.dv), out.dv_column = total_by_column(sums.dv), out.dv_row = total(sums.dv_row);
        out.lod = total(sums.lod);
        out.opacity = total(sums.opacity);
        for (int i = 0; i < 3; ++i) out.tint[i] = painted * total(sums.tint[i]);
    }
}

// One row of a picture [4 * columns] as four planes, 0 beyond its end.
SMALTI_ISA_INLINE void split(const float* pixels, int columns, Row (&planes)[4]) {
    if (columns == kTile) {
        for (int j = 0; j < kTile; ++j)
            for (int channel = 0; channel < 4; ++channel) planes[channel].v[j] = pixels[4 * j + channel];
        return;
    }
    std::memset(planes, 0, sizeof planes);
    for (int j = 0; j < columns; ++j)
        for (int channel = 0; channel < 4; ++channel) planes[channel].v[j] = pixels[4 * j + channel];
}

template <Colour kind>
void backward_as(const Scene& scene, const Plan& plan, int tile, const float* grad_image, PairGradient* gradients,
                 Scratch& scratch) {
    const TileArea area = area_of(scene, plan, tile);
    State state;
    Row grad[4][kTile];
    Row behind[kTile];
    open(state, area);
    std::memset(grad, 0, sizeof grad);
    std::memset(behind, 0, sizeof behind);
    Row planes[4], under[4];
    for (int i = 0; i < area.rows; ++i) {
        const std::int64_t start = 4 * (static_cast<std::int64_t>(area.y + i) * scene.width + area.x);
        split(grad_image + start, area.columns, planes);
        for (int channel = 0; channel < 4; ++channel) grad[channel][i] = planes[channel];
        if (!scene.background) continue;
        split(scene.background + start, area.columns, under);
        Reals below = 0.0f;
        for (int channel = 0; channel < 4; ++channel)
            below = below + Reals::load(planes[channel].v) * Reals::load(under[channel].v);
        below.store(behind[i].v);
    }
    const std::int64_t lowest = down<kind, false>(scene, plan, tile, area, state, nullptr, scratch);
    up<kind>(scene, plan, tile, area, lowest, grad, behind, gradients, scratch);
}

void backward(const Scene& scene, const Plan& plan, int tile, const float* grad_image, PairGradient* gradients,
              Scratch& scratch) {
    if (plan.tile_start[tile] == plan.tile_start[tile + 1]) return;
    by_colour(scene, [&](auto kind) { backward_as<kind()>(scene, plan, tile, grad_image, gradients, scratch); });
}

// Lays a row of the goal on noise, which becomes what is under the sprites. `place` counts the picture's values.
void lay_on_noise(std::uint32_t key, std::uint32_t place, Row (&want)[4], Row (&under)[4]) {
    for (int j = 0; j < kTile; ++j) {
        for (int channel = 0; channel < 4; ++channel) {
            under[channel].v[j] = channel < 3 ? noise(key, place + static_cast<std::uint32_t>(4 * j + channel)) : 1.0f;
            want[channel].v[j] += (1.0f - want[3].v[j]) * under[channel].v[j];
        }
    }
}

// Display-encodes a row of values in place; `slope` gets the curve's slope there.
void encode(Row& values, Row& slope) {
    for (int j = 0; j < kTile; ++j) {
        const Encoded shown = encoded(values.v[j]);
        values.v[j] = shown.value, slope.v[j] = shown.slope;
    }
}

// Draws, compares and differentiates at once: the stack is sampled a single time.
template <Colour kind>
double step_as(const Scene& scene, const Plan& plan, int tile, const Goal& goal, PairGradient* gradients,
                Scratch& scratch) {
    const TileArea area = area_of(scene, plan, tile);
    State state;
    Row colour[3][kTile];
    Row grad[4][kTile];
    Row behind[kTile];
    open(state, area);
    std::memset(colour, 0, sizeof colour);
    std::memset(grad, 0, sizeof grad);
    std::memset(behind, 0, sizeof behind);
    const std::int64_t lowest = down<kind, true>(scene, plan, tile, area, state, colour, scratch);
    const Ints within = ascending() < static_cast<float>(area.columns);
    Reals losses = 0.0f;
    Row want[4], under[4], found, slope;
    std::memset(under, 0, sizeof under);
    for (int i = 0; i < area.rows; ++i) {
        const std::int64_t start = 4 * (static_cast<std::int64_t>(area.y + i) * scene.width + area.x);
        const Reals t = Reals::load(state.transmittance[i].v);
        split(goal.image + start, area.columns, want);
        if (scene.background) split(scene.background + start, area.columns, under);
        if (goal.on_noise) lay_on_noise(goal.noise_key, static_cast<std::uint32_t>(start), want, under);
        Reals below = 0.0f;
        for (int channel = 0; channel < 4; ++channel) {
            const Reals beneath = Reals::load(under[channel].v);
            const Reals drawn = channel < 3 ? Reals::load(colour[channel][i].v) : 1.0f - t;
            Reals picture = drawn + t * beneath;
            if (goal.encoded && channel < 3) {
                picture.store(found.v);
                encode(found, slope);
                picture = Reals::load(found.v);
                if (goal.on_noise) {
                    Row unused;
                    encode(want[channel], unused);
                }
            }
            const Compared<Reals> c = compared(picture, Reals::load(want[channel].v), goal.scale, goal.absolute);
            Reals g = c.slope;
            if (goal.encoded && channel < 3) g = g * Reals::load(slope.v);
            g = choose(within, g, 0.0f);
            losses = losses + choose(within, c.loss, 0.0f);
            g.store(grad[channel][i].v);
            below = below + g * beneath;
        }
        below.store(behind[i].v);
    }
    Row lanes;
    losses.store(lanes.v);
    double loss = 0.0;
    for (int j = 0; j < kTile; ++j) loss += lanes.v[j];
    up<kind>(scene, plan, tile, area, lowest, grad, behind, gradients, scratch);
    return loss;
}

// The four planes of a tile's picture, or of what lies behind a sprite.
using Planes = Row[4][kTile];

// What a tile knows while sprites and trials are appraised, from the bottom of the stack upwards.
struct Appraisal {
    Planes picture, error;  // all sprites drawn, and that minus the goal
    Planes behind;          // everything below the sprite at hand
    const bool tries;       // whether there are trials; without them `bare`, `clear` and `alpha` are not kept
    Planes bare;            // what is below all sprites
    Row clear[kTile];       // how much of it shows through those below the sprite at hand
    // Of the sprite at hand: what it adds to `behind`, and to the picture (0 outside its rows), and its alpha. It joins
    // `behind` and `clear` only when the next sprite comes, because the trials that would replace it see what it sees.
    Planes more, part;
    Row alpha[kTile];
    unsigned rows = 0;
    std::int64_t sprite = -1;

    explicit Appraisal(bool with_trials) : tries(with_trials) {}
};

void settle(Appraisal& a) {
    for (unsigned rows = a.rows; rows; rows &= rows - 1) {
        const int i = __builtin_ctz(rows);
        for (int channel = 0; channel < 4; ++channel) {
            add(a.behind[channel][i].v, Reals::load(a.more[channel][i].v));
            Reals(0.0f).store(a.part[channel][i].v);
        }
        if (!a.tries) continue;
        const Reals clear = Reals::load(a.clear[i].v);
        dim(a.clear[i].v, clear, clear * Reals::load(a.alpha[i].v));
    }
    a.rows = 0, a.sprite = -1;
}

// By how much the squared error would grow without a sprite (see blend.h); the sprite becomes the one at hand.
template <Colour kind>
float removal_of(const Scene& scene, const Local& s, unsigned all_rows, const float* stored, Appraisal& a) {
    const float opacity = s.opacity, own = share_of_bitmap<kind>(scene), painted = 1.0f - own;
    Reals sum = 0.0f;
    for (unsigned rows = all_rows; rows; rows &= rows - 1, stored += stored_rows(kind) * kTile) {
        const int i = __builtin_ctz(rows);
        const Reals q = Reals::load(stored + kAlpha * kTile), t = Reals::load(stored + kTransmittance * kTile);
        if (a.tries) (opacity * q).store(a.alpha[i].v);
        for (int channel = 0; channel < 4; ++channel) {
            const float tint = channel < 3 ? painted * s.tint[channel] : 1.0f;
            Reals colour = tint * q;
            if (kShowsBitmap<kind> && channel < 3)
                colour = colour + own * Reals::load(stored + (kColours + 4 * channel) * kTile);
            const Removal<Reals> r = removal(colour, q, Reals::load(a.behind[channel][i].v), t,
                                             Reals::load(a.error[channel][i].v), opacity);
            sum = sum + r.cost;
            r.more.store(a.more[channel][i].v);
            (t * r.more).store(a.part[channel][i].v);
        }
    }
    a.rows = all_rows;
    Row cost;
    sum.store(cost.v);
    return total(cost);
}

// The sums of a trial (see blend.h). `transmittance`: above what it replaces, for each of its rows; unused on top.
template <Colour kind, int levels>
void try_out(const Scene& scene, const Local& s, unsigned rows, int columns, Place place, const float* transmittance,
             const Appraisal& a, PairTrial& out) {
    const bool on_top = place == Place::on_top, at_bottom = place == Place::at_bottom;
    const Planes& behind = on_top ? a.picture : at_bottom ? a.bare : a.behind;
    const float own = share_of_bitmap<kind>(scene), painted = 1.0f - own;
    const Reals all = choose(ascending() < static_cast<float>(columns), Reals(1.0f), 0.0f);
    Trial<Reals> sums{};
    for (; rows; rows &= rows - 1) {
        const int i = __builtin_ctz(rows);
        Reals t = all;
        if (!on_top) t = Reals::load(transmittance), transmittance += kTile;
        if (at_bottom) t = t * Reals::load(a.clear[i].v);
        const Sight<levels> sight = look<levels>(s, i, t, scene.stop);
        Reals q, p[3];
        if constexpr (kShowsBitmap<kind>) {
            const Colours seen = colours(scene, s, sight);
            q = sight.scale * seen.channel[3].value;
            for (int channel = 0; channel < 3; ++channel) p[channel] = own * sight.scale * seen.channel[channel].value;
        } else {
            q = sight.scale * alphas(scene, s, sight).value;
        }
        for (int channel = 0; channel < 4; ++channel) {
            const Reals part = Reals::load(a.part[channel][i].v);
            const Reals under = Reals::load(behind[channel][i].v), back = on_top ? under - part : under;
            const Reals wanted = part - Reals::load(a.error[channel][i].v);
            const Reals given = channel == 3 ? q : kShowsBitmap<kind> ? p[channel] : Reals(0.0f);
            sums.add<kind>(channel, painted * t * q, t * (given - q * back), wanted);
        }
    }
    Row lanes;
    const auto sum = [&](Reals values) {
        values.store(lanes.v);
        return total(lanes);
    };
    out.squares = sum(sums.squares), out.own = sum(sums.own), out.match = sum(sums.match);
    for (int i = 0; i < 3; ++i) out.cross[i] = sum(sums.cross[i]), out.tint[i] = sum(sums.tint[i]);
}

// Walks down the stack of sprites, and keeps the light that reaches what trials would replace.
template <Colour kind>
std::int64_t down_past_trials(const Scene& scene, const Plan& plan, int tile, const TileArea& area, const Role* roles,
                              State& state, Row (*colour)[kTile], Scratch& scratch) {
    const std::int64_t first = plan.tile_start[tile], last = plan.tile_start[tile + 1];
    scratch.rows.assign(static_cast<std::size_t>(last - first), 0);
    scratch.used = 0;
    std::int64_t at = last - 1;
    for (int visited = 0; at >= first && state.open_rows; --at) {
        const std::int32_t k = plan.pair_sprite[plan.tile_pair[at]];
        const Place place = roles ? roles[k].place : Place::drawn;
        if (place == Place::on_top) continue;
        const Local s = localise(plan.sprites[k], area.x + 0.5, area.y + 0.5);
        const unsigned rows = rows_touched(s) & state.open_rows;
        const int kept = place == Place::drawn ? stored_rows(kind) : 1;
        scratch.rows[at - first] = static_cast<int>(rows);
        const std::size_t needed = scratch.used + static_cast<std::size_t>(__builtin_popcount(rows)) * kept * kTile;
        if (scratch.values.size() < needed) scratch.values.resize(std::max(needed, 2 * scratch.values.size()));
        float* stored = scratch.values.data() + scratch.used;
        scratch.used = needed;
        if (place != Place::drawn) {
            for (unsigned left = rows; left; left &= left - 1, stored += kTile)
                Reals::load(state.transmittance[__builtin_ctz(left)].v).store(stored);
            continue;
        }
        if (s.fraction > 0.0f)
            down_rows<kind, 2, true>(scene, s, rows, state, colour, stored);
        else
            down_rows<kind, 1, true>(scene, s, rows, state, colour, stored);
        if (++visited % kCheckEvery == 0) update_open_rows(state, scene.stop);
    }
    return at + 1;
}

template <Colour kind>
void appraise_as(const Scene& scene, const Plan& plan, int tile, const float* goal, const Role* roles, float* costs,
                 PairTrial* trials, Scratch& scratch) {
    const TileArea area = area_of(scene, plan, tile);
    const std::int64_t first = plan.tile_start[tile], last = plan.tile_start[tile + 1];
    State state;
    Appraisal a(roles != nullptr);
    open(state, area);
    const unsigned all_rows = state.open_rows;
    std::memset(a.error, 0, sizeof a.error);
    std::memset(a.behind, 0, sizeof a.behind);
    std::memset(a.picture, 0, sizeof a.picture);
    std::memset(a.part, 0, sizeof a.part);
    const std::int64_t lowest = down_past_trials<kind>(scene, plan, tile, area, roles, state, a.picture, scratch);
    for (int i = 0; i < area.rows; ++i) {
        const std::int64_t start = static_cast<std::int64_t>(area.y + i) * scene.width + area.x;
        for (int j = 0; j < area.columns; ++j) {
            const float t = state.transmittance[i].v[j];
            a.picture[3][i].v[j] = 1.0f - t;
            for (int channel = 0; channel < 4; ++channel) {
                const float under = scene.background ? scene.background[4 * (start + j) + channel] : 0.0f;
                a.behind[channel][i].v[j] = under;
                a.picture[channel][i].v[j] += t * under;
                a.error[channel][i].v[j] = a.picture[channel][i].v[j] - goal[4 * (start + j) + channel];
            }
        }
    }
    if (a.tries) {
        std::memcpy(a.bare, a.behind, sizeof a.bare);
        for (Row& row : a.clear) std::fill(std::begin(row.v), std::end(row.v), 1.0f);
    }
    for (std::int64_t at = first; at < last; ++at) {
        const std::uint32_t pair = plan.tile_pair[at];
        const std::int32_t k = plan.pair_sprite[pair];
        const Role role = roles ? roles[k] : Role{};
        const Local s = localise(plan.sprites[k], area.x + 0.5, area.y + 0.5);
        const bool on_top = role.place == Place::on_top;
        const unsigned rows = on_top ? rows_touched(s) & all_rows : static_cast<unsigned>(scratch.rows[at - first]);
        const int kept = on_top ? 0 : role.place == Place::drawn ? stored_rows(kind) : 1;
        scratch.used -= static_cast<std::size_t>(__builtin_popcount(rows)) * kept * kTile;
        const float* const stored = scratch.values.data() + scratch.used;
        if (role.place == Place::drawn) {
            settle(a);
            // Sprites under the last one that anybody sees are worth nothing.
            costs[pair] = at < lowest ? 0.0f : removal_of<kind>(scene, s, rows, stored, a);
            a.sprite = k;
            continue;
        }
        if (role.replaces != a.sprite) settle(a);  // the sprite that it would replace does not reach this tile
        if (s.fraction > 0.0f)
            try_out<kind, 2>(scene, s, rows, area.columns, role.place, stored, a, trials[pair]);
        else
            try_out<kind, 1>(scene, s, rows, area.columns, role.place, stored, a, trials[pair]);
    }
}

void appraise(const Scene& scene, const Plan& plan, int tile, const float* goal, const Role* roles, float* costs,
              PairTrial* trials, Scratch& scratch) {
    if (plan.tile_start[tile] == plan.tile_start[tile + 1]) return;
    by_colour(scene,
              [&](auto kind) { appraise_as<kind()>(scene, plan, tile, goal, roles, costs, trials, scratch); });
}

double step(const Scene& scene, const Plan& plan, int tile, const Goal& goal, PairGradient* gradients,
            Scratch& scratch) {
    return by_colour(scene, [&](auto kind) { return step_as<kind()>(scene, plan, tile, goal, gradients, scratch); });
}

}  // namespace
}  // namespace SMALTI_ISA

#define SMALTI_JOIN2(a, b) a##b
#define SMALTI_JOIN(a, b) SMALTI_JOIN2(a, b)
#define SMALTI_TEXT2(a) #a
#define SMALTI_TEXT(a) SMALTI_TEXT2(a)

TileKernels SMALTI_JOIN(SMALTI_ISA, _kernels)() {
    return {SMALTI_TEXT(SMALTI_ISA), SMALTI_ISA::forward, SMALTI_ISA::backward, SMALTI_ISA::step,
            SMALTI_ISA::appraise};
}

}  // namespace smalti
