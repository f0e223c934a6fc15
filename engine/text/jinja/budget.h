// Counts what one rendering uses of its limits.
#pragma once

#include <utility>

#include "engine/text/jinja/limits.h"

namespace colonnade::engine::jinja {

/// Not thread-safe. Outlives all values made with it. Exceeding a limit throws TemplateError (kExhausted).
class Budget {
 public:
  explicit Budget(const Limits& limits) : limits_(limits) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  void step(std::uint64_t n = 1) {
    if ((steps_ += n) > limits_.steps) [[unlikely]] fail_steps();
  }
  /// Work in proportion to bytes.
  void step_bytes(std::size_t bytes) { step(bytes / 64); }
  void take(std::size_t bytes) {
    if (bytes > limits_.live_bytes - live_bytes_) [[unlikely]] fail_bytes();
    live_bytes_ += bytes;
    step_bytes(bytes);
  }
  void give_back(std::size_t bytes) noexcept { live_bytes_ -= bytes; }

  void enter() {
    if (++depth_ > limits_.depth) [[unlikely]] fail_depth();
  }
  void leave() noexcept { --depth_; }
  /// For values: how deep they nest.
  void check_depth(int depth) const {
    if (depth > limits_.depth) [[unlikely]] fail_depth();
  }

  std::uint64_t steps() const { return steps_; }

 private:
  [[noreturn]] void fail_steps() const;
  [[noreturn]] void fail_bytes() const;
  [[noreturn]] void fail_depth() const;

  Limits limits_;
  std::uint64_t steps_ = 0;
  std::size_t live_bytes_ = 0;
  int depth_ = 0;
};

/// One level deeper for its lifetime. A budget that refused is not used again, so nothing is undone then.
class Level {
 public:
  explicit Level(Budget& budget) : budget_(budget) { budget_.enter(); }
  ~Level() { budget_.leave(); }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  Budget& budget_;
};

/// Bytes that are taken from a budget until this goes away. Without a budget it counts nothing (constants of a
/// compiled template).
class Charge {
 public:
  Charge() = default;
  explicit Charge(Budget* budget) : budget_(budget) {}
  Charge(Budget* budget, std::size_t bytes) : budget_(budget) { add(bytes); }
  Charge(Charge&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Charge() {
    if (budget_ != nullptr) budget_->give_back(bytes_);
  }

  void add(std::size_t bytes) {
    if (budget_ == nullptr) return;
    budget_->take(bytes);
    bytes_ += bytes;
  }

 private:
  Budget* budget_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace colonnade::engine::jinja
