// SPDX-License-Identifier: GPL-3.0-or-later
// Visible colours extended into fully transparent texels: a pyramid of sums, whose finest cells are blocks of 2 x 2 texels.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace smalti {

constexpr std::size_t kChannels = 4;

// Premultiplied RGBA, summed over the texels of a cell; or a straight mean colour, whose alpha is unused.
struct Cell {
    float values[kChannels] = {0, 0, 0, 0};
};

inline Cell operator+(const Cell& a, const Cell& b) {
    Cell sum;
    for (std::size_t c = 0; c < kChannels; ++c) sum.values[c] = a.values[c] + b.values[c];
    return sum;
}

struct Cells {
    std::size_t height, width;
    std::vector<Cell> cells;  // row by row

    Cells(std::size_t height, std::size_t width) : height(height), width(width), cells(height * width) {}
    Cell* row(std::size_t y) { return cells.data() + y * width; }
    const Cell* row(std::size_t y) const { return cells.data() + y * width; }
};

// Sums over blocks of 2 x 2 cells of a picture whose cell (y, x) is at(y, x); what lies outside is empty. Sums beyond 2^24 are
// rounded, and templates keep their bits as long as the order of additions stays: vertical pairs first.
template <class At>
Cells block_sums(std::size_t height, std::size_t width, const At& at) {
    Cells sums((height + 1) / 2, (width + 1) / 2);
    const auto pair = [&](std::size_t y, std::size_t x) {
        return 2 * y + 1 < height ? at(2 * y, x) + at(2 * y + 1, x) : at(2 * y, x);
    };
    for (std::size_t y = 0; y < sums.height; ++y) {
        Cell* row = sums.row(y);
        for (std::size_t x = 0; x < width / 2; ++x) row[x] = pair(y, 2 * x) + pair(y, 2 * x + 1);
        if (width % 2) row[width / 2] = pair(y, width - 1);
    }
    return sums;
}

// The straight mean colour of the 3 x 3 cells around each cell; where these are empty, of blocks of 2 x 2 cells, and so on.
// At least one cell must not be empty.
inline Cells surroundings(const Cells& sums) {
    const std::size_t height = sums.height, width = sums.width;
    Cells colours(height, width);
    bool any_empty = false;
    std::vector<Cell> columns(width + 2);  // sums over three rows, with an empty cell on either side
    for (std::size_t y = 0; y < height; ++y) {
        const Cell *middle = sums.row(y), *above = y > 0 ? middle - width : nullptr;
        const Cell* below = y + 1 < height ? middle + width : nullptr;
        for (std::size_t x = 0; x < width; ++x) {
            Cell sum = above ? above[x] + middle[x] : middle[x];
            columns[x + 1] = below ? sum + below[x] : sum;
        }
        Cell* row = colours.row(y);
        for (std::size_t x = 0; x < width; ++x) {
            const Cell total = columns[x] + columns[x + 1] + columns[x + 2];
            const float alpha = total.values[3];
            any_empty |= alpha == 0;
            const float divisor = alpha == 0 ? 1 : alpha;
            for (std::size_t c = 0; c < kChannels; ++c) row[x].values[c] = total.values[c] / divisor;
        }
    }
    if (!any_empty) return colours;
    const auto at = [&](std::size_t y, std::size_t x) { return sums.row(y)[x]; };
    const Cells coarse = surroundings(block_sums(height, width, at));
    for (std::size_t y = 0; y < height; ++y) {
        Cell* row = colours.row(y);
        for (std::size_t x = 0; x < width; ++x)
            if (row[x].values[3] == 0) row[x] = coarse.row(y / 2)[x / 2];
    }
    return colours;
}

// Extends the colours of a bitmap of `height` x `width` texels, straight RGBA, in place.
inline void bleed(std::uint8_t* rgba, std::size_t height, std::size_t width) {
    bool hidden = false, visible = false;
    for (std::size_t texel = 0; texel < height * width; ++texel)
        (rgba[texel * kChannels + 3] == 0 ? hidden : visible) = true;
    if (!hidden || !visible) return;
    const Cells colours = surroundings(block_sums(height, width, [&](std::size_t y, std::size_t x) {
        const std::uint8_t* texel = rgba + (y * width + x) * kChannels;
        const int alpha = texel[3];
        Cell cell;
        for (std::size_t c = 0; c < 3; ++c) cell.values[c] = static_cast<float>(texel[c] * alpha);
        cell.values[3] = static_cast<float>(alpha);
        return cell;
    }));
    for (std::size_t y = 0; y < height; ++y) {
        const Cell* row = colours.row(y / 2);
        for (std::size_t x = 0; x < width; ++x) {
            std::uint8_t* texel = rgba + (y * width + x) * kChannels;
            if (texel[3]) continue;
            for (std::size_t c = 0; c < 3; ++c) texel[c] = static_cast<std::uint8_t>(std::lrint(row[x / 2].values[c]));
        }
    }
}

}  // namespace smalti
