// SPDX-License-Identifier: GPL-3.0-or-later
#include "scenes.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace {

using Random = std::mt19937_64;

// The standard's distributions differ from library to library; this is the same everywhere.
double uniform(Random& random, double low, double high) {
    return low + (high - low) * static_cast<double>(random() >> 11) * 0x1.0p-53;
}

void put_texel(OwnedScene& s, std::int64_t index, const std::uint32_t (&rgba)[4]) {
    s.texels[index] =
        static_cast<std::uint64_t>(rgba[0] | rgba[1] << 16) | static_cast<std::uint64_t>(rgba[2] | rgba[3] << 16) << 32;
}

void gather_alphas(OwnedScene& s) {
    const std::int64_t count = static_cast<std::int64_t>(s.texels.size());
    s.alpha_quads.assign(count, 0);
    const auto alpha = [&](std::int64_t i) { return i < count ? s.texels[i] >> 48 : 0; };
    for (const smalti::Level& level : s.levels) {
        const std::int64_t stride = level.width + 2 * smalti::kMargin, rows = level.height + 2 * smalti::kMargin;
        for (std::int64_t i = level.base; i < level.base + stride * rows; ++i)
            s.alpha_quads[i] = alpha(i) | alpha(i + 1) << 16 | alpha(i + stride) << 32 | alpha(i + stride + 1) << 48;
    }
}

// Pyramids of random premultiplied texels, of an opaque template and of soft ones: square, wide, tall, odd, one pixel.
// Levels lie apart from each other, unlike in a real atlas, so that a read outside of one can be noticed.
void add_templates(OwnedScene& s, Random& random) {
    constexpr int kGap = 50;
    const int shapes[][2] = {{8, 8}, {16, 16}, {23, 5}, {7, 31}, {11, 13}, {1, 1}};
    for (const auto& shape : shapes) {
        const bool opaque = &shape == shapes;
        s.luma.push_back(static_cast<float>(uniform(random, 0, 1)));
        s.first_level.push_back(static_cast<std::int32_t>(s.levels.size()));
        for (int width = shape[0], height = shape[1];; width = (width + 1) / 2, height = (height + 1) / 2) {
            const int stride = width + 2 * smalti::kMargin, rows = height + 2 * smalti::kMargin;
            const std::int64_t base = static_cast<std::int64_t>(s.texels.size());
            s.levels.push_back({static_cast<int>(base), width, height});
            s.texels.resize(base + stride * rows + kGap, 0);
            for (int i = 0; i < kGap; ++i) s.gaps.push_back(base + stride * rows + i);
            for (int y = 0; y < height; ++y) {
                for (int x = 0; x < width; ++x) {
                    const double alpha = opaque ? 1.0 : std::pow(uniform(random, 0, 1), 0.3);
                    std::uint32_t rgba[4];
                    for (int i = 0; i < 4; ++i)
                        rgba[i] = static_cast<std::uint32_t>(65535 * alpha * (i == 3 ? 1.0 : uniform(random, 0, 1)));
                    put_texel(s, base + (y + smalti::kMargin) * stride + x + smalti::kMargin, rgba);
                }
            }
            if (width == 1 && height == 1) break;
        }
    }
    s.first_level.push_back(static_cast<std::int32_t>(s.levels.size()));
    gather_alphas(s);
}

