// SPDX-License-Identifier: GPL-3.0-or-later
// The passes that neighbourhood.h declares. Plain loops over the columns of rows, of which compilers make vectors.
// Included once for each instruction set, and once more for double precision; SMALTI_ISA names the namespace.
#pragma once

#include "neighbourhood.h"

// Before a loop whose passes do not read what others write, which compilers cannot see of a dozen pointers.
#if defined(__clang__)
#define SMALTI_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define SMALTI_INDEPENDENT _Pragma("GCC ivdep")
#else
#define SMALTI_INDEPENDENT
#endif

namespace smalti {
namespace SMALTI_ISA {
namespace {

template <class R>
struct Window {
    R tap[kWindow];

    Window() {
        for (int k = 0; k < kWindow; ++k) tap[k] = static_cast<R>(window_tap(k - kReach));
    }
};

template <class R>
const Window<R>& window() {
    static const Window<R> value;
    return value;
}

// Rows of a plane that have been blurred along their columns, `kinds` of them for each row, the last kWindow rows.
template <class R>
class RowRing {
  public:
    RowRing(R* memory, int width, int kinds) : memory_(memory), width_(width), kinds_(kinds) {}
    R* row(int row, int kind) const {
        const int slot = (row % kWindow + kWindow) % kWindow;
        return memory_ + (static_cast<std::size_t>(slot) * kinds_ + kind) * width_;
    }
    static std::size_t size(int width, int kinds) { return static_cast<std::size_t>(width) * kWindow * kinds; }

