// SPDX-License-Identifier: GPL-3.0-or-later
// The filters of PNG, on rows of 8-bit RGBA.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace smalti {

enum PngFilter : std::uint8_t { kSub = 1, kUp = 2 };

// A byte's distance from 0, as a number with a sign.
inline std::uint8_t magnitude(std::uint8_t byte) { return std::min(byte, static_cast<std::uint8_t>(0 - byte)); }

// Filters `height` rows of `bytes` bytes, each into 1 + `bytes` bytes of `result`; `above` is the row above the first one.
inline void filter_rows(const std::uint8_t* rows, const std::uint8_t* above, std::size_t height, std::size_t bytes,
                        std::uint8_t* result) {
    constexpr std::size_t pixel = 4;
    for (std::size_t y = 0; y < height; ++y) {
        const std::uint8_t* row = rows + y * bytes;
        std::uint8_t* filtered = result + y * (bytes + 1);
        std::uint32_t of_sub = 0, of_up = 0;
        for (std::size_t i = 0; i < pixel; ++i) of_sub += magnitude(row[i]);
        for (std::size_t i = pixel; i < bytes; ++i)
            of_sub += magnitude(static_cast<std::uint8_t>(row[i] - row[i - pixel]));
        for (std::size_t i = 0; i < bytes; ++i) of_up += magnitude(static_cast<std::uint8_t>(row[i] - above[i]));
        if (of_sub < of_up) {
            *filtered++ = kSub;
            std::copy(row, row + pixel, filtered);
            for (std::size_t i = pixel; i < bytes; ++i)
                filtered[i] = static_cast<std::uint8_t>(row[i] - row[i - pixel]);
        } else {
            *filtered++ = kUp;
            for (std::size_t i = 0; i < bytes; ++i) filtered[i] = static_cast<std::uint8_t>(row[i] - above[i]);
        }
        above = row;
    }
}

}  // namespace smalti