// One number of the sprite becomes one that nobody should ever give.
void damage(OwnedScene& s, std::int64_t k, Random& random) {
    using Numbers = std::numeric_limits<double>;
    const double values[] = {Numbers::quiet_NaN(),
                             Numbers::infinity(),
                             -Numbers::infinity(),
                             Numbers::max(),
                             Numbers::lowest(),
                             Numbers::denorm_min(),
                             1e300,
                             -1e300,
                             1e150,
                             1e39,
                             -1e39,
                             1e20,
                             1e-20,
                             1e-39,
                             1e-150,
                             1e-300,
                             0.0};
    const double value = values[random() % (sizeof values / sizeof *values)];
    const int place = static_cast<int>(random() % 10);
    double* map = &s.affine[6 * k];
    if (place == 9) {  // on the center of a pixel, and so small that single precision cannot hold the map
        const double size = std::pow(10.0, uniform(random, -150, -40));
        const double x = 0.5 + static_cast<double>(random() % s.width);
        const double y = 0.5 + static_cast<double>(random() % s.height);
        const double theta = uniform(random, 0, 7), a = std::cos(theta) / size, b = std::sin(theta) / size;
        const double turned[] = {a, b, -(a * x + b * y), -b, a, b * x - a * y};
        std::copy(turned, turned + 6, map);
    }
    if (place < 6)
        map[place] = value;
    else if (place == 6)  // the whole map, so that its determinant is as extreme
        for (int i : {0, 1, 3, 4}) map[i] *= value;
    else if (place == 7)  // a map of rank 1
        for (int i : {0, 1}) map[3 + i] = 0.5 * map[i];
    else if (place == 8 && !std::isfinite(value))
        (random() % 2 ? s.opacity[k] : s.tint[3 * k]) = value;
}

}  // namespace

smalti::Scene OwnedScene::view() const {
    smalti::Scene scene{};
    scene.sprites = sprites();
    scene.affine = affine.data(), scene.opacity = opacity.data(), scene.tint = tint.data();
    scene.templates = templates.data(), scene.alpha_quads = alpha_quads.data(), scene.texels = texels.data();
    scene.first_level = first_level.data(), scene.levels = levels.data();
    scene.width = width, scene.height = height;
    scene.background = background.empty() ? nullptr : background.data();
    scene.mix = mix, scene.shade = shade, scene.luma = luma.data(), scene.lod_bias = lod_bias, scene.stop = stop;
    return scene;
}

void OwnedScene::fill_gaps(std::uint16_t value) {
    for (const std::int64_t texel : gaps) put_texel(*this, texel, {value, value, value, value});
    gather_alphas(*this);
}

OwnedScene make_scene(const Recipe& recipe, std::uint64_t seed) {
    Random random(seed);
    OwnedScene s;
    s.name = recipe.name;
    s.width = recipe.width, s.height = recipe.height;
    s.mix = recipe.mix, s.shade = recipe.shade, s.lod_bias = recipe.lod_bias, s.stop = recipe.stop;
    add_templates(s, random);
    const double quarter_turn = std::acos(0.0);
    for (int k = 0; k < recipe.sprites; ++k) {
        const double x = uniform(random, -0.3, 1.3) * recipe.width, y = uniform(random, -0.3, 1.3) * recipe.height;
        const double half_width = std::exp(uniform(random, std::log(recipe.smallest), std::log(recipe.largest)));
        const double half_height = half_width * uniform(random, 0.4, 1.6);
        const double theta = k % 8 ? uniform(random, -10, 10) : quarter_turn * static_cast<double>(random() % 4);
        const double a = std::cos(theta) / half_width, b = std::sin(theta) / half_width;
        const double d = -std::sin(theta) / half_height, e = std::cos(theta) / half_height;
        s.affine.insert(s.affine.end(), {a, b, -(a * x + b * y), d, e, -(d * x + e * y)});
        s.opacity.push_back(
            uniform(random, 0, 1) < recipe.opaque ? 1.0 : uniform(random, recipe.least_opacity, recipe.most_opacity));
        for (int i = 0; i < 3; ++i) s.tint.push_back(uniform(random, 0, 1));
        s.templates.push_back(static_cast<std::int32_t>(random() % (s.first_level.size() - 1)));
        if (uniform(random, 0, 1) < recipe.broken) damage(s, k, random);
    }
    const std::size_t numbers = 4 * static_cast<std::size_t>(recipe.width) * recipe.height;
    for (std::size_t i = 0; i < numbers; ++i) {
        if (recipe.background) s.background.push_back(static_cast<float>(uniform(random, 0, 1)));
        s.grad_image.push_back(static_cast<float>(uniform(random, -1, 1)));
    }
    return s;
}

