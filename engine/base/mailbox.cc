#include "engine/base/mailbox.h"

#include <utility>

namespace colonnade {

void MessageQueue::push(std::span<const std::byte> bytes) {
  if (count_ == ring_.size()) {
    std::vector<std::vector<std::byte>> larger(ring_.empty() ? 4 : ring_.size() * 2);
    for (std::size_t i = 0; i < count_; ++i) larger[i] = std::move(ring_[(first_ + i) % ring_.size()]);
    ring_ = std::move(larger);
    first_ = 0;
  }
  ring_[(first_ + count_) % ring_.size()].assign(bytes.begin(), bytes.end());
  ++count_;
}

bool MessageQueue::pop(std::vector<std::byte>& out) {
  if (count_ == 0) return false;
  out.swap(ring_[first_]);
  first_ = (first_ + 1) % ring_.size();
  --count_;
  return true;
}

void Mailbox::put(int from, Channel channel, std::span<const std::byte> bytes) {
  {
    const std::lock_guard lock(mutex_);
    queue(from, channel).push(bytes);
  }
  bell_.ring();
}

bool Mailbox::take(int from, Channel channel, std::vector<std::byte>& out) {
  const std::lock_guard lock(mutex_);
  return queue(from, channel).pop(out);
}

void Mailbox::wait(const WaitPolicy& policy, std::int64_t timeout_us) {
  bell_.wait(policy, timeout_us, FutexScope::kProcess, [&] { return bell_.count() != seen_; });
  seen_ = bell_.count();
}

}  // namespace colonnade
