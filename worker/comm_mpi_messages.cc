#include "worker/comm_mpi_messages.h"

#include <algorithm>
#include <utility>

#include "engine/base/format_text.h"
#include "worker/comm_mpi_calls.h"

namespace colonnade::worker::mpi {

Result<bool> Outbox::test(const std::unique_ptr<Message>& message) { return mpi::test(message->request); }

Status Outbox::send(int to, Channel channel, std::span<const std::byte> bytes) {
  // The smallest idle buffer that is large enough, so that small messages do not take the large ones.
  auto best = idle_.end();
  for (auto it = idle_.begin(); it != idle_.end(); ++it) {
    const std::size_t room = (*it)->bytes.capacity();
    if (room >= bytes.size() && (best == idle_.end() || room < (*best)->bytes.capacity())) best = it;
  }
  std::unique_ptr<Message> message;
  if (best == idle_.end()) {
    message = std::make_unique<Message>();
  } else {
    message = std::move(*best);
    *best = std::move(idle_.back());
    idle_.pop_back();
  }
  message->bytes.assign(bytes.begin(), bytes.end());
  message->to = to;
  COLONNADE_TRY(isend(message->bytes, to, static_cast<int>(channel), comm_, message->request));
  COLONNADE_ASSIGN(const bool done, test(message));
  (done ? idle_ : active_).push_back(std::move(message));
  return {};
}

Inbox::Message& Inbox::Queue::push() {
  if (count == ring.size()) {
    std::rotate(ring.begin(), ring.begin() + static_cast<std::ptrdiff_t>(first), ring.end());
    first = 0;
    const std::size_t before = ring.size();
    ring.resize(std::max<std::size_t>(4, before * 2));
    for (std::size_t i = before; i < ring.size(); ++i) ring[i] = std::make_unique<Message>();
  }
  return at(count++);
}

Result<bool> Inbox::advance() {
  bool news = false;
  for (std::size_t i = 0; i < incomplete_.size();) {
    COLONNADE_ASSIGN(incomplete_[i]->whole, test(incomplete_[i]->request));
    if (!incomplete_[i]->whole) {
      ++i;
      continue;
    }
    news = true;
    incomplete_[i] = incomplete_.back();
    incomplete_.pop_back();
  }
  for (;;) {
    int found = 0;
    MPI_Message handle = MPI_MESSAGE_NULL;
    MPI_Status status{};
    COLONNADE_TRY(check(MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm_, &found, &handle, &status), "MPI_Improbe"));
    if (found == 0) return news;
    int count = 0;
    COLONNADE_TRY(check(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count"));
    if (status.MPI_TAG < 0 || status.MPI_TAG >= kChannels || count < 0)
      return Error{ErrorCode::kCorrupt, text("rank ", status.MPI_SOURCE, " sent a message with tag ", status.MPI_TAG,
                                             ", expected 0 to ", kChannels - 1)};
    Queue& queue = queues_[static_cast<std::size_t>(status.MPI_SOURCE) * kChannels + static_cast<std::size_t>(status.MPI_TAG)];
    Message& message = queue.push();
    message.bytes.resize(static_cast<std::size_t>(count));
    COLONNADE_TRY(check(MPI_Imrecv(message.bytes.data(), count, MPI_BYTE, &handle, &message.request), "MPI_Imrecv"));
    COLONNADE_ASSIGN(message.whole, test(message.request));
    if (!message.whole) incomplete_.push_back(&message);
    ++n_messages_;
    if (status.MPI_TAG == static_cast<int>(Channel::kHeartbeat)) ++n_heartbeats_;
    news = true;
  }
}

Result<bool> Inbox::take(int from, Channel channel, std::vector<std::byte>& out) {
  Queue& queue = queues_[static_cast<std::size_t>(from) * kChannels + static_cast<std::size_t>(channel)];
  if (queue.count == 0 || !queue.at(0).whole) return false;
  out.swap(queue.at(0).bytes);
  queue.first = (queue.first + 1) % queue.ring.size();
  --queue.count;
  return true;
}

}  // namespace colonnade::worker::mpi
