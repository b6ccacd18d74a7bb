// SPDX-License-Identifier: GPL-3.0-or-later
// One tile, forward and backward. CMake compiles this file once for each instruction set, with SMALTI_ISA naming it; the
// loops over a row's pixels (`lane`) are branch-free and of fixed length, and the compiler makes vectors of them.
#include "tiles.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#if defined(__clang__)
#define SMALTI_LANES _Pragma("clang loop vectorize(enable)") for (int lane = 0; lane < kTile; ++lane)
#else
#define SMALTI_LANES _Pragma("GCC ivdep") for (int lane = 0; lane < kTile; ++lane)
#endif

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
    int first_row, last_row;
};

SMALTI_INLINE Local localise(const Sprite& s, double x, double y) {
    Local l;
    l.a = static_cast<float>(s.a), l.b = static_cast<float>(s.b);
    l.d = static_cast<float>(s.d), l.e = static_cast<float>(s.e);
    l.c = static_cast<float>(s.a * x + s.b * y + s.c);
    l.f = static_cast<float>(s.d * x + s.e * y + s.f);
    l.extent_u = s.extent_u, l.extent_v = s.extent_v, l.fraction = s.fraction, l.opacity = s.opacity;
    for (int i = 0; i < 3; ++i) l.tint[i] = s.tint[i];
    l.fine = s.fine, l.coarse = s.coarse;
    return l;
}

// Which rows of the tile hold a pixel inside the sprite. Columns where |u| and |v| stay within the extents form an
// interval in each row; a row without one is left out. Rounding may keep a row too many, never lose one.
SMALTI_INLINE unsigned rows_touched(const Local& s) {
    const float steep = 1e30f;
    const float ia = std::fabs(s.a) > 1e-30f ? 1.0f / s.a : steep;
    const float id = std::fabs(s.d) > 1e-30f ? 1.0f / s.d : steep;
    int touched[kTile];
    SMALTI_LANES {
        const float row = static_cast<float>(lane);
        const float u = s.c + s.b * row, v = s.f + s.e * row;
        const float u0 = (-s.extent_u - u) * ia, u1 = (s.extent_u - u) * ia;
        const float v0 = (-s.extent_v - v) * id, v1 = (s.extent_v - v) * id;
        float first = std::max(std::min(u0, u1), std::min(v0, v1));
        float last = std::min(std::max(u0, u1), std::max(v0, v1));
        const float slack = 1e-2f;
        // Written so that an interval that is not a number, which extreme maps give, becomes the whole row.
        first = first - slack > 0.0f ? std::min(first - slack, static_cast<float>(kTile)) : 0.0f;
        last = last + slack < static_cast<float>(kTile - 1) ? last + slack : static_cast<float>(kTile - 1);
        // Not negative, so truncation is the floor; the first column is the ceiling.
        const float column = static_cast<float>(static_cast<int>(first + 0.99999f));
        touched[lane] = column <= last ? 1 : 0;
    }
    unsigned rows = 0;
    for (int i = 0; i < kTile; ++i) rows |= static_cast<unsigned>(touched[i]) << i;
    return rows;
}

// Position of each pixel of a row in the template, and whether the sprite is drawn there. Lanes outside sample the
// template's centre, which is always a valid place to read.
SMALTI_INLINE bool inside(const Local& s, int lane, float u_row, float v_row, float& u, float& v) {
    u = u_row + s.a * static_cast<float>(lane);
    v = v_row + s.d * static_cast<float>(lane);
    return (std::fabs(u) <= s.extent_u) & (std::fabs(v) <= s.extent_v);
}

SMALTI_INLINE Sample alpha_at(const std::uint64_t* quads, const Local& s, float u, float v) {
    return between_levels(sample_alpha(quads, s.fine, u, v), sample_alpha(quads, s.coarse, u, v), s.fraction);
}

// Per-pixel state of a tile on its way down the stack. Rounding must never bring a transmittance below 0: with a stop of 0
// it would end the pixel.
struct State {
    Row transmittance[kTile];
    unsigned open_rows;  // rows in which some pixel is not finished
};

