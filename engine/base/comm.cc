#include "engine/base/comm.h"

#include "engine/base/clock.h"
#include "engine/base/format_text.h"

namespace colonnade {

Status Communicator::receive(int from, Channel channel, std::vector<std::byte>& out, std::int64_t timeout_us) {
  const std::int64_t start_us = now_us();
  for (;;) {
    COLONNADE_ASSIGN(const bool arrived, try_receive(from, channel, out));
    if (arrived) return {};
    const std::int64_t waited_us = now_us() - start_us;
    if (timeout_us >= 0 && waited_us >= timeout_us)
      return Error{ErrorCode::kTimeout, text("rank ", rank(), ": no message from rank ", from, " within ",
                                             timeout_us / 1000, " ms")};
    wait(timeout_us < 0 ? 100'000 : timeout_us - waited_us);
  }
}

}  // namespace colonnade
