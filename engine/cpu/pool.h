// SPDX-License-Identifier: GPL-3.0-or-later
// A small persistent thread pool. Not OpenMP: torch brings its own OpenMP runtime, and two of them in one process spin
// against each other.
#pragma once

#include <cstdint>
#include <functional>

namespace smalti {

// Calls body(index, worker) once for each index in [0, count), on up to `threads` threads (the caller's among them);
// worker is in [0, threads). Indices are handed out one at a time, so uneven work balances. The first exception thrown by
// body is thrown again to the caller after all have stopped. One loop runs at a time; calls from several threads wait.
void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t, int)>& body);

}  // namespace smalti