SMALTI_INLINE void update_open_rows(State& state, float stop) {
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

SMALTI_INLINE TileArea area_of(const Scene& scene, const Plan& plan, int tile) {
    TileArea t;
    t.x = (tile % plan.tiles_x) * kTile, t.y = (tile / plan.tiles_x) * kTile;
    t.columns = std::min(kTile, scene.width - t.x), t.rows = std::min(kTile, scene.height - t.y);
    return t;
}

SMALTI_INLINE void open(State& state, const TileArea& area) {
    for (int i = 0; i < kTile; ++i)
        for (int lane = 0; lane < kTile; ++lane)
            state.transmittance[i].v[lane] = i < area.rows && lane < area.columns ? 1.0f : 0.0f;
    state.open_rows = area.rows == kTile ? 0xffffu : (1u << area.rows) - 1u;
}

enum class Colour { tint, mixed };

template <Colour kind>
void forward_rows(const Scene& scene, const Local& s, unsigned rows, State& state, Row (*colour)[kTile]) {
    const std::uint64_t* const quads = scene.alpha_quads;
    const std::uint64_t* const texels = scene.texels;
    const float stop = scene.stop;
    const float opacity = s.opacity * kTexelScale;
    for (; rows; rows &= rows - 1) {
        const int i = __builtin_ctz(rows);
        const float u_row = s.c + s.b * static_cast<float>(i), v_row = s.f + s.e * static_cast<float>(i);
        float* const t = state.transmittance[i].v;
        float* const red = colour[0][i].v;
        float* const green = colour[1][i].v;
        float* const blue = colour[2][i].v;
        if (kind == Colour::tint) {
            SMALTI_LANES {
                float u, v;
                const bool drawn = inside(s, lane, u_row, v_row, u, v) & (t[lane] >= stop);
                u = drawn ? u : 0.0f, v = drawn ? v : 0.0f;
                const float scale = drawn ? opacity * t[lane] : 0.0f;
                const float weight = scale * alpha_at(quads, s, u, v).value;
                red[lane] += weight * s.tint[0];
                green[lane] += weight * s.tint[1];
                blue[lane] += weight * s.tint[2];
                t[lane] = std::max(t[lane] - weight, 0.0f);
            }
        } else {
            const float own = scene.mix, painted = 1.0f - scene.mix;
            SMALTI_LANES {
                float u, v;
                const bool drawn = inside(s, lane, u_row, v_row, u, v) & (t[lane] >= stop);
                u = drawn ? u : 0.0f, v = drawn ? v : 0.0f;
                const Texel p = sample_texel(texels, s.fine, u, v), q = sample_texel(texels, s.coarse, u, v);
                const float scale = drawn ? opacity * t[lane] : 0.0f;
                const float weight = scale * (p.a + s.fraction * (q.a - p.a));
                const float tinted = weight * painted, bitmap = scale * own;
                red[lane] += tinted * s.tint[0] + bitmap * (p.r + s.fraction * (q.r - p.r));
                green[lane] += tinted * s.tint[1] + bitmap * (p.g + s.fraction * (q.g - p.g));
                blue[lane] += tinted * s.tint[2] + bitmap * (p.b + s.fraction * (q.b - p.b));
                t[lane] = std::max(t[lane] - weight, 0.0f);
            }
        }
    }
}

void forward(const Scene& scene, const Plan& plan, int tile, float* image) {
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
        if (scene.mix > 0.0f)
            forward_rows<Colour::mixed>(scene, s, rows, state, colour);
        else
            forward_rows<Colour::tint>(scene, s, rows, state, colour);
        if (++visited % kCheckEvery == 0) update_open_rows(state, scene.stop);
    }
    for (int i = 0; i < area.rows; ++i) {
        const std::int64_t first = static_cast<std::int64_t>(area.y + i) * scene.width + area.x;
        float* out = image + 4 * first;
        for (int j = 0; j < area.columns; ++j) {
            const float t = state.transmittance[i].v[j];
            for (int channel = 0; channel < 3; ++channel) out[4 * j + channel] = colour[channel][i].v[j];
            out[4 * j + 3] = 1.0f - t;
            if (scene.background)
                for (int channel = 0; channel < 4; ++channel)
                    out[4 * j + channel] += t * scene.background[4 * (first + j) + channel];
        }
    }
}

