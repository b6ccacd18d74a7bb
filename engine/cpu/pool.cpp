// SPDX-License-Identifier: GPL-3.0-or-later
#include "pool.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace smalti {
namespace {

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

    void run(std::int64_t count, int threads, const std::function<void(std::int64_t, int)>& body) {
        const std::lock_guard<std::mutex> one_loop_at_a_time(loop_mutex_);
        while (static_cast<int>(threads_.size()) + 1 < threads) {
            const int worker = static_cast<int>(threads_.size()) + 1;
            threads_.emplace_back([this, worker, seen = round_]() mutable { serve(worker, seen); });
        }
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            body_ = &body;
            count_ = count;
            next_.store(0);
            helpers_ = threads - 1;
            busy_ = static_cast<int>(threads_.size());
            fault_ = nullptr;
            ++round_;
        }
        wake_.notify_all();
        work(0);
        std::unique_lock<std::mutex> lock(mutex_);
        done_.wait(lock, [this] { return busy_ == 0; });
        if (fault_) std::rethrow_exception(fault_);
    }

  private:
    void work(int worker) {
        try {
            for (std::int64_t i = next_.fetch_add(1); i < count_; i = next_.fetch_add(1)) (*body_)(i, worker);
        } catch (...) {
            next_.store(count_);
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!fault_) fault_ = std::current_exception();
        }
    }

    void serve(int worker, std::uint64_t seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return leaving_ || round_ != seen; });
            if (leaving_) return;
            seen = round_;
            if (worker <= helpers_) {
                lock.unlock();
                work(worker);
                lock.lock();
            }
            if (--busy_ == 0) done_.notify_one();
        }
    }

    std::mutex loop_mutex_, mutex_;
    std::condition_variable wake_, done_;
    std::vector<std::thread> threads_;
    const std::function<void(std::int64_t, int)>* body_ = nullptr;
    std::atomic<std::int64_t> next_{0};
    std::int64_t count_ = 0;
    int helpers_ = 0, busy_ = 0;
    std::uint64_t round_ = 0;
    bool leaving_ = false;
    std::exception_ptr fault_;
};

}  // namespace

void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t, int)>& body) {
    if (threads <= 1 || count <= 1) {
        for (std::int64_t i = 0; i < count; ++i) body(i, 0);
        return;
    }
    static Pool pool;
    pool.run(count, threads, body);
}

}  // namespace smalti
