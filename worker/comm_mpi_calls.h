// MPI calls with their return codes looked at and their counts narrowed by a check.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <limits>
#include <span>
#include <string>

#include "engine/base/format_text.h"
#include "engine/base/result.h"

namespace colonnade::worker::mpi {

/// Tags of messages within joins, which have a communicator of their own; other messages use their Channel's number.
/// One set serves all joins: two ranks that share several use them in the same order.
enum class JoinTag : int { kInvitation, kAnswer, kPart, kSum, kGather };

inline Status check(int code, const char* what) {
  if (code == MPI_SUCCESS) [[likely]]
    return {};
  char message[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, message, &length);
  return Error{ErrorCode::kUnavailable, text(what, ": ", std::string(message, static_cast<std::size_t>(length)))};
}

/// MPI counts in int.
inline Result<int> checked_count(std::size_t count) {
  if (count > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    return Error{ErrorCode::kInvalidArgument, text("a message of ", count, " elements, MPI takes at most ",
                                                   std::numeric_limits<int>::max())};
  return static_cast<int>(count);
}

inline Status isend(std::span<const std::byte> bytes, int to, int tag, MPI_Comm comm, MPI_Request& request) {
  COLONNADE_ASSIGN(const int count, checked_count(bytes.size()));
  return check(MPI_Isend(bytes.data(), count, MPI_BYTE, to, tag, comm, &request), "MPI_Isend");
}
inline Status irecv(std::span<std::byte> bytes, int from, int tag, MPI_Comm comm, MPI_Request& request) {
  COLONNADE_ASSIGN(const int count, checked_count(bytes.size()));
  return check(MPI_Irecv(bytes.data(), count, MPI_BYTE, from, tag, comm, &request), "MPI_Irecv");
}
inline Status isend(std::span<const std::byte> bytes, int to, JoinTag tag, MPI_Comm comm, MPI_Request& request) {
  return isend(bytes, to, static_cast<int>(tag), comm, request);
}
inline Status irecv(std::span<std::byte> bytes, int from, JoinTag tag, MPI_Comm comm, MPI_Request& request) {
  return irecv(bytes, from, static_cast<int>(tag), comm, request);
}
inline Status isend(std::span<const float> values, int to, JoinTag tag, MPI_Comm comm, MPI_Request& request) {
  return isend(std::as_bytes(values), to, tag, comm, request);
}
inline Status irecv(std::span<float> values, int from, JoinTag tag, MPI_Comm comm, MPI_Request& request) {
  return irecv(std::as_writable_bytes(values), from, tag, comm, request);
}

/// True when the operation is over; the request is then MPI_REQUEST_NULL.
inline Result<bool> test(MPI_Request& request) {
  int done = 0;
  COLONNADE_TRY(check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test"));
  return done != 0;
}

inline Result<bool> test_all(std::span<MPI_Request> requests) {
  int done = 0;
  COLONNADE_TRY(check(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE),
                      "MPI_Testall"));
  return done != 0;
}

}  // namespace colonnade::worker::mpi
