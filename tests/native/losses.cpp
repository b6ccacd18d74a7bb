// SPDX-License-Identifier: GPL-3.0-or-later
// What losses between two pictures promise.
#include <random>

#include "checks.h"
#include "picture_loss.h"

namespace {

// The gradient of all terms between two random pictures, and their value.
template <class R>
std::vector<R> gradient_of(int height, int width, bool weighted, int threads, double& value) {
    const std::size_t pixels = static_cast<std::size_t>(height) * width;
    std::mt19937_64 random(7);
    std::uniform_real_distribution<R> level(0, 1);
    std::vector<R> rendered(3 * pixels), goal(3 * pixels), weights(pixels), gradient(3 * pixels, R(0));
    for (R& v : rendered) v = level(random);
    for (R& v : goal) v = level(random);
    for (R& v : weights) v = level(random);
    const smalti::PictureView<R> pictures{height, width, rendered.data(), goal.data(),
                                          weighted ? weights.data() : nullptr};
    smalti::PictureLossWorkspace<R> work;
    value = smalti::pixel_loss(pictures, {1.0, 1.0, 1.0, 1.0}, gradient.data());
    // Twice in one workspace: what is left there must not matter.
    for (int i = 0; i < 2; ++i)
        value += smalti::neighbourhood_loss(pictures, {1.0, 1.0, 1.0}, threads, gradient.data(), work);
    return gradient;
}

template <class R>
void check(int height, int width, bool weighted) {
    const std::string name = std::to_string(height) + " x " + std::to_string(width);
    double one = 0.0, many = 0.0;
    const std::vector<R> gradient = gradient_of<R>(height, width, weighted, 1, one);
    expect(std::isfinite(one) && all_finite(gradient), name + ": losses are finite");
    expect(same_bits(gradient, gradient_of<R>(height, width, weighted, 3, many)) && one == many,
           name + ": losses do not depend on the threads");
}

}  // namespace

void losses_are_finite_and_the_same_on_any_threads() {
    const int sizes[][2] = {{1, 1}, {1, 7}, {9, 1}, {3, 2}, {12, 25}, {33, 64}, {61, 83}, {190, 177}};
    for (const auto& size : sizes)
        for (const bool weighted : {false, true}) {
            check<float>(size[0], size[1], weighted);
            check<double>(size[0], size[1], weighted);
        }
}