// The backward pass walks the stack twice. On the way down it samples and remembers, for each row it draws, what the way
// up needs; on the way up it carries `behind`, the colour behind the sprite seen through the loss's gradient. It is built
// by adding, not by dividing transmittances, so that an opaque sprite still learns what it hides.
//
// With g the gradient of the loss by a pixel's premultiplied colour, q the template's alpha, p its colour, o the opacity,
// m the mix, T the transmittance above: a = o q, g.c = o ((1 - m) (g.tint) q + m (g.p)) + g_a a, and
//   dL/dq = o T X, X = (1 - m) g.tint + g_a - behind       dL/d(g.p) = o m T
//   behind <- g.c + (1 - a) behind = behind + a X + o m (g.p)
//
// What is remembered of a row: T, then for alpha, and for red, green and blue where the bitmap's colours show, the sampled
// value and its derivatives by u, v and level of detail.
constexpr int kTransmittance = 0, kAlpha = 1, kColours = 5;
constexpr int stored_rows(Colour kind) { return kind == Colour::tint ? kColours : kColours + 12; }

struct Sums {
    Row du, du_row, dv, dv_row, lod, opacity, tint[3];
};

SMALTI_INLINE float total(const Row& row) {
    float sum = 0.0f;
    for (int lane = 0; lane < kTile; ++lane) sum += row.v[lane];
    return sum;
}

SMALTI_INLINE float total_by_column(const Row& row) {
    float sum = 0.0f;
    for (int lane = 0; lane < kTile; ++lane) sum += row.v[lane] * static_cast<float>(lane);
    return sum;
}

SMALTI_INLINE void keep(float* out, int at, int lane, float scale, const Sample& s) {
    out[(at + 0) * kTile + lane] = scale * s.value;
    out[(at + 1) * kTile + lane] = scale * s.du;
    out[(at + 2) * kTile + lane] = scale * s.dv;
    out[(at + 3) * kTile + lane] = scale * s.dlod;
}

// `draw` adds up the picture's colours too, into `colour`.
template <Colour kind, bool draw>
void down_rows(const Scene& scene, const Local& s, unsigned rows, State& state, Row (*colour)[kTile], float* stored) {
    const std::uint64_t* const quads = scene.alpha_quads;
    const std::uint64_t* const texels = scene.texels;
    const float stop = scene.stop;
    const float opacity = s.opacity;
    const float own = kind == Colour::tint ? 0.0f : scene.mix, painted = 1.0f - own;
    const float tr = painted * s.tint[0], tg = painted * s.tint[1], tb = painted * s.tint[2];
    for (; rows; rows &= rows - 1, stored += stored_rows(kind) * kTile) {
        const int i = __builtin_ctz(rows);
        const float u_row = s.c + s.b * static_cast<float>(i), v_row = s.f + s.e * static_cast<float>(i);
        float* const t = state.transmittance[i].v;
        float* const out = stored;
        float* const red = draw ? colour[0][i].v : nullptr;
        float* const green = draw ? colour[1][i].v : nullptr;
        float* const blue = draw ? colour[2][i].v : nullptr;
        SMALTI_LANES {
            float u, v;
            const bool drawn = inside(s, lane, u_row, v_row, u, v) & (t[lane] >= stop);
            u = drawn ? u : 0.0f, v = drawn ? v : 0.0f;
            const float scale = drawn ? kTexelScale : 0.0f;
            out[kTransmittance * kTile + lane] = t[lane];
            if (kind == Colour::tint) {
                const Sample q = alpha_at(quads, s, u, v);
                keep(out, kAlpha, lane, scale, q);
                const float weight = opacity * scale * q.value * t[lane];
                if (draw) {
                    red[lane] += weight * tr;
                    green[lane] += weight * tg;
                    blue[lane] += weight * tb;
                }
                t[lane] = std::max(t[lane] - weight, 0.0f);
            } else {
                const TexelSample fine = sample_texel_slopes(texels, s.fine, u, v);
                const TexelSample coarse = sample_texel_slopes(texels, s.coarse, u, v);
                const Sample q = between_levels(fine.a, coarse.a, s.fraction);
                const Sample r = between_levels(fine.r, coarse.r, s.fraction);
                const Sample g = between_levels(fine.g, coarse.g, s.fraction);
                const Sample b = between_levels(fine.b, coarse.b, s.fraction);
                keep(out, kAlpha, lane, scale, q);
                keep(out, kColours, lane, scale, r);
                keep(out, kColours + 4, lane, scale, g);
                keep(out, kColours + 8, lane, scale, b);
                const float weight = opacity * (scale * q.value) * t[lane];
                const float through = opacity * scale * t[lane];
                if (draw) {
                    red[lane] += weight * tr + through * own * r.value;
                    green[lane] += weight * tg + through * own * g.value;
                    blue[lane] += weight * tb + through * own * b.value;
                }
                t[lane] = std::max(t[lane] - weight, 0.0f);
            }
        }
    }
}

