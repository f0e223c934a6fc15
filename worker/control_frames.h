// Frames of the control link as bytes, and steps and results between their Protobuf form and the engine's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/step.h"
#include "worker/control.pb.h"

namespace colonnade::worker {

/// Before a client has shown the secret it may send no more than this.
inline constexpr std::size_t kMaxHelloBytes = 4096;
/// A step of thousands of sequences with long page tables stays far below.
inline constexpr std::size_t kMaxFrameBytes = std::size_t{64} << 20;

/// Appends length and frame.
void append_frame(const control::Frame& frame, std::vector<std::byte>& out);

/// The next whole frame in `bytes`, as the bytes after its length; `used` is what it takes with its length. 0 bytes
/// used: not all there yet. kCorrupt for a length above `limit`.
struct FrameBytes {
  std::span<const std::byte> body;
  std::size_t used = 0;
};
Result<FrameBytes> next_frame(std::span<const std::byte> bytes, std::size_t limit);

/// Flattens; whether tokens, pages and positions fit the model is for the executor to say. kInvalidArgument when there
/// are more items than a step can count, or a row's token is not in the step.
Status step_from_proto(const control::Step& proto, engine::Step& step);

void result_to_proto(const engine::StepResult& result, control::StepResult& proto);

/// True when both are equal; takes the same time wherever they differ.
bool equal_secrets(std::string_view given, std::string_view expected);

}  // namespace colonnade::worker
