// SPDX-License-Identifier: GPL-3.0-or-later
#include "pool.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace smalti {
namespace {

// About 20 microseconds. Between two loops of one step less than that passes, and waking a thread takes longer.
constexpr int kPatience = 1000;

inline void pause() {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_pause();
#endif
}

class Pool {
  public:
    ~Pool() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            leaving_ = true;
        }
        wake_.notify_all();
        for (std::thread& thread : threads_) thread.join();
    }

    void run(std::int64_t count, int threads, const LoopBody& body) {
        const std::lock_guard<std::mutex> one_loop_at_a_time(loop_mutex_);
        while (static_cast<int>(threads_.size()) + 1 < threads) {
            const int worker = static_cast<int>(threads_.size()) + 1;
            threads_.emplace_back([this, worker, seen = round_.load()]() mutable { serve(worker, seen); });
        }
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            body_ = &body;
            count_ = count;
            next_.store(0);
            helpers_ = threads - 1;
            busy_.store(static_cast<int>(threads_.size()));
            fault_ = nullptr;
            round_.store(round_.load() + 1);
        }
        wake_.notify_all();
        work(0);
        for (int i = 0; i < kPatience && busy_.load() != 0; ++i) pause();
        std::unique_lock<std::mutex> lock(mutex_);
        done_.wait(lock, [this] { return busy_.load() == 0; });
        if (fault_) std::rethrow_exception(fault_);
    }

  private:
    void work(int worker) {
        try {
            for (std::int64_t i = next_.fetch_add(1); i < count_; i = next_.fetch_add(1))
                body_->call(body_->body, i, worker);
        } catch (...) {
            next_.store(count_);
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!fault_) fault_ = std::current_exception();
        }
    }

    void serve(int worker, std::uint64_t seen) {
        for (;;) {
            for (int i = 0; i < kPatience && round_.load() == seen; ++i) pause();
            int helpers = 0;
            {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [&] { return leaving_ || round_.load() != seen; });
                if (leaving_) return;
                seen = round_.load();
                helpers = helpers_;
            }
            if (worker <= helpers) work(worker);
            const std::lock_guard<std::mutex> lock(mutex_);
            if (busy_.fetch_sub(1) == 1) done_.notify_one();
        }
    }

    std::mutex loop_mutex_, mutex_;
    std::condition_variable wake_, done_;
    std::vector<std::thread> threads_;
    const LoopBody* body_ = nullptr;
    std::atomic<std::int64_t> next_{0};
    std::int64_t count_ = 0;
    int helpers_ = 0;
    std::atomic<int> busy_{0};
    std::atomic<std::uint64_t> round_{0};
    bool leaving_ = false;
    std::exception_ptr fault_;
};

std::unique_ptr<Pool>& holder() {
    static std::unique_ptr<Pool> pool = std::make_unique<Pool>();
    return pool;
}

// A forked process has none of its parent's threads, and would wait for them forever: it gets a pool of its own. The
// old one stays as it is, for nothing of it can be ended there.
void renew() {
    static_cast<void>(holder().release());
    holder() = std::make_unique<Pool>();
}

Pool& the_pool() {
#if !defined(_WIN32)
    static const int watched = (holder(), pthread_atfork(nullptr, nullptr, renew));
    static_cast<void>(watched);
#else
    static_cast<void>(renew);
#endif
    return *holder();
}

}  // namespace

void run_loop(std::int64_t count, int threads, const LoopBody& body) {
    if (threads <= 1 || count <= 1) {
        for (std::int64_t i = 0; i < count; ++i) body.call(body.body, i, 0);
        return;
    }
    the_pool().run(count, threads, body);
}

}  // namespace smalti