std::vector<OwnedScene> make_scenes() {
    const Recipe recipes[] = {
        // name, sprites, width, height, sizes, opacities, opaque, broken, mix, bias, stop, background, shade
        {"everything, tinted", 120, 53, 37, 0.3, 60, 0.05, 1, 0.2, 0, 0.0f, 0, 0.0f, true, 0.0f},
        {"everything, mixed", 120, 53, 37, 0.3, 60, 0.05, 1, 0.2, 0, 0.5f, 0, 0.0f, true, 0.0f},
        {"everything, own colours", 120, 53, 37, 0.3, 60, 0.05, 1, 0.2, 0, 1.0f, 0, 0.0f, false, 0.0f},
        {"everything, shaded", 120, 53, 37, 0.3, 60, 0.05, 1, 0.2, 0, 0.0f, 0, 0.0f, true, 1.0f},
        {"broken numbers, shaded", 3000, 53, 37, 0.1, 60, 0.05, 1, 0.2, 0.7, 0.3f, 1, 0.0f, true, 0.6f},
        {"blurred", 120, 53, 37, 0.3, 60, 0.05, 1, 0.2, 0, 0.5f, 2, 0.0f, true, 0.0f},
        {"sharpened", 120, 53, 37, 0.3, 60, 0.05, 1, 0.2, 0, 0.5f, -3, 0.0f, true, 0.0f},
        {"stopped early", 600, 70, 50, 2, 60, 0.05, 1, 0.5, 0, 0.3f, 0, 1e-4f, true, 0.0f},
        {"stopped at once", 60, 40, 40, 2, 60, 0.05, 1, 0.5, 0, 0.0f, 0, 1.0f, true, 0.0f},
        {"stacked 300 deep", 300, 24, 24, 20, 40, 0.01, 0.1, 0.0, 0, 0.5f, 0, 0.0f, true, 0.0f},
        {"below a pixel", 2000, 33, 31, 0.001, 1, 0.05, 1, 0.5, 0, 0.5f, 0, 0.0f, true, 0.0f},
        {"larger than the canvas", 80, 48, 48, 100, 1e6, 0.05, 0.4, 0.0, 0, 0.5f, 0, 0.0f, true, 0.0f},
        {"all opaque", 150, 48, 32, 1, 30, 1, 1, 1.0, 0, 0.0f, 0, 0.0f, true, 0.0f},
        {"one row", 80, 200, 1, 0.3, 60, 0.05, 1, 0.2, 0, 0.5f, 0, 0.0f, true, 0.0f},
        {"one column", 80, 1, 200, 0.3, 60, 0.05, 1, 0.2, 0, 0.5f, 0, 0.0f, true, 0.0f},
        {"one pixel", 80, 1, 1, 0.3, 60, 0.05, 1, 0.2, 0, 0.5f, 0, 0.0f, true, 0.0f},
        {"whole tiles", 80, 64, 32, 0.3, 60, 0.05, 1, 0.2, 0, 0.5f, 0, 0.0f, false, 0.0f},
        {"no sprites", 0, 40, 30, 1, 1, 1, 1, 0, 0, 0.5f, 0, 0.0f, true, 0.0f},
        {"broken numbers, tinted", 3000, 53, 37, 0.1, 60, 0.05, 1, 0.2, 0.7, 0.0f, 0, 1e-4f, true, 0.0f},
        {"broken numbers, mixed", 3000, 53, 37, 0.1, 60, 0.05, 1, 0.2, 0.7, 0.5f, 1, 0.0f, true, 0.0f},
    };
    std::vector<OwnedScene> scenes;
    for (const Recipe& recipe : recipes) scenes.push_back(make_scene(recipe, 1 + scenes.size()));
    return scenes;
}
