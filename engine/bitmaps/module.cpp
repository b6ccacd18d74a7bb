// SPDX-License-Identifier: GPL-3.0-or-later
// The Python bindings; smalti.engine.bitmaps says what the functions do.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>

#include "bleed.h"
#include "png_rows.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;
using Bitmap = Array<std::uint8_t, nb::shape<-1, -1, 4>>;
using ConstBitmap = Array<const std::uint8_t, nb::shape<-1, -1, 4>>;
using Rows = Array<std::uint8_t, nb::shape<-1, -1>>;

void bleed(Bitmap rgba) {
    nb::gil_scoped_release others_may_run;
    smalti::bleed(rgba.data(), rgba.shape(0), rgba.shape(1));
}

void filter_rows(ConstBitmap rgba, ConstBitmap above, Rows result) {
    const std::size_t height = rgba.shape(0), bytes = 4 * rgba.shape(1);
    if (bytes == 0 || above.shape(0) != 1 || above.shape(1) != rgba.shape(1) || result.shape(0) != height ||
        result.shape(1) != bytes + 1)
        throw std::invalid_argument("rgba: [h, W, 4], above: [1, W, 4], result: [h, 1 + 4 W]");
    nb::gil_scoped_release others_may_run;
    smalti::filter_rows(rgba.data(), above.data(), height, bytes, result.data());
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "Loops over the bytes of bitmaps; use smalti.engine.bitmaps.";
    m.def("bleed", &bleed, "rgba"_a.noconvert());
    m.def("filter_rows", &filter_rows, "rgba"_a, "above"_a, "result"_a.noconvert());
}
