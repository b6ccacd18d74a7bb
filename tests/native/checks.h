// SPDX-License-Identifier: GPL-3.0-or-later
// What the checks share: a failed expectation is printed and counted.
#pragma once

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "scenes.h"

extern int failures;

void expect(bool good, const std::string& what);

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

template <class T>
bool all_finite(const std::vector<T>& values) {
    for (const T value : values)
        if (!std::isfinite(value)) return false;
    return true;
}

// steps.cpp
void steps_are_finite_and_the_same_on_any_threads(const OwnedScene& scene);
void a_step_allocates_nothing();

// losses.cpp
void losses_are_finite_and_the_same_on_any_threads();
