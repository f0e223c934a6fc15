#include "engine/base/self_comm.h"

#include <algorithm>
#include <vector>

#include "engine/base/mailbox.h"

namespace colonnade {
namespace {

/// Adds its own contribution; nobody to wait for.
class SelfJoin final : public Join {
 public:
  explicit SelfJoin(std::size_t max_floats) : bytes_(max_floats * sizeof(float) + kAlignment) {}

  int size() const override { return 1; }
  int index() const override { return 0; }

  float* contribution() override {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
    return reinterpret_cast<float*>((address + kAlignment - 1) / kAlignment * kAlignment);
  }

  Status reduce(float* x, std::size_t count, Parallel&) override {
    const float* __restrict from = contribution();
    for (std::size_t i = 0; i < count; ++i) x[i] += from[i];
    return {};
  }

  Status all_gather(const void* mine, std::size_t bytes_each, void* out) override {
    if (bytes_each > 0) std::copy_n(static_cast<const std::byte*>(mine), bytes_each, static_cast<std::byte*>(out));
    return {};
  }

 private:
  static constexpr std::size_t kAlignment = 64;
  std::vector<std::byte> bytes_;
};

class SelfCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string transport() const override { return "one rank"; }

  Status send(int to, Channel channel, std::span<const std::byte> bytes) override {
    COLONNADE_CHECK(to == 0, "no such rank");
    mailbox_.put(0, channel, bytes);
    return {};
  }
  Result<bool> try_receive(int from, Channel channel, std::vector<std::byte>& out) override {
    COLONNADE_CHECK(from == 0, "no such rank");
    return mailbox_.take(0, channel, out);
  }
  void wait(std::int64_t timeout_us) override { mailbox_.wait(WaitPolicy{}, timeout_us); }
  void wake() override { mailbox_.ring(); }

  Result<std::unique_ptr<Join>> make_join(std::span<const int> members, std::size_t max_floats) override {
    COLONNADE_CHECK(members.size() == 1 && members[0] == 0, "one rank alone joins with nobody else");
    return std::unique_ptr<Join>(new SelfJoin(max_floats));
  }
  std::vector<int> host_mates() const override { return {0}; }

 private:
  Mailbox mailbox_{1};
};

}  // namespace

std::unique_ptr<Communicator> make_self_communicator() { return std::make_unique<SelfCommunicator>(); }

}  // namespace colonnade
