// SPDX-License-Identifier: GPL-3.0-or-later
// A composited tile against its goal, row by row. Included by the passes that need it.
#pragma once

#include "../kernels/display.h"
#include "tile_common.h"

namespace smalti {
namespace SMALTI_ISA {
namespace {

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

// Composites a row of the goal over noise, which becomes the background. `place` counts the picture's values.
SMALTI_ISA_INLINE void composite_over_noise(std::uint32_t key, std::uint32_t place, Row (&goal)[4], Row (&under)[4]) {
    for (int j = 0; j < kTile; ++j) {
        for (int channel = 0; channel < 4; ++channel) {
            under[channel].v[j] = channel < 3 ? noise(key, place + static_cast<std::uint32_t>(4 * j + channel)) : 1.0f;
            goal[channel].v[j] += (1.0f - goal[3].v[j]) * under[channel].v[j];
        }
    }
}

// A row of the finished picture and of its goal, both display-encoded where the goal asks for it.
struct PictureRow {
    Row shown[4], slope[3];  // slope of the curve that encodes, where there is one
    Row expected[4], under[4];
};

// Finishes a row [4] of composited colors and alpha: over what lies under it, and encoded. `place`: of its first pixel.
SMALTI_ISA_INLINE void finish_row(const Scene& scene, const Goal& goal, std::int64_t place, int columns,
                                  Reals transmittance, PictureRow& row) {
    split(goal.image + 4 * place, columns, row.expected);
    if (scene.background)
        split(scene.background + 4 * place, columns, row.under);
    else
        std::memset(row.under, 0, sizeof row.under);
    if (goal.on_noise)
        composite_over_noise(goal.noise_key, static_cast<std::uint32_t>(4 * place), row.expected, row.under);
    for (int channel = 0; channel < 4; ++channel) {
        const Reals picture = Reals::load(row.shown[channel].v) + transmittance * Reals::load(row.under[channel].v);
        if (!goal.encoded || channel == 3) {
            picture.store(row.shown[channel].v);
            continue;
        }
        const CurvePoint<Reals> point = encoded(picture);
        point.value.store(row.shown[channel].v);
        point.slope.store(row.slope[channel].v);
        if (goal.on_noise) encoded(Reals::load(row.expected[channel].v)).value.store(row.expected[channel].v);
    }
}

// The display-encoded colors of a tile of a picture that was drawn without a background, and of its goal, into planes.
void show(const Scene& scene, const Plan& plan, int tile, const Goal& goal, const float* image, float* shown,
          float* expected) {
    const TileArea area = area_of(scene, plan, tile);
    const std::int64_t plane = static_cast<std::int64_t>(scene.height) * scene.width;
    PictureRow row;
    for (int i = 0; i < area.rows; ++i) {
        const std::int64_t place = static_cast<std::int64_t>(area.y + i) * scene.width + area.x;
        split(image + 4 * place, area.columns, row.shown);
        finish_row(scene, goal, place, area.columns, 1.0f - Reals::load(row.shown[3].v), row);
        for (int channel = 0; channel < 3; ++channel) {
            std::copy_n(row.shown[channel].v, area.columns, shown + channel * plane + place);
            std::copy_n(row.expected[channel].v, area.columns, expected + channel * plane + place);
        }
    }
}

// The squared (or absolute) difference of all four channels, added to `losses`, and its gradient by the picture. Returns
// the gradient's sum over what lies beneath.
SMALTI_ISA_INLINE Reals compare_row(const Goal& goal, const PictureRow& row, Ints within, int i, Row (*grad)[kTile],
                                    Reals& losses) {
    Reals sum = 0.0f;
    for (int channel = 0; channel < 4; ++channel) {
        const Reals beneath = Reals::load(row.under[channel].v);
        const Compared<Reals> c = compared(Reals::load(row.shown[channel].v), Reals::load(row.expected[channel].v),
                                           goal.scale, goal.absolute);
        Reals g = c.slope;
        if (goal.encoded && channel < 3) g = g * Reals::load(row.slope[channel].v);
        g = choose(within, g, 0.0f);
        losses = losses + choose(within, c.loss, 0.0f);
        g.store(grad[channel][i].v);
        sum = sum + g * beneath;
    }
    return sum;
}

// A plane's row, 0 beyond its end.
SMALTI_ISA_INLINE Reals part_of_plane(const float* from, int columns) {
    Row row;
    std::memset(&row, 0, sizeof row);
    std::copy_n(from, columns, row.v);
    return Reals::load(row.v);
}

// Where a row of a tile lies in planes [height, width].
struct PlaneRow {
    std::int64_t first, plane;
    int columns;
};

// The same for a sum of terms; the squared difference of colors is added to `losses`. What lies beneath has no part in the
// sprites' own alpha.
SMALTI_ISA_INLINE Reals compare_terms(const Goal& goal, const PictureRow& row, Ints within, int i, const PlaneRow& at,
                                      Reals transmittance, Row (*grad)[kTile], Reals& losses) {
    const LossTerms& terms = *goal.terms;
    Reals shown[3], expected[3], sum = 0.0f;
    for (int channel = 0; channel < 3; ++channel) {
        shown[channel] = Reals::load(row.shown[channel].v), expected[channel] = Reals::load(row.expected[channel].v);
        const Reals d = shown[channel] - expected[channel];
        losses = losses + choose(within, d * d, 0.0f);
    }
    const Reals weight = terms.weights ? part_of_plane(terms.weights + at.first, at.columns) : Reals(1.0f);
    const PixelTerms<Reals> pixel = pixel_terms(shown, expected, terms.pixel);
    for (int channel = 0; channel < 3; ++channel) {
        Reals g = weight * pixel.gradient[channel];
        if (terms.gradient) g = g + part_of_plane(terms.gradient + channel * at.plane + at.first, at.columns);
        if (goal.encoded) g = g * Reals::load(row.slope[channel].v);
        g = choose(within, g, 0.0f);
        g.store(grad[channel][i].v);
        sum = sum + g * Reals::load(row.under[channel].v);
    }
    Reals by_alpha = 0.0f;
    if (terms.alpha != 0.0f) {
        const Reals d = 1.0f - transmittance - part_of_plane(terms.target_alpha + at.first, at.columns);
        by_alpha = choose(within, 2.0f * terms.alpha * weight * d, 0.0f);
    }
    by_alpha.store(grad[3][i].v);
    return sum;
}

// Compares a composited tile with its goal. `grad` [4] and `behind` get what the way back to front starts with. Returns
// the tile's part of the loss, not scaled.
double compare(const Scene& scene, const TileArea& area, const Goal& goal, const State& state,
               const Row (*colour)[kTile], Row (*grad)[kTile], Row* behind) {
    const Ints within = ascending() < static_cast<float>(area.columns);
    const std::int64_t plane = static_cast<std::int64_t>(scene.height) * scene.width;
    Reals losses = 0.0f;
    PictureRow row;
    for (int i = 0; i < area.rows; ++i) {
        const std::int64_t place = static_cast<std::int64_t>(area.y + i) * scene.width + area.x;
        const Reals transmittance = Reals::load(state.transmittance[i].v);
        for (int channel = 0; channel < 3; ++channel) row.shown[channel] = colour[channel][i];
        (1.0f - transmittance).store(row.shown[3].v);
        finish_row(scene, goal, place, area.columns, transmittance, row);
        Reals sum;
        if (goal.terms) {
            const PlaneRow at{place, plane, area.columns};
            sum = compare_terms(goal, row, within, i, at, transmittance, grad, losses);
        } else {
            sum = compare_row(goal, row, within, i, grad, losses);
        }
        sum.store(behind[i].v);
    }
    Row lanes;
    losses.store(lanes.v);
    double loss = 0.0;
    for (int j = 0; j < kTile; ++j) loss += lanes.v[j];
    return loss;
}

}  // namespace
}  // namespace SMALTI_ISA
}  // namespace smalti