  private:
    R* memory_;
    int width_, kinds_;
};

// The sum of a row in eight parts, which leaves compilers free to add them side by side.
template <class R>
double sum_of(const R* row, int width) {
    double part[8] = {};
    int j = 0;
    for (; j + 8 <= width; j += 8)
        for (int k = 0; k < 8; ++k) part[k] += static_cast<double>(row[j + k]);
    for (int k = 0; j < width; ++j, ++k) part[k] += static_cast<double>(row[j]);
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

// out [width] = the window over padded [width + 2 kReach].
template <class R>
void blur_row(const R* padded, int width, R* out) {
    const R* const tap = window<R>().tap;
    SMALTI_INDEPENDENT
    for (int j = 0; j < width; ++j) {
        R sum = tap[0] * padded[j];
        for (int k = 1; k < kWindow; ++k) sum += tap[k] * padded[j + k];
        out[j] = sum;
    }
}

template <class R>
void repeat_edges(R* padded, int width) {
    for (int k = 0; k < kReach; ++k)
        padded[k] = padded[kReach], padded[kReach + width + k] = padded[kReach + width - 1];
}

// Blurs what SSIM needs of one row of both pictures along its columns. `padded`: room for two rows.
template <class R>
void blur_pair(const PlanePair<R>& pair, int row, const RowRing<R>& ring, R* padded) {
    const int width = pair.width, wide = width + 2 * kReach;
    const R* const rendered = pair.rendered + static_cast<std::size_t>(row) * width;
    const R* const goal = pair.goal + static_cast<std::size_t>(row) * width;
    R* const x = padded;
    R* const y = padded + wide;
    R* const both = padded + 2 * wide;
    SMALTI_INDEPENDENT
    for (int j = 0; j < width; ++j) x[kReach + j] = rendered[j] - R(0.5), y[kReach + j] = goal[j] - R(0.5);
    repeat_edges(x, width), repeat_edges(y, width);
    blur_row(x, width, ring.row(row, 0));
    blur_row(y, width, ring.row(row, 1));
    SMALTI_INDEPENDENT
    for (int j = 0; j < wide; ++j) both[j] = x[j] * y[j];
    blur_row(both, width, ring.row(row, 2));
    SMALTI_INDEPENDENT
    for (int j = 0; j < wide; ++j) both[j] = x[j] * x[j] + y[j] * y[j];
    blur_row(both, width, ring.row(row, 3));
}

// out [width] = the window over rows `at[k]`.
template <class R>
void blur_column(const R* const (&at)[kWindow], const R (&tap)[kWindow], int width, R* out) {
    SMALTI_INDEPENDENT
    for (int j = 0; j < width; ++j) {
        R sum = tap[0] * at[0][j];
        for (int k = 1; k < kWindow; ++k) sum += tap[k] * at[k][j];
        out[j] = sum;
    }
}

// One row of SSIM from its four blurred quantities, [4, width]; returns its sum. The first of them is overwritten.
template <class R, bool with_luminance>
double ssim_row(int width, R* blurred, const R* weights, R* mean, R* product, R* squares) {
    const R *const bx = blurred, *const by = bx + width, *const bxy = by + width, *const bs = bxy + width;
    SMALTI_INDEPENDENT
    for (int j = 0; j < width; ++j) {
        const R weight = weights ? weights[j] : R(1);
        const SsimPoint<R> at = ssim_point<with_luminance>(bx[j], by[j], bxy[j], bs[j], weight);
        mean[j] = at.mean, product[j] = at.product, squares[j] = at.squares;
        blurred[j] = at.value;
    }
    return sum_of(blurred, width);
}

template <class R>
double ssim(const PlanePair<R>& pair, bool with_luminance, int first, int last, const SsimMaps<R>& maps,
            BandScratch<R>& scratch) {
    const int width = pair.width, wide = width + 2 * kReach;
    scratch.rows.resize(RowRing<R>::size(width, 4) + 3 * static_cast<std::size_t>(wide) + 4 * width);
    const RowRing<R> ring(scratch.rows.data(), width, 4);
    R* const padded = scratch.rows.data() + RowRing<R>::size(width, 4);
    R* const blurred = padded + 3 * static_cast<std::size_t>(wide);
    int ready = std::max(first - kReach, 0);
    double sum = 0.0;
    for (int i = first; i < last; ++i) {
        for (; ready <= std::min(i + kReach, pair.height - 1); ++ready) blur_pair(pair, ready, ring, padded);
        for (int kind = 0; kind < 4; ++kind) {
            const R* at[kWindow];
            for (int k = 0; k < kWindow; ++k) at[k] = ring.row(std::clamp(i + k - kReach, 0, pair.height - 1), kind);
            blur_column(at, window<R>().tap, width, blurred + static_cast<std::size_t>(kind) * width);
        }
        const std::size_t row = static_cast<std::size_t>(i) * width;
        const R* const weights = pair.weights ? pair.weights + row : nullptr;
        const auto of_row = with_luminance ? ssim_row<R, true> : ssim_row<R, false>;
        sum += of_row(width, blurred, weights, maps.mean + row, maps.product + row, maps.squares + row);
    }
    return sum;
}

// The transpose of `blur_row` over repeated edges: what falls beyond an edge is added to it. padded [width + 4 kReach]
// holds the row between 2 kReach zeros, out [width + 2 kReach].
template <class R>
void blur_row_back(R* padded, const R* row, int width, R* wide_out, R* out) {
    std::copy_n(row, width, padded + 2 * kReach);
    blur_row(padded, width + 2 * kReach, wide_out);
    R low = 0, high = 0;
    for (int k = 0; k < kReach; ++k) low += wide_out[k], high += wide_out[kReach + width + k];
    std::copy_n(wide_out + kReach, width, out);
    out[0] += low, out[width - 1] += high;
}

// Weight with which row `from` of a map reaches row `to` of the picture: the transpose of a window over repeated edges.
template <class R>
R reach_back(int to, int from, int height) {
    const auto at = [](int offset) {
        return offset >= -kReach && offset <= kReach ? window<R>().tap[offset + kReach] : R(0);
    };
    R sum = at(to - from);
    if (to == 0)
        for (int beyond = -kReach; beyond < 0; ++beyond) sum += at(beyond - from);
    if (to == height - 1)
        for (int beyond = height; beyond < height + kReach; ++beyond) sum += at(beyond - from);
    return sum;
}

template <class R>
void ssim_gradient(const PlanePair<R>& pair, R factor, int first, int last, const SsimMaps<R>& maps, R* gradient,
                   BandScratch<R>& scratch) {
    const int width = pair.width, height = pair.height;
    const std::size_t padded_size = static_cast<std::size_t>(width) + 4 * kReach;
    scratch.rows.assign(RowRing<R>::size(width, 3) + 2 * padded_size + 3 * static_cast<std::size_t>(width), R(0));
    const RowRing<R> ring(scratch.rows.data(), width, 3);
    R* const padded = scratch.rows.data() + RowRing<R>::size(width, 3);
    R* const wide = padded + padded_size;
    R* const blurred = wide + padded_size;
    int ready = std::max(first - kReach, 0);
    for (int i = first; i < last; ++i) {
        for (; ready <= std::min(i + kReach, height - 1); ++ready) {
            const std::size_t row = static_cast<std::size_t>(ready) * width;
            blur_row_back(padded, maps.mean + row, width, wide, ring.row(ready, 0));
            blur_row_back(padded, maps.product + row, width, wide, ring.row(ready, 1));
            blur_row_back(padded, maps.squares + row, width, wide, ring.row(ready, 2));
        }
        R tap[kWindow];
        for (int k = 0; k < kWindow; ++k) {
            const int from = i + k - kReach;
            tap[k] = from >= 0 && from < height ? reach_back<R>(i, from, height) : R(0);
        }
        for (int kind = 0; kind < 3; ++kind) {
            const R* at[kWindow];
            for (int k = 0; k < kWindow; ++k) at[k] = ring.row(std::clamp(i + k - kReach, 0, height - 1), kind);
            blur_column(at, tap, width, blurred + static_cast<std::size_t>(kind) * width);
        }
        const std::size_t row = static_cast<std::size_t>(i) * width;
        const R* const x = pair.rendered + row;
        const R* const y = pair.goal + row;
        R* const to = gradient + row;
        SMALTI_INDEPENDENT
        for (int j = 0; j < width; ++j)
            to[j] += factor * (blurred[j] + (y[j] - R(0.5)) * blurred[width + j] +
                               R(2) * (x[j] - R(0.5)) * blurred[2 * width + j]);
    }
}

// padded [width + 2]: the difference of a row, its edges repeated.
template <class R>
void difference_row(const PlanePair<R>& pair, int row, R* padded) {
    const std::size_t at = static_cast<std::size_t>(std::clamp(row, 0, pair.height - 1)) * pair.width;
    SMALTI_INDEPENDENT
    for (int j = 0; j < pair.width; ++j) padded[1 + j] = pair.rendered[at + j] - pair.goal[at + j];
    padded[0] = padded[1], padded[pair.width + 1] = padded[pair.width];
}

template <class R>
double edges(const PlanePair<R>& pair, int first, int last, const EdgeMaps<R>& maps, BandScratch<R>& scratch) {
    const int width = pair.width;
    const std::size_t wide = static_cast<std::size_t>(width) + 2;
    scratch.rows.resize(3 * wide + width);
    R* const squares = scratch.rows.data() + 3 * wide;
    const R side = R(kScharrSide), middle = R(kScharrMiddle);
    double sum = 0.0;
    for (int i = first; i < last; ++i) {
        R* rows[3];
        for (int k = 0; k < 3; ++k) {
            rows[k] = scratch.rows.data() + wide * static_cast<std::size_t>((i + k) % 3);
            if (i == first || k == 2) difference_row(pair, i + k - 1, rows[k]);
        }
        const R *const a = rows[0], *const b = rows[1], *const c = rows[2];
        const std::size_t row = static_cast<std::size_t>(i) * width;
        R* const across = maps.across + row;
        R* const down = maps.down + row;
        SMALTI_INDEPENDENT
        for (int j = 0; j < width; ++j) {
            const R w = pair.weights ? pair.weights[row + j] : R(1);
            const R gx = side * (a[j + 2] - a[j] + c[j + 2] - c[j]) + middle * (b[j + 2] - b[j]);
            const R gy = side * (c[j] - a[j] + c[j + 2] - a[j + 2]) + middle * (c[j + 1] - a[j + 1]);
            squares[j] = w * (gx * gx + gy * gy);
            across[j] = w * gx, down[j] = w * gy;
        }
        sum += sum_of(squares, width);
    }
    return sum;
}

// Adds the transpose of Scharr's operator to wide [width + 2], one row of the plane with its repeated edges. `padded`
// [2, width + 4]: room for a row of each map between two zeros.
template <class R>
void scharr_back(const EdgeMaps<R>& maps, int height, int width, int row, R* padded, R* wide) {
    const R side = R(kScharrSide), middle = R(kScharrMiddle);
    R* const across = padded;
    R* const down = padded + width + 4;
    for (int k = -1; k <= 1; ++k) {
        const int from = row + k;  // in its window this is the row 1 - k: 0 above, 2 below
        if (from < 0 || from >= height) continue;
        std::copy_n(maps.across + static_cast<std::size_t>(from) * width, width, across + 2);
        std::copy_n(maps.down + static_cast<std::size_t>(from) * width, width, down + 2);
        const R of_across = k == 0 ? middle : side, outer = side * static_cast<R>(-k),
                inner = middle * static_cast<R>(-k);
        SMALTI_INDEPENDENT
        for (int j = 0; j < width + 2; ++j)
            wide[j] += of_across * (across[j] - across[j + 2]) + outer * (down[j] + down[j + 2]) + inner * down[j + 1];
    }
}

template <class R>
void edges_gradient(const PlanePair<R>& pair, R factor, int first, int last, const EdgeMaps<R>& maps, R* gradient,
                    BandScratch<R>& scratch) {
    const int width = pair.width, height = pair.height;
    scratch.rows.assign(3 * static_cast<std::size_t>(width) + 10, R(0));
    R* const padded = scratch.rows.data();
    R* const wide = padded + 2 * (width + 4);
    for (int i = first; i < last; ++i) {
        std::fill_n(wide, width + 2, R(0));
        scharr_back(maps, height, width, i, padded, wide);
        if (i == 0) scharr_back(maps, height, width, -1, padded, wide);
        if (i == height - 1) scharr_back(maps, height, width, height, padded, wide);
        wide[1] += wide[0], wide[width] += wide[width + 1];
        R* const to = gradient + static_cast<std::size_t>(i) * width;
        SMALTI_INDEPENDENT
        for (int j = 0; j < width; ++j) to[j] += factor * wide[j + 1];
    }
}

template <class R>
BandKernels<R> band_kernels() {
    return {ssim<R>, ssim_gradient<R>, edges<R>, edges_gradient<R>};
}

}  // namespace
}  // namespace SMALTI_ISA
}  // namespace smalti