template <Colour kind>
void up_rows(const Scene& scene, const Local& s, unsigned rows, const Row (*grad)[kTile], const float* stored,
             Row* behind, Sums& sums) {
    const float opacity = s.opacity, own = kind == Colour::tint ? 0.0f : scene.mix, painted = 1.0f - own;
    const float tr = painted * s.tint[0], tg = painted * s.tint[1], tb = painted * s.tint[2];
    for (; rows; rows &= rows - 1, stored += stored_rows(kind) * kTile) {
        const int i = __builtin_ctz(rows);
        const float row = static_cast<float>(i);
        const float* const in = stored;
        const float* const gr = grad[0][i].v;
        const float* const gg = grad[1][i].v;
        const float* const gb = grad[2][i].v;
        const float* const ga = grad[3][i].v;
        float* const back = behind[i].v;
        SMALTI_LANES {
            const float t = in[kTransmittance * kTile + lane], q = in[kAlpha * kTile + lane];
            const float r = gr[lane], g = gg[lane], b = gb[lane];
            const float x = r * tr + g * tg + b * tb + ga[lane] - back[lane];
            const float w = t * x, ow = opacity * w;
            float du = ow * in[(kAlpha + 1) * kTile + lane], dv = ow * in[(kAlpha + 2) * kTile + lane];
            float lod = ow * in[(kAlpha + 3) * kTile + lane], by_opacity = w * q;
            float more = opacity * q * x;
            if (kind == Colour::mixed) {
                const auto seen = [&](int part) {
                    return r * in[(kColours + part) * kTile + lane] + g * in[(kColours + 4 + part) * kTile + lane] +
                           b * in[(kColours + 8 + part) * kTile + lane];
                };
                const float p = seen(0), mt = own * t, omt = opacity * mt;
                du += omt * seen(1);
                dv += omt * seen(2);
                lod += omt * seen(3);
                by_opacity += mt * p;
                more += opacity * own * p;
            }
            back[lane] += more;
            const float weight = opacity * q * t;
            sums.tint[0].v[lane] += weight * r;
            sums.tint[1].v[lane] += weight * g;
            sums.tint[2].v[lane] += weight * b;
            sums.du.v[lane] += du;
            sums.du_row.v[lane] += du * row;
            sums.dv.v[lane] += dv;
            sums.dv_row.v[lane] += dv * row;
            sums.lod.v[lane] += lod;
            sums.opacity.v[lane] += by_opacity;
        }
    }
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
        down_rows<kind, draw>(scene, s, rows, state, colour, scratch.values.data() + scratch.used);
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
    const float painted = kind == Colour::tint ? 1.0f : 1.0f - scene.mix;
    for (std::int64_t at = lowest; at < last; ++at) {
        const std::uint32_t pair = plan.tile_pair[at];
        const Sprite& sprite = plan.sprites[plan.pair_sprite[pair]];
        const Local s = localise(sprite, area.x + 0.5, area.y + 0.5);
        const unsigned rows = static_cast<unsigned>(scratch.rows[at - first]);
        scratch.used -= static_cast<std::size_t>(__builtin_popcount(rows)) * stored_rows(kind) * kTile;
        Sums sums;
        std::memset(&sums, 0, sizeof sums);
        up_rows<kind>(scene, s, rows, grad, scratch.values.data() + scratch.used, behind, sums);
        PairGradient& out = gradients[pair];
        out.du = total(sums.du), out.du_column = total_by_column(sums.du), out.du_row = total(sums.du_row);
        out.dv = total(sums.dv), out.dv_column = total_by_column(sums.dv), out.dv_row = total(sums.dv_row);
        out.lod = total(sums.lod);
        out.opacity = total(sums.opacity);
        for (int i = 0; i < 3; ++i) out.tint[i] = painted * total(sums.tint[i]);
    }
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
    for (int i = 0; i < area.rows; ++i) {
        const std::int64_t start = static_cast<std::int64_t>(area.y + i) * scene.width + area.x;
        for (int j = 0; j < area.columns; ++j) {
            for (int channel = 0; channel < 4; ++channel) {
                const float g = grad_image[4 * (start + j) + channel];
                grad[channel][i].v[j] = g;
                if (scene.background) behind[i].v[j] += g * scene.background[4 * (start + j) + channel];
            }
        }
    }
    const std::int64_t lowest = down<kind, false>(scene, plan, tile, area, state, nullptr, scratch);
    up<kind>(scene, plan, tile, area, lowest, grad, behind, gradients, scratch);
}

