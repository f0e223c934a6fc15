#include "worker/comm_mpi_hosts_join.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/base/parallel.h"
#include "worker/comm_mpi_calls.h"
#include "worker/comm_mpi_wait.h"

namespace colonnade::worker::mpi {
namespace {

constexpr std::size_t kRoundBytes = std::size_t{64} << 10;  // of one member in one round of all_gather
// Up to here every host's whole sum goes to every other host in one exchange; above, hosts add a part each, and a
// second exchange hands the parts round: twice the waits, but 2 / n_hosts of the bytes.
constexpr std::size_t kWholeFloats = std::size_t{16} << 10;

}  // namespace

std::size_t HostsJoin::shared_bytes(std::size_t n_members) { return n_members * kRoundBytes; }

HostsJoin::HostsJoin(std::unique_ptr<SharedJoin> inner, HostsLayout layout, std::byte* shared, std::size_t max_floats,
                     const JoinOptions& options, Traffic& traffic)
    : inner_(std::move(inner)), layout_(std::move(layout)), n_members_(0), gathered_(shared), options_(options),
      traffic_(traffic) {
  std::size_t most = 0;
  for (const auto& host : layout_.hosts) {
    n_members_ += host.size();
    most = std::max(most, host.size());
  }
  const std::size_t n_hosts = layout_.hosts.size();
  host_block_.resize(layout_.hosts[layout_.own_host].size() * kRoundBytes);
  if (!leads()) return;
  const std::size_t part = max_floats / n_hosts + 32;  // parts are whole granules of 16
  received_.resize(n_hosts * std::max(n_hosts == 2 ? max_floats : std::min(max_floats, kWholeFloats), part));
  requests_.resize(2 * n_hosts, MPI_REQUEST_NULL);
  other_block_.resize(n_hosts * most * kRoundBytes);
}

MPI_Request& HostsJoin::new_request() { return requests_[n_requests_++]; }

Status HostsJoin::finish_requests() {
  const std::span<MPI_Request> begun(requests_.data(), n_requests_);
  n_requests_ = 0;
  return wait_all(begun, options_, traffic_, "another host to come to a join");
}

/// total = x + sum of host 0 + sum of host 1 + …, for [begin, end); the sums of others lie in received_ from their
/// host's row on, beginning with element `begin`.
void HostsJoin::add_sums(const float* x, std::size_t begin, std::size_t end, std::size_t stride) {
  float* total = inner_->total();
  for (std::size_t i = begin; i < end; ++i) {
    float sum = x[i];
    for (std::size_t host = 0; host < layout_.hosts.size(); ++host)
      sum += host == layout_.own_host ? total[i] : received_[host * stride + (i - begin)];
    total[i] = sum;
  }
}

Status HostsJoin::exchange_all(const float* x, std::size_t count) {
  for (std::size_t host = 0; host < layout_.hosts.size(); ++host) {
    if (host == layout_.own_host) continue;
    COLONNADE_TRY(irecv(std::span(received_.data() + host * count, count), leader(host), JoinTag::kSum, layout_.comm, new_request()));
    COLONNADE_TRY(isend(std::span<const float>(inner_->total(), count), leader(host), JoinTag::kSum, layout_.comm, new_request()));
  }
  COLONNADE_TRY(finish_requests());
  add_sums(x, 0, count, count);
  return {};
}

Status HostsJoin::exchange_parts(const float* x, std::size_t count) {
  const auto n_hosts = static_cast<int>(layout_.hosts.size());
  const auto part = [&](std::size_t host) { return part_of(count, static_cast<int>(host), n_hosts, 16); };
  const Range mine = part(layout_.own_host);
  const std::size_t own_floats = mine.end - mine.begin;
  float* total = inner_->total();
  for (std::size_t host = 0; host < layout_.hosts.size(); ++host) {
    if (host == layout_.own_host) continue;
    const Range its = part(host);
    COLONNADE_TRY(irecv(std::span(received_.data() + host * own_floats, own_floats), leader(host), JoinTag::kPart, layout_.comm, new_request()));
    COLONNADE_TRY(isend(std::span<const float>(total + its.begin, its.end - its.begin), leader(host), JoinTag::kPart, layout_.comm, new_request()));
  }
  COLONNADE_TRY(finish_requests());
  add_sums(x, mine.begin, mine.end, own_floats);
  for (std::size_t host = 0; host < layout_.hosts.size(); ++host) {
    if (host == layout_.own_host) continue;
    const Range its = part(host);
    COLONNADE_TRY(irecv(std::span(total + its.begin, its.end - its.begin), leader(host), JoinTag::kSum, layout_.comm, new_request()));
    COLONNADE_TRY(isend(std::span<const float>(total + mine.begin, own_floats), leader(host), JoinTag::kSum, layout_.comm, new_request()));
  }
  return finish_requests();
}

Status HostsJoin::reduce(float* x, std::size_t count, Parallel& team) {
  COLONNADE_TRY(inner_->add_up(count, team));
  if (leads() && count > 0) {
    const bool whole = layout_.hosts.size() == 2 || count <= kWholeFloats;
    COLONNADE_TRY(whole ? exchange_all(x, count) : exchange_parts(x, count));
  }
  COLONNADE_TRY(inner_->meet());
  std::memcpy(x, inner_->total(), count * sizeof(float));
  return {};
}

Status HostsJoin::all_gather(const void* mine, std::size_t bytes_each, void* out) {
  const auto* from = static_cast<const std::byte*>(mine);
  auto* to = static_cast<std::byte*>(out);
  for (std::size_t done = 0; done < bytes_each; done += kRoundBytes) {
    const std::size_t round = std::min(kRoundBytes, bytes_each - done);
    const auto& own_places = layout_.hosts[layout_.own_host];
    COLONNADE_TRY(inner_->all_gather(from + done, round, host_block_.data()));
    if (leads()) {
      const std::size_t stride = other_block_.size() / layout_.hosts.size();
      constexpr JoinTag tag = JoinTag::kGather;
      for (std::size_t host = 0; host < layout_.hosts.size(); ++host) {
        if (host == layout_.own_host) continue;
        const std::span<std::byte> its(other_block_.data() + host * stride, layout_.hosts[host].size() * round);
        COLONNADE_TRY(irecv(its, leader(host), tag, layout_.comm, new_request()));
        const std::span<const std::byte> own(host_block_.data(), own_places.size() * round);
        COLONNADE_TRY(isend(own, leader(host), tag, layout_.comm, new_request()));
      }
      COLONNADE_TRY(finish_requests());
      for (std::size_t host = 0; host < layout_.hosts.size(); ++host) {
        const std::byte* block = host == layout_.own_host ? host_block_.data() : other_block_.data() + host * stride;
        for (std::size_t i = 0; i < layout_.hosts[host].size(); ++i)
          std::memcpy(gathered_ + static_cast<std::size_t>(layout_.hosts[host][i]) * kRoundBytes, block + i * round, round);
      }
    }
    // The leader writes here again only after the next round's inner all_gather, to which all come after reading.
    COLONNADE_TRY(inner_->meet());
    for (std::size_t member = 0; member < n_members_; ++member)
      std::memcpy(to + member * bytes_each + done, gathered_ + member * kRoundBytes, round);
  }
  return {};
}

}  // namespace colonnade::worker::mpi
