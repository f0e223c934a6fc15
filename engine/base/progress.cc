#include "engine/base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>
#include <utility>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/units.h"

namespace colonnade {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);  // smooth to the eye
constexpr auto kLogLine = std::chrono::seconds(3);        // often enough to see that it lives
constexpr std::size_t kBarCells = 24;

std::string amount_text(std::uint64_t amount, ProgressUnit unit) {
  return unit == ProgressUnit::kBytes ? format_bytes(amount) : text(amount);
}

std::string rate_text(double per_second, ProgressUnit unit) {
  if (unit == ProgressUnit::kBytes) return format_rate(per_second);
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.1f/s", per_second);
  return buffer;
}

}  // namespace

struct Progress::State {
  std::string label;
  std::uint64_t total;
  ProgressUnit unit;
  double started;
  bool terminal;
  std::function<void(double)> watcher;
  std::atomic<std::uint64_t> done{0};

  std::mutex mutex;
  std::condition_variable stop_requested;
  bool stopping = false;
  std::thread drawer;

  double fraction() const {
    return total == 0 ? 0 : std::min(1.0, static_cast<double>(done.load()) / static_cast<double>(total));
  }

  std::string line() const {
    const std::uint64_t amount = done.load();
    const double seconds = now_seconds() - started;
    const double rate = seconds > 0 ? static_cast<double>(amount) / seconds : 0;
    std::string out = label;
    if (total == 0) {
      out += "  " + amount_text(amount, unit);
    } else if (unit == ProgressUnit::kShare) {
      out += text("  ", static_cast<int>(fraction() * 100), " %");
    } else {
      out += text("  ", static_cast<int>(fraction() * 100), " %  ", amount_text(amount, unit), " of ",
                  amount_text(total, unit));
    }
    if (amount == 0) return out;
    if (unit != ProgressUnit::kShare) out += "  " + rate_text(rate, unit);
    if (total > amount)
      out += text("  ", format_seconds(static_cast<double>(total - amount) / rate), " left");
    return out;
  }

  std::string final_line() const {
    const std::uint64_t amount = done.load();
    const double seconds = std::max(now_seconds() - started, 1e-6);
    if (unit == ProgressUnit::kShare) return text(label, "  ", static_cast<int>(fraction() * 100), " % in ", format_seconds(seconds));
    std::string out = text(label, "  ", amount_text(amount, unit));
    if (amount < total) out += text(" of ", amount_text(total, unit));
    return out + text(" in ", format_seconds(seconds), "  ",
                      rate_text(static_cast<double>(amount) / seconds, unit));
  }

  void draw_bar() const {
    std::string bar;
    if (total > 0) {
      const auto filled = static_cast<std::size_t>(fraction() * kBarCells);
      bar = " [" + std::string(filled, '#') + std::string(kBarCells - filled, '.') + "]";
    }
    winsize window{};
    std::size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 ? window.ws_col : 80;
    std::string out = line() + bar;
    if (out.size() >= columns) out.resize(columns - 1);
    write_text("\r" + out + "\x1b[K");
  }

  void draw_until_stopped() {
    std::unique_lock lock(mutex);
    while (!stop_requested.wait_for(lock, terminal ? std::chrono::milliseconds(kRedraw) : kLogLine,
                                    [this] { return stopping; })) {
      if (terminal) draw_bar();
      else log_info(line());
    }
  }

  static void write_text(const std::string& out) {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, out.data(), out.size());
  }
};

Progress::Progress(std::string_view label, std::uint64_t total, ProgressUnit unit) : Progress(label, total, unit, {}) {}

Progress::Progress(std::string_view label, std::uint64_t total, ProgressUnit unit, std::function<void(double)> watcher)
    : state_(std::make_unique<State>()) {
  state_->label = label;
  state_->total = total;
  state_->unit = unit;
  state_->started = now_seconds();
  state_->watcher = std::move(watcher);
  if (state_->watcher) return;
  state_->terminal = isatty(STDERR_FILENO) == 1;
  state_->drawer = std::thread([this] { state_->draw_until_stopped(); });
}

Progress::~Progress() { finish(); }

void Progress::add(std::uint64_t amount) {
  state_->done.fetch_add(amount, std::memory_order_relaxed);
  if (state_->watcher) state_->watcher(state_->fraction());
}

void Progress::finish() {
  if (!state_->drawer.joinable()) return;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->stop_requested.notify_all();
  state_->drawer.join();
  if (state_->terminal) State::write_text("\r\x1b[K");
  log_info(state_->final_line());
}

std::string Progress::line() const { return state_->line(); }

}  // namespace colonnade
