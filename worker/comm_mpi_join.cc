#include "worker/comm_mpi_join.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "engine/base/units.h"
#include "worker/comm_mpi_calls.h"
#include "worker/comm_mpi_hosts_join.h"
#include "worker/comm_mpi_wait.h"

namespace colonnade::worker::mpi {
namespace {

/// Where a process finds the memory that another one made.
struct Invitation {
  int process = 0;
  int descriptor = -1;
};

Error system_error(const char* what, std::size_t bytes) {
  return {errno == ENOMEM ? ErrorCode::kExhausted : ErrorCode::kIo,
          text("shared memory of ", format_bytes(bytes), " for joins: ", what, ": ", std::strerror(errno))};
}

class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Result<std::shared_ptr<std::byte>> map(int descriptor, std::size_t bytes) {
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) return system_error("mmap", bytes);
  return std::shared_ptr<std::byte>(static_cast<std::byte*>(memory), [bytes](std::byte* p) { ::munmap(p, bytes); });
}

Result<std::shared_ptr<std::byte>> invite(const JoinPlace& place, std::span<const int> mates, std::size_t bytes,
                                          Traffic& traffic) {
  const Descriptor file(::memfd_create("colonnade-join", MFD_CLOEXEC));
  if (file.get() < 0) return system_error("memfd_create", bytes);
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) return system_error("ftruncate", bytes);
  COLONNADE_ASSIGN(std::shared_ptr<std::byte> memory, map(file.get(), bytes));
  const Invitation invitation{::getpid(), file.get()};
  const auto n_guests = mates.size() - 1;
  std::vector<std::byte> answers(n_guests);
  std::vector<MPI_Request> requests(2 * n_guests, MPI_REQUEST_NULL);
  for (std::size_t i = 0; i < n_guests; ++i) {
    const int guest = mates[i + 1];
    COLONNADE_TRY(irecv(std::span(&answers[i], 1), guest, JoinTag::kAnswer, place.comm, requests[2 * i]));
    COLONNADE_TRY(isend(std::as_bytes(std::span(&invitation, 1)), guest, JoinTag::kInvitation, place.comm, requests[2 * i + 1]));
  }
  COLONNADE_TRY(wait_all(requests, place.options, traffic, "a rank of this host to map the memory of a join"));
  for (std::size_t i = 0; i < n_guests; ++i)
    if (answers[i] == std::byte{0})
      return Error{ErrorCode::kIo, text("rank ", mates[i + 1], " cannot map the memory of a join that rank ", place.rank, " made")};
  return memory;
}

Result<std::shared_ptr<std::byte>> accept_invitation(const JoinPlace& place, int host, std::size_t bytes, Traffic& traffic) {
  Invitation invitation;
  MPI_Request request = MPI_REQUEST_NULL;
  COLONNADE_TRY(irecv(std::as_writable_bytes(std::span(&invitation, 1)), host, JoinTag::kInvitation, place.comm, request));
  COLONNADE_TRY(wait_all(std::span(&request, 1), place.options, traffic, "the memory of a join"));
  const std::string path = text("/proc/", invitation.process, "/fd/", invitation.descriptor);
  const Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  Result<std::shared_ptr<std::byte>> memory =
      file.get() < 0 ? Result<std::shared_ptr<std::byte>>(system_error(path.c_str(), bytes)) : map(file.get(), bytes);
  const std::byte answer{memory.ok() ? std::byte{1} : std::byte{0}};
  COLONNADE_TRY(isend(std::span(&answer, 1), host, JoinTag::kAnswer, place.comm, request));
  COLONNADE_TRY(wait_all(std::span(&request, 1), place.options, traffic, "an answer to be sent"));
  return memory;
}

}  // namespace

Result<std::shared_ptr<std::byte>> share_memory(const JoinPlace& place, std::span<const int> mates, std::size_t bytes,
                                                Traffic& traffic) {
  const std::size_t page = 4096;
  const std::size_t whole = round_up(std::max<std::size_t>(bytes, 1), page);
  if (place.rank == mates.front()) return invite(place, mates, whole, traffic);
  return accept_invitation(place, mates.front(), whole, traffic);
}

Result<std::unique_ptr<Join>> make_mpi_join(const JoinPlace& place, std::span<const int> members,
                                            std::size_t max_floats, Traffic& traffic) {
  // Hosts in the order of their first members; all members see the same.
  HostsLayout layout{.comm = place.comm, .ranks = {members.begin(), members.end()}, .own_place = 0, .own_host = 0, .hosts = {}};
  std::vector<int> names;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const int name = place.host_of[static_cast<std::size_t>(members[i])];
    const auto found = std::find(names.begin(), names.end(), name);
    const auto host = static_cast<std::size_t>(found - names.begin());
    if (found == names.end()) {
      names.push_back(name);
      layout.hosts.emplace_back();
    }
    layout.hosts[host].push_back(static_cast<int>(i));
    if (members[i] != place.rank) continue;
    layout.own_place = static_cast<int>(i);
    layout.own_host = host;
  }
  std::vector<int> mates;
  for (const int member : layout.hosts[layout.own_host]) mates.push_back(members[static_cast<std::size_t>(member)]);
  const auto own = std::find(mates.begin(), mates.end(), place.rank);
  COLONNADE_CHECK(own != mates.end(), "a rank makes a join that it is no member of");

  const bool one_host = layout.hosts.size() == 1;
  const std::size_t join_bytes = shared_join_bytes(static_cast<int>(mates.size()), max_floats);
  const std::size_t all_bytes = join_bytes + (one_host ? 0 : HostsJoin::shared_bytes(members.size()));
  COLONNADE_ASSIGN(const std::shared_ptr<std::byte> memory, share_memory(place, mates, all_bytes, traffic));
  auto inner = std::make_unique<SharedJoin>(memory.get(), mates, static_cast<int>(own - mates.begin()), max_floats,
                                            place.options, &traffic, memory);
  if (one_host) return std::unique_ptr<Join>(std::move(inner));
  return std::unique_ptr<Join>(new HostsJoin(std::move(inner), std::move(layout), memory.get() + join_bytes, max_floats,
                                             place.options, traffic));
}

}  // namespace colonnade::worker::mpi