void backward(const Scene& scene, const Plan& plan, int tile, const float* grad_image, PairGradient* gradients,
              Scratch& scratch) {
    if (plan.tile_start[tile] == plan.tile_start[tile + 1]) return;
    if (scene.mix > 0.0f)
        backward_as<Colour::mixed>(scene, plan, tile, grad_image, gradients, scratch);
    else
        backward_as<Colour::tint>(scene, plan, tile, grad_image, gradients, scratch);
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
    double loss = 0.0;
    for (int i = 0; i < area.rows; ++i) {
        const std::int64_t start = static_cast<std::int64_t>(area.y + i) * scene.width + area.x;
        float row_loss = 0.0f;
        for (int j = 0; j < area.columns; ++j) {
            const float t = state.transmittance[i].v[j];
            const float* want = goal.image + 4 * (start + j);
            const float found[4] = {colour[0][i].v[j], colour[1][i].v[j], colour[2][i].v[j], 1.0f - t};
            for (int channel = 0; channel < 4; ++channel) {
                const float under = scene.background ? scene.background[4 * (start + j) + channel] : 0.0f;
                const float difference = found[channel] + t * under - want[channel];
                const float sign = static_cast<float>(difference > 0.0f) - static_cast<float>(difference < 0.0f);
                const float g = goal.scale * (goal.absolute ? sign : 2.0f * difference);
                row_loss += goal.absolute ? std::fabs(difference) : difference * difference;
                grad[channel][i].v[j] = g;
                behind[i].v[j] += g * under;
            }
        }
        loss += row_loss;
    }
    up<kind>(scene, plan, tile, area, lowest, grad, behind, gradients, scratch);
    return loss;
}

// How much the squared error would grow if a sprite were taken away, exactly: a picture is linear in each opacity alone,
// so without the sprite a pixel's colour is less by d = o T (c' - q behind), c' the colour at opacity 1, and its squared
// error changes by d (d - 2 e). Here `behind` is the true colour behind, channel by channel.
template <Colour kind>
void removal_rows(const Scene& scene, const Local& s, unsigned rows, const Row (*error)[kTile], const float* stored,
                  Row (*behind)[kTile], Row& cost) {
    const float opacity = s.opacity, own = kind == Colour::tint ? 0.0f : scene.mix, painted = 1.0f - own;
    for (; rows; rows &= rows - 1, stored += stored_rows(kind) * kTile) {
        const int i = __builtin_ctz(rows);
        const float* const in = stored;
        for (int channel = 0; channel < 4; ++channel) {
            const float tint = channel < 3 ? painted * s.tint[channel] : 1.0f;
            const bool shows = kind == Colour::mixed && channel < 3;
            const float* const p = in + (shows ? kColours + 4 * channel : kAlpha) * kTile;
            const float weight = shows ? own : 0.0f;
            const float* const e = error[channel][i].v;
            float* const back = behind[channel][i].v;
            SMALTI_LANES {
                const float t = in[kTransmittance * kTile + lane], q = in[kAlpha * kTile + lane];
                const float more = opacity * (tint * q + weight * p[lane] - q * back[lane]);
                const float d = t * more;
                cost.v[lane] += d * (d - 2.0f * e[lane]);
                back[lane] += more;
            }
        }
    }
}

