// SPDX-License-Identifier: GPL-3.0-or-later
// A small persistent thread pool. Not OpenMP: torch brings its own OpenMP runtime, and two of them in one process spin
// against each other.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace smalti {

// A loop's body as plain data: std::function would allocate.
struct LoopBody {
    void (*call)(void* body, std::int64_t index, int worker);
    void* body;
};

void run_loop(std::int64_t count, int threads, const LoopBody& body);

// Calls body(index, worker) once for each index in [0, count), on up to `threads` threads (the caller's among them);
// worker is in [0, threads). Indices are handed out one at a time, so uneven work balances. The first exception thrown
// by body is thrown again to the caller after all have stopped. One loop runs at a time; calls from several threads
// wait.
template <class Body>
void parallel_for(std::int64_t count, int threads, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    const auto call = [](void* b, std::int64_t index, int worker) { (*static_cast<Plain*>(b))(index, worker); };
    run_loop(count, threads, {call, const_cast<void*>(static_cast<const void*>(std::addressof(body)))});
}

}  // namespace smalti