template <Colour kind>
void removal_as(const Scene& scene, const Plan& plan, int tile, const float* goal, float* costs, Scratch& scratch) {
    const TileArea area = area_of(scene, plan, tile);
    const std::int64_t first = plan.tile_start[tile], last = plan.tile_start[tile + 1];
    State state;
    Row error[4][kTile];
    Row behind[4][kTile];
    open(state, area);
    std::memset(error, 0, sizeof error);
    std::memset(behind, 0, sizeof behind);
    const std::int64_t lowest = down<kind, true>(scene, plan, tile, area, state, error, scratch);
    for (int i = 0; i < area.rows; ++i) {
        const std::int64_t start = static_cast<std::int64_t>(area.y + i) * scene.width + area.x;
        for (int j = 0; j < area.columns; ++j) {
            const float t = state.transmittance[i].v[j];
            error[3][i].v[j] = 1.0f - t;
            for (int channel = 0; channel < 4; ++channel) {
                const float under = scene.background ? scene.background[4 * (start + j) + channel] : 0.0f;
                behind[channel][i].v[j] = under;
                error[channel][i].v[j] += t * under - goal[4 * (start + j) + channel];
            }
        }
    }
    for (std::int64_t hidden = first; hidden < lowest; ++hidden) costs[plan.tile_pair[hidden]] = 0.0f;
    for (std::int64_t at = lowest; at < last; ++at) {
        const std::uint32_t pair = plan.tile_pair[at];
        const Local s = localise(plan.sprites[plan.pair_sprite[pair]], area.x + 0.5, area.y + 0.5);
        const unsigned rows = static_cast<unsigned>(scratch.rows[at - first]);
        scratch.used -= static_cast<std::size_t>(__builtin_popcount(rows)) * stored_rows(kind) * kTile;
        Row cost;
        std::memset(&cost, 0, sizeof cost);
        removal_rows<kind>(scene, s, rows, error, scratch.values.data() + scratch.used, behind, cost);
        costs[pair] = total(cost);
    }
}

void removal(const Scene& scene, const Plan& plan, int tile, const float* goal, float* costs, Scratch& scratch) {
    if (plan.tile_start[tile] == plan.tile_start[tile + 1]) return;
    if (scene.mix > 0.0f)
        removal_as<Colour::mixed>(scene, plan, tile, goal, costs, scratch);
    else
        removal_as<Colour::tint>(scene, plan, tile, goal, costs, scratch);
}

double step(const Scene& scene, const Plan& plan, int tile, const Goal& goal, PairGradient* gradients,
            Scratch& scratch) {
    return scene.mix > 0.0f ? step_as<Colour::mixed>(scene, plan, tile, goal, gradients, scratch)
                            : step_as<Colour::tint>(scene, plan, tile, goal, gradients, scratch);
}

}  // namespace
}  // namespace SMALTI_ISA

#define SMALTI_JOIN2(a, b) a##b
#define SMALTI_JOIN(a, b) SMALTI_JOIN2(a, b)
#define SMALTI_TEXT2(a) #a
#define SMALTI_TEXT(a) SMALTI_TEXT2(a)

TileKernels SMALTI_JOIN(SMALTI_ISA, _kernels)() {
    return {SMALTI_TEXT(SMALTI_ISA), SMALTI_ISA::forward, SMALTI_ISA::backward, SMALTI_ISA::step,
            SMALTI_ISA::removal};
}

}  // namespace smalti
